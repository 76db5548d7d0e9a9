"""Virtual environments for engines that can't share the project's; made once, when needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.engines import Environment

__all__ = ["InstallError", "python_of"]

ROOT = Path(__file__).resolve().parents[1]


class InstallError(Exception):
    """The packages of an environment could not be installed."""


def python_of(environment: Environment | None) -> str:
    """Return the interpreter of the environment; None is the one that runs now.

    Raises:
        InstallError: pip failed, for example because there is no wheel for this Python.
    """
    if environment is None:
        return sys.executable
    folder = ROOT / f".venv-bench-{environment.name}"
    wanted = "\n".join(environment.requirements)
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        _call(sys.executable, "-m", "venv", "--clear", str(folder))
        _call(str(folder / "bin/python"), "-m", "pip", "install", "-q", *environment.requirements)
        installed.write_text(wanted)
    return str(folder / "bin/python")


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise InstallError(lines[-1] if lines else f"{command[0]} failed")
