"""Clones of the sources as others have them: other permissions, times and leftovers."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from templates.image.own_wheel import PACKAGES, ROOT

__all__ = ["clone_of", "unlike"]


def clone_of(folder: Path, root: Path = ROOT) -> Path:
    """Copy what a wheel is built from into a new folder; return it."""
    folder.mkdir(parents=True)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy2(root / name, folder / name)
    leave_out = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(root / package, folder / package, ignore=leave_out)
    return folder


def unlike(folder: Path, root: Path) -> Path:
    """Copy a clone, and change all that should not matter; return the copy."""
    clone_of(folder, root)
    for at, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            path.chmod(stat.S_IMODE(0o700 if at % 2 else 0o640))
            os.utime(path, (1_500_000_000 + at, 1_500_000_000 + at))
    (folder / "build" / "lib" / "transforms").mkdir(parents=True)
    (folder / "build" / "lib" / "transforms" / "removed_last_year.py").write_text("x = 1\n")
    (folder / "transforms" / "__pycache__").mkdir()
    (folder / "transforms" / "__pycache__" / "errors.cpython-39.pyc").write_bytes(b"old")
    return folder
