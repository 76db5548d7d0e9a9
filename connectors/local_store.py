"""The store of this machine: a file system with POSIX renames."""

from __future__ import annotations

import contextlib
import fcntl
import os
import posixpath
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from connectors.store import LOCK_WAIT_S, Found, Lock

__all__ = ["LocalStore"]


class FolderLock:
    """``flock`` on an open folder: the system releases it when the process dies."""

    taken_from = ""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class LocalStore:
    """A POSIX file system.

    Guarantees:
        After ``sync`` and ``sync_folder`` a file survives the loss of power, as far as the disk
        keeps what it confirms. Locks hold between processes of one machine; on a network file
        system only as far as its ``flock`` does.
    """

    locks_expire = False

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted; nothing if the folder does not exist."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        return os.path.exists(path)

    def present(self, paths: Sequence[str]) -> set[str]:
        """Return those paths that are files."""
        return {path for path in paths if self.exists(path)}

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""
        with open(path, "rb") as file:
            return file.read()

    def version(self, path: str) -> str:
        """Return a text of what the system notes of a file: its inode, time and size."""
        found = os.stat(path)
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def write(self, path: str, content: bytes) -> None:
        """Write beside, make durable, rename: the file is complete or not there."""
        temporary = f"{path}.tmp"
        with self.output(temporary) as file:
            file.write(content)
        self.sync(temporary)
        self.rename(temporary, path)
        self.sync_folder(posixpath.dirname(path))

    def write_new(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one. Needs a lock that keeps others from doing the same."""
        if self.exists(path):
            return self.read(path) == content
        self.write(path, content)
        return True

    def input(self, path: str) -> Any:
        """Open a file; Arrow reads from it without holding Python's lock."""
        return pa.OSFile(path, "rb")

    def walk(self, folder: str) -> Iterator[Found]:
        """Yield each file below a folder, but one that goes meanwhile."""
        for parent, _, names in os.walk(folder):
            for name in names:
                path = posixpath.join(parent, name)
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(path)
                    yield Found(posixpath.relpath(path, folder), found.st_size, found.st_mtime)

    def publish(self, staged: str, path: str, rows: int) -> None:
        """Make the file durable, then rename it, over that of an earlier try if there is one."""
        del rows
        folder = posixpath.dirname(path)
        self.sync(staged)
        self.make_folder(folder)
        self.rename(staged, path)
        self.sync_folder(folder)

    def make_folder(self, folder: str) -> None:
        """Create a folder and those above it, and make each name durable in its parent."""
        if os.path.isdir(folder):
            return
        parent = posixpath.dirname(folder)
        self.make_folder(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        self.sync_folder(parent)

    def output(self, path: str) -> Any:
        """Open a new file; Arrow writes to it without holding Python's lock."""
        return pa.OSFile(path, "wb")

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        return os.path.getsize(path)

    def sync(self, path: str) -> None:
        """Make the content of a file durable."""
        _fsync(path)

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable."""
        _fsync(folder)

    def rename(self, source: str, target: str) -> None:
        """Move a file, over another if there is one."""
        os.replace(source, target)

    def rename_all(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Move files one by one: that is quick."""
        for source, target in pairs:
            self.rename(source, target)

    def remove(self, path: str) -> None:
        """Delete a file or an empty folder; it is no error if there is none."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it; it is no error if there is none."""
        for name in self.names(folder):
            path = posixpath.join(folder, name)
            if os.path.isdir(path):
                self.remove_folder(path)
            else:
                self.remove(path)
        self.remove(folder)

    def lock(self, folder: str, wait_s: float = LOCK_WAIT_S, holder: str = "") -> Lock | None:
        """Lock a folder; the system gives the lock back when the process dies."""
        del holder  # nobody takes this lock away
        descriptor = os.open(folder, os.O_RDONLY)
        deadline = time.monotonic() + wait_s
        while not _flock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)
        return FolderLock(descriptor)

    def can_stage(self, folder: str, root: str) -> bool:
        """Tell whether the folder is there or can be, on a device that looks like the root's."""
        parent = posixpath.dirname(folder)
        if not os.path.exists(root) or os.stat(parent).st_dev != os.stat(root).st_dev:
            return False
        return os.path.exists(folder) or os.access(parent, os.W_OK)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
