"""The wheel of this project, the same bytes from the same sources: anywhere, at any time."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines.params import ConfigError

__all__ = ["EPOCH_S", "PACKAGES", "ROOT", "build_wheel", "epoch_s", "version"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("connectors", "pipelines", "runners", "templates", "transforms")
_FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.py")
EPOCH_S = 315_532_800
"""1980-01-01, the first moment that a zip file can tell."""
_BUILD = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
_TIMEOUT_S = 300.0
_VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)


def epoch_s() -> int:
    """Return the time that built files carry: ``SOURCE_DATE_EPOCH``, else 1980-01-01.

    Raises:
        ConfigError: the variable is no time since 1980.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH") or str(EPOCH_S)
    if not text.isdecimal() or int(text) < EPOCH_S:
        raise ConfigError(
            "SOURCE_DATE_EPOCH", text, f"must be seconds since 1970, from {EPOCH_S} on",
            "Unset it, or set it to the time of the commit: git log -1 --format=%ct",
        )  # fmt: skip
    return int(text)


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build the project's wheel.

    Args:
        folder: where it is put; made if missing.
        root: of the clone that is built.

    Returns:
        The path of the wheel.

    Guarantees:
        The bytes depend on the content of the sources, the version of setuptools and
        ``SOURCE_DATE_EPOCH``; not on the place, the time, the owner's umask, permissions of the
        files, the order in which a folder lists them, or on what an earlier build has left.

    Raises:
        ConfigError: this is no clone but an installed package, setuptools is missing, or it
            refuses the sources.
    """
    _require(root)
    # An absolute path: the build runs elsewhere.
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources, made = Path(scratch, "sources"), Path(scratch, "made")
        _copy(root, sources)
        made.mkdir()
        _run(sources, made)
        (wheel,) = made.glob("*.whl")
        shutil.copyfile(wheel, folder / wheel.name)
        return folder / wheel.name


def version(root: Path = ROOT) -> str:
    """Return the project's version, as the clone states it.

    Raises:
        ConfigError: this is no clone.
    """
    _require(root)
    (found,) = _VERSION.findall((root / "pyproject.toml").read_text(encoding="utf-8"))
    return str(found)


def _require(root: Path) -> None:
    missing = [name for name in _FILES if not (root / name).is_file()]
    if missing:
        raise ConfigError(
            "build", root, f"must be a clone of the project: {missing[0]} is missing",
            "Clone the repository, and run python -m templates build there",
        )  # fmt: skip
    if importlib.util.find_spec("setuptools") is None:
        raise ConfigError(
            "build", None, "needs setuptools to build the project's wheel",
            "Run pip install --requirement requirements.lock",
        )  # fmt: skip


def _copy(root: Path, target: Path) -> None:
    """Copy the sources, without what a build or Python has left beside them.

    setuptools takes up whatever lies in ``build/``, and the wheel keeps each file's permissions.
    """
    for name in _FILES:
        _copy_file(root / name, target / name)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _copy_file(path, target / path.relative_to(root))


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _run(sources: Path, made: Path) -> None:
    told = {"SOURCE_DATE_EPOCH": str(epoch_s()), "PYTHONHASHSEED": "0", "TZ": "UTC"}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(made)],
        cwd=sources, env={**os.environ, **told}, umask=0o022, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-5:])
        raise ConfigError(
            "build", ROOT, f"can't be made a wheel by setuptools:\n{last}", "Mend what it names"
        )
