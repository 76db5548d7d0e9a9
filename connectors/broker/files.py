"""Files of a data directory: its lock, whole writes, what makes them durable."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from connectors.broker.errors import DataDirInUse

__all__ = ["lock_directory", "sync_content", "sync_directory", "write_all"]


def lock_directory(directory: Path) -> int:
    """Return the lock of a data directory, which ends when it is closed, or with the process.

    Raises:
        DataDirInUse: another process has it.
    """
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DataDirInUse(f"{directory} is in use by another broker; stop that one") from None
    return lock


def write_all(file: int, data: bytes, offset: int) -> None:
    """Write all bytes at an offset, in as many calls as the system needs."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def sync_directory(directory: Path) -> None:
    """Make durable which files there are."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_content(file: int) -> None:
    """Make a file's content durable; macOS has no ``fdatasync``."""
    sync = os.fdatasync if hasattr(os, "fdatasync") else os.fsync
    sync(file)
