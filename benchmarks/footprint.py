"""Memory of a process tree and disk of a folder, looked at again and again."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.looking import Looking
from benchmarks.processes import rss_bytes

__all__ = ["Footprint", "Look", "disk_bytes"]

LOOK_S = 0.05
_BLOCK_BYTES = 512


class Look(NamedTuple):
    """What was found at a time."""

    s: float
    """Seconds since the first look."""
    rss_bytes: int
    """Resident memory of all processes together."""
    disk_bytes: int
    """What the folder takes of the disk."""


class Footprint(Looking):
    """Looks until the block ends.

    Args:
        tree: a process; those that it starts count too.
        folder: a folder, which need not be there yet.
    """

    def __init__(self, tree: psutil.Process, folder: Path) -> None:
        super().__init__("footprint", LOOK_S)
        self.looks: list[Look] = []
        self._tree, self._folder = tree, folder
        self._began_s = 0.0

    def look(self) -> None:
        """Look at both."""
        if not self.looks:
            self._began_s = time.monotonic()
        now_s = time.monotonic() - self._began_s
        self.looks.append(Look(now_s, rss_bytes(self._tree), disk_bytes(self._folder)))

    @property
    def rss_bytes_max(self) -> int:
        """The peak of the memory."""
        return max(look.rss_bytes for look in self.looks)

    @property
    def disk_bytes(self) -> int:
        """What the folder took of the disk when it was last looked at."""
        return self.looks[-1].disk_bytes if self.looks else 0

    @property
    def disk_bytes_max(self) -> int:
        """The peak of the disk."""
        return max(look.disk_bytes for look in self.looks)


def disk_bytes(folder: Path) -> int:
    """Return what all files below a folder take of the disk; nothing if it is not there."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(path, name)).st_blocks * _BLOCK_BYTES
    return total
