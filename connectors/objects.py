"""The store of a path: this machine's files, or an object store through Beam's file systems."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from connectors.store import LOCK_WAIT_S, LocalStore, Lock, Store, is_remote

__all__ = ["ObjectStore", "store_of"]


class _NoLock:
    """Stands for a lock where there are none."""

    def release(self) -> None:
        """Nothing is held."""


class ObjectStore:
    """Objects on Cloud Storage, by Beam's file systems.

    Guarantees:
        An object appears whole and durable when its upload is closed, so there is nothing to
        sync. A rename is a copy and a delete: a crash in between leaves both, and repeating the
        rename mends it.
        There are no locks: keep to one run at a time per lake. The staged files of a run that
        died before its commit stay until they are deleted, by a life cycle rule for instance.
    """

    def names(self, folder: str) -> list[str]:
        """Return what is directly below a prefix, sorted."""
        prefix = folder.rstrip("/") + "/"
        found = FileSystems.match([prefix + "**"])[0].metadata_list
        return sorted({item.path[len(prefix) :].partition("/")[0] for item in found} - {""})

    def exists(self, path: str) -> bool:
        """Tell whether there is an object, or any object below the prefix."""
        return FileSystems.exists(path) or bool(self.names(path))

    def read(self, path: str) -> bytes:
        """Return the content of a small object."""
        with FileSystems.open(path, compression_type="uncompressed") as file:
            return file.read()

    def write(self, path: str, content: bytes) -> None:
        """Write an object; it appears when it is complete."""
        with FileSystems.create(path, compression_type="uncompressed") as file:
            file.write(content)

    def make_folder(self, folder: str) -> None:
        """Nothing to do: prefixes need not be created."""

    def output(self, path: str) -> Any:
        """Open a new object for Arrow to write to."""
        return pa.PythonFile(FileSystems.create(path, compression_type="uncompressed"), mode="w")

    def size(self, path: str) -> int:
        """Return the size of an object in bytes."""
        return FileSystems.match([path])[0].metadata_list[0].size_in_bytes

    def sync(self, path: str) -> None:
        """Nothing to do: an object is durable as soon as it is there."""

    def sync_folder(self, folder: str) -> None:
        """Nothing to do: names are durable as soon as they are there."""

    def rename(self, source: str, target: str) -> None:
        """Copy, then delete."""
        FileSystems.rename([source], [target])

    def remove(self, path: str) -> None:
        """Delete an object; it is no error if there is none."""
        if FileSystems.exists(path):
            FileSystems.delete([path])

    def remove_folder(self, folder: str) -> None:
        """Delete every object below a prefix."""
        found = FileSystems.match([folder.rstrip("/") + "/**"])[0].metadata_list
        if found:
            FileSystems.delete([item.path for item in found])

    def lock(self, folder: str, wait_s: float = LOCK_WAIT_S) -> Lock | None:  # noqa: ARG002 - as Store has it
        """Return a lock that keeps nobody out; None for a trial: whoever wrote may be alive."""
        return _NoLock() if wait_s > 0 else None

    def can_stage(self, folder: str, root: str) -> bool:
        """Tell whether the prefix is in a bucket at all: what lies beside a bucket is not."""
        return is_remote(folder) == is_remote(root)


def store_of(path: str) -> Store:
    """Return the store that a path belongs to. Local paths never go through Beam."""
    return ObjectStore() if is_remote(path) else LocalStore()
