"""The files that workers fetch when they start: whether they are there, and can be installed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.errors import DataError
from templates.image.own_wheel import PACKAGES
from templates.rehearsal.finding import WrongError
from templates.rehearsal.installed import import_all, install
from templates.rehearsal.job_graph import Objects, Staged

__all__ = ["check_staged"]

_DISTRIBUTIONS = (".tar.gz", ".whl")


def check_staged(
    staged: Sequence[Staged], objects: Objects, modules: Iterable[str], scratch: Path
) -> str:
    """Check the files that a job names.

    Args:
        staged: the files.
        objects: of the server that they are on.
        modules: that the job needs; those of ours are imported from what is installed.
        scratch: folder for that, made if there is something to install.

    Returns:
        What was seen.

    Raises:
        WrongError: a file is missing or another one, or can't be installed, or lacks a module.
    """
    archives = []
    for file in staged:
        content = _content(file, objects)
        if file.name.endswith(_DISTRIBUTIONS):
            scratch.mkdir(parents=True, exist_ok=True)
            archives.append(scratch / file.name)
            archives[-1].write_bytes(content)
    if archives:
        ours = [name for name in modules if name.partition(".")[0] in PACKAGES]
        _install(archives, ours, scratch)
    names = ", ".join(file.name for file in staged) or "none"
    return f"{names}; {len(archives)} to install"


def _content(file: Staged, objects: Objects) -> bytes:
    content = objects.read(file.url)
    if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
        is_there = "is missing" if content is None else "is another file than the job says"
        raise WrongError(
            f"{file.url} {is_there}",
            "Give each launch a staging_location that nothing else writes to",
        )
    return content


def _install(archives: Sequence[Path], modules: Sequence[str], scratch: Path) -> None:
    target = scratch / "installed"
    try:
        install(archives, target)
        import_all(modules, target, scratch)
    except DataError as error:
        names = ", ".join(path.name for path in archives)
        raise WrongError(
            f"{names}: {error}",
            "Name every package that workers need in setup.py or pyproject.toml",
        ) from error
