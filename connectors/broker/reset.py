"""Beginning anew: the log of a data directory removed, and nothing else that may be there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from connectors.broker.files import lock_directory, sync_directory

__all__ = ["Removed", "reset"]

_SEGMENT = re.compile(r"\d{20}\.log")


class Removed(NamedTuple):
    """What was removed."""

    segments: int
    size_bytes: int


def reset(directory: Path) -> Removed:
    """Remove the log: all topics, subscriptions, messages, schemas, policies.

    The oldest file goes first. If this is interrupted, what is left has a beginning that is
    missing, which the broker notices, rather than an end, which would bring back what was acked.

    Raises:
        DataDirInUse: a broker has it open.
        OSError: a file can't be removed.
    """
    if not directory.exists():
        return Removed(0, 0)
    lock = lock_directory(directory)
    try:
        segments = sorted(path for path in directory.iterdir() if _SEGMENT.fullmatch(path.name))
        size_bytes = sum(path.stat().st_size for path in segments)
        for path in segments:
            path.unlink()
        sync_directory(directory)
    finally:
        os.close(lock)
    return Removed(len(segments), size_bytes)
