"""A distribution of the code, installed where nothing of the clone is: as in an image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipelines.errors import DataError
from templates.image.own_wheel import PACKAGES

__all__ = ["import_all", "install", "missing_modules"]

_TIMEOUT_S = 300.0
_IMPORT = """
import importlib, json, sys
for name in json.loads(sys.argv[2]):
    module = importlib.import_module(name)
    if not module.__file__.startswith(sys.argv[1]):
        raise ImportError(f"{name} comes from {module.__file__}")
"""


def install(packages: Sequence[Path], target: Path) -> None:
    """Install wheels or source archives into an empty folder, without a network.

    Raises:
        DataError: one can't be installed.
    """
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--no-compile", "--disable-pip-version-check",
        f"--target={target}", *map(str, packages),
    ]  # fmt: skip
    _run(command, os.environ, target.parent)


def import_all(modules: Iterable[str], target: Path, scratch: Path) -> None:
    """Import modules in a process that has them from a folder and from nowhere else.

    Raises:
        DataError: one can't be imported, or comes from elsewhere.
    """
    names = json.dumps(sorted(modules))
    command = [sys.executable, "-c", _IMPORT, str(target), names]
    _run(command, {**os.environ, "PYTHONPATH": str(target)}, scratch)


def missing_modules(modules: Iterable[str], target: Path) -> list[str]:
    """Return those of our modules that are not in a folder where the code is installed."""
    ours = (name for name in sorted(modules) if name.partition(".")[0] in PACKAGES)
    return [name for name in ours if not _has(target, name)]


def _has(target: Path, module: str) -> bool:
    place = target.joinpath(*module.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(lines[-1] if lines else f"exit code {done.returncode}")
