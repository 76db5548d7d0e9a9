"""The folder of a job's state: held by one process, or temporary."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable

from runners.local.errors import StateFolderInUse, StoreError, StoreFull

__all__ = ["Folder", "sync_folder"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_held: set[int] = set()


class Folder:
    """A folder that is ours until ``release``, or until the process ends."""

    def __init__(self, path: str, release: Callable[..., None], *arguments: object) -> None:
        self.path = path
        # Runs at exit too, for who forgets to release. A forked child has no say in it.
        self._release = weakref.finalize(self, _in_process, os.getpid(), release, *arguments)

    @classmethod
    def hold(cls, path: str) -> Folder:
        """Create the folder where it is missing, and hold it by ``flock``.

        Raises:
            StateFolderInUse: another process, or another store of this one, holds it.
            StoreFull: there is no room for a folder.
            StoreError: it can't be created or written.
        """
        path = os.path.abspath(path)
        try:
            _create(path)
            lock = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unusable(path, error) from error
        _held.add(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace")
            _let_go(lock)
            raise _in_use(path, holder) from None
        except OSError as error:
            _let_go(lock)
            raise _unusable(path, error) from error
        return cls(path, _let_go, lock)

    @classmethod
    def temporary(cls) -> Folder:
        """Create a folder that is removed when it is released."""
        path = tempfile.mkdtemp(prefix="beam-local-runner-")
        return cls(path, shutil.rmtree, path, True)

    def release(self) -> None:
        """Let others have the folder; a temporary one is removed."""
        self._release()


def require_possible(path: str) -> None:
    """Refuse a folder that can't be made, as far as that can be told without making it.

    Raises:
        StoreError: what is there of its path is no folder, or may not be written.
    """
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise _unusable(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unusable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES), there))


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _in_process(process: int, release: Callable[..., None], *arguments: object) -> None:
    if os.getpid() == process:
        release(*arguments)


def _let_go(lock: int) -> None:
    _held.discard(lock)
    os.close(lock)


def _forget() -> None:
    """Close the locks in a forked process, which would hold them longer than this one lives."""
    for lock in list(_held):
        _let_go(lock)


os.register_at_fork(after_in_child=_forget)


def _create(path: str) -> None:
    """Create a folder with its parents, durably."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _create(parent)
    os.makedirs(path, exist_ok=True)
    sync_folder(parent)


def _in_use(path: str, holder: str) -> StateFolderInUse:
    who = f"process {holder}" if holder.isdecimal() else "another process"
    return StateFolderInUse(
        path, f"{who} works in this state folder", "Stop it, or give another --state_dir"
    )


def _unusable(path: str, error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StoreFull(path, f"the disk is full ({error})", "Free space, then run again")
    return StoreError(path, f"the folder can't be used ({error})", "Give another --state_dir")
