"""The folder that an image is built in: the same bytes from the same sources.

Dockerfile, requirements.txt, build-requirements.txt   as in templates/image
wheels/                 this project; and, if asked, all that it needs
template/NAME.py        what the launcher starts, of every template
cloudbuild.yaml         how Cloud Build makes the images
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pipelines.params import ConfigError
from templates.catalogue import TEMPLATES
from templates.image.dockerfile import IMAGE_FOLDER, dockerfile
from templates.image.entry import entry, file_name
from templates.image.origin import Origin
from templates.image.own_wheel import ROOT, build_wheel, epoch_s, version

__all__ = ["CLOUD_BUILD", "Context", "digest_of", "write_context"]

CLOUD_BUILD = "cloudbuild.yaml"
_REQUIREMENTS = ("build-requirements.txt", "requirements.txt")
_MADE = {*_REQUIREMENTS, CLOUD_BUILD, "Dockerfile", "template", "wheels"}
_PYTHON = "3.11"
# pip takes the first that fits, as it does in the image.
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64",
)  # fmt: skip
_TIMEOUT_S = 1800.0


class Context(NamedTuple):
    """A folder that is ready to be built in."""

    folder: Path
    digest: str
    """Of paths, permissions and contents: ``sha256:...``."""
    bytes: int
    has_wheels: bool
    """Whether it needs no index of packages."""


def write_context(
    folder: Path,
    cloud_build: str,
    origin: Origin,
    *,
    with_wheels: bool = False,
    root: Path = ROOT,
    image: Path = IMAGE_FOLDER,
) -> Context:
    """Make the folder, in place of what an earlier call has made there.

    Args:
        folder: made if missing.
        cloud_build: text of ``cloudbuild.yaml``.
        origin: the commit, for the images' labels.
        with_wheels: fetch every package that is installed, so that the build fetches none.
        root: of the clone that is built.
        image: folder of the Dockerfile and the requirements.

    Guarantees:
        What the folder holds depends on the arguments, the content of the sources, the version of
        setuptools and ``SOURCE_DATE_EPOCH``, as do permissions and times. Every package is one that
        has a hash in ``requirements.txt``.

    Raises:
        ConfigError: something else lies in the folder, this is no clone, or a package can't be
            fetched.
    """
    _clear(folder)
    for name in _REQUIREMENTS:
        shutil.copyfile(image / name, folder / name)
    text = dockerfile(version(root), origin, image)
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    (folder / CLOUD_BUILD).write_text(cloud_build, encoding="utf-8")
    (folder / "template").mkdir()
    for template in TEMPLATES:
        path = folder / "template" / file_name(template)
        path.write_text(entry(template), encoding="utf-8")
    build_wheel(folder / "wheels", root)
    if with_wheels:
        _fetch_wheels(folder)
    _even(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Context(folder, digest_of(folder), size, with_wheels)


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    others = sorted({path.name for path in folder.iterdir()} - _MADE)
    if others:
        raise ConfigError(
            "--context", folder, f"holds {others[0]}, which is not of a build",
            "Name a folder that is new, empty, or of an earlier build",
        )  # fmt: skip
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _fetch_wheels(folder: Path) -> None:
    """Download what both files of requirements name, for Linux on x86-64."""
    for name in _REQUIREMENTS:
        _run_pip(
            "download", "--quiet", "--no-deps", "--require-hashes", "--no-build-isolation",
            "--only-binary=:all:", "--no-binary=google-apitools",
            "--python-version", _PYTHON, "--implementation", "cp",
            *(flag for each in _PLATFORMS for flag in ("--platform", each)),
            "--dest", str(folder / "wheels"), "--requirement", str(folder / name),
        )  # fmt: skip


def _run_pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
        raise ConfigError(
            "--wheels", None, f"can't be fetched: {' '.join(lines[:2]) or 'pip fails'}",
            "Check the network and pip's index, or leave --wheels out",
        )  # fmt: skip


def _even(folder: Path) -> None:
    """Give everything the permissions and the time that it has anywhere."""
    moment = epoch_s()
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (moment, moment))


def digest_of(folder: Path) -> str:
    """Return a hash of a folder's files: of paths, permissions and contents."""
    total = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in sorted(files.items()):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"
