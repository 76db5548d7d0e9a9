"""Where files are kept: the few operations that an atomic commit is made of.

``connectors/local_store.py`` has the one of this machine, ``connectors/objects.py`` that of Cloud
Storage. Each method is one step that a crash can separate from the next, which is also what the
crash tests count.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from transforms.errors import HeadraceError, PermanentError, TransientError

__all__ = [
    "LOCK_WAIT_S",
    "Found",
    "Lock",
    "Store",
    "is_full",
    "is_remote",
    "mark",
    "write_error",
]

LOCK_WAIT_S = 60.0
"""A commit holds a lake's lock for the time of its renames; longer than this is no commit."""


class Lock(Protocol):
    """A lock that is held until it is released, or until the process ends."""

    taken_from: str
    """The holder from whom it was taken because it seemed dead; empty as a rule."""

    def release(self) -> None:
        """Let others have it."""


class Found(NamedTuple):
    """A file below a folder: its path within it, its size, and when it was written (Unix time)."""

    name: str
    bytes: int
    modified_s: float


class Store(Protocol):
    """File operations on absolute paths with ``/`` between their parts."""

    locks_expire: bool
    """Whether a lock may be taken from a holder that only seems dead; then only ``write_new``
    decides between the two."""

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted; nothing if the folder does not exist."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""

    def present(self, paths: Sequence[str]) -> set[str]:
        """Return those paths that are files."""

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""

    def version(self, path: str) -> str:
        """Return what is another text whenever a file has been written anew.

        Raises:
            FileNotFoundError: there is none.
        """

    def write(self, path: str, content: bytes) -> None:
        """Write a small file; it is either complete and durable, or not there."""

    def write_new(self, path: str, content: bytes) -> bool:
        """Write a small file unless there is one; tell whether its content is now this."""

    def input(self, path: str) -> Any:
        """Open a file for Arrow and others to read from; it can seek."""

    def walk(self, folder: str) -> Iterator[Found]:
        """Yield each file below a folder."""

    def publish(self, staged: str, path: str, rows: int) -> None:
        """Make a complete file of this machine durable, then visible under its final name.

        Whoever publishes the same rows again under the same name is done, or replaces the file.
        """

    def make_folder(self, folder: str) -> None:
        """Create a folder and those above it, durably."""

    def output(self, path: str) -> Any:
        """Open a new file for Arrow to write to."""

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""

    def sync(self, path: str) -> None:
        """Make the content of a file durable."""

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable."""

    def rename(self, source: str, target: str) -> None:
        """Move a file, over another if there is one."""

    def rename_all(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Move files, in any order."""

    def remove(self, path: str) -> None:
        """Delete a file or an empty folder; it is no error if there is none."""

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it; it is no error if there is none."""

    def lock(self, folder: str, wait_s: float = LOCK_WAIT_S, holder: str = "") -> Lock | None:
        """Lock a folder against other processes; None if someone else keeps it for so long.

        Args:
            folder: to be locked.
            wait_s: how long to wait for others.
            holder: what the next one is told if this lock is taken away.
        """

    def can_stage(self, folder: str, root: str) -> bool:
        """Tell whether a folder exists or can be made from which files may move to the root."""


def is_remote(path: str) -> bool:
    """Tell whether a path names an object store (``gs://``) and not this machine's files."""
    return "://" in path


def mark(store: Store, path: str) -> None:
    """Create an empty file, durably: it can't be torn, so that it needs no other name first."""
    store.output(path).close()
    store.sync_folder(posixpath.dirname(path))


def is_full(error: OSError) -> bool:
    """Tell whether there is no room on the disk, or none for this user."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_error(error: OSError, path: str) -> HeadraceError:
    """Return the error to raise when a run can't write to its lake."""
    if not is_full(error):
        return PermanentError(f"can't write to {path}: {error}")
    return TransientError(
        f"disk full while writing to {path}: nothing of this run is visible in the lake and no "
        "message was acknowledged; what was committed before is untouched. Free some space or "
        "choose another output folder, then run again: the messages will be delivered again."
    )
