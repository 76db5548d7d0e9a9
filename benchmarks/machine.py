"""The machine and the versions that a figure depends on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.engines import ENGINES

__all__ = ["machine"]

PACKAGES = ("apache-beam", "pyarrow", "msgspec", "ptars", "duckdb", "polars")


def machine() -> dict[str, str]:
    """Return what the machine is and which versions ran, in words."""
    pinned = {
        requirement
        for engine in ENGINES
        if engine.environment
        for requirement in engine.environment.requirements[:1]
    }
    return {
        "cpu": f"{os.cpu_count()} cores, {_cpu_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(
            [*(f"{name} {version(name)}" for name in PACKAGES)]
            + [requirement.replace("==", " ") for requirement in sorted(pinned)]
        ),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
