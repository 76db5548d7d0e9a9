"""The store of a path: this machine's files, or objects on Cloud Storage."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar

import pyarrow as pa

from connectors import cloud_storage as cloud
from connectors import retry
from connectors.cloud_storage import BYTES, ONCE, SCHEME, AbsentError, Upload, absent
from connectors.lease import Lease
from connectors.local_store import LocalStore
from connectors.object_slots import ObjectSlots
from connectors.store import LOCK_WAIT_S, Found, Lock, Store, is_remote
from transforms.errors import ConfigError, PermanentError

__all__ = ["ObjectStore", "store_of"]

Result = TypeVar("Result")

CALLS_MAX = 16
"""Requests of one store at a time, where there are many to make."""
_LOCK = ".lock"
_ROWS = "headrace-rows"
_PATIENCE = retry.Backoff(first_s=0.2, limit_s=10.0, patience_s=120.0)

_log = logging.getLogger(__name__)


class ObjectStore:
    """Objects on Cloud Storage.

    Guarantees:
        An object appears whole and durable when its upload is complete, so there is nothing to
        sync, and nothing remains of an upload that was cut off. ``publish`` and ``write_new`` make
        an object only if there is none (``ifGenerationMatch=0``). Every call is tried again while
        its failure is transient, for two minutes; a repeated upload whose first answer was lost
        finds its own object, and is done.
        A rename is a copy and a delete: a crash in between leaves both, and repeating the rename
        mends it.
        Locks are leases: see ``connectors/lease.py``.

    Raises:
        ConfigError: the bucket does not exist, or access is denied.
        TransientError: the service did not answer in time.
    """

    locks_expire = True

    def __init__(self, backoff: retry.Backoff = _PATIENCE) -> None:
        self._backoff = backoff
        self._slots = ObjectSlots(backoff)

    def names(self, folder: str) -> list[str]:
        """Return what is directly below a prefix, sorted."""
        return self._call(folder, lambda: self._names(folder))

    def _names(self, folder: str) -> list[str]:
        bucket, prefix = cloud.prefix(folder)
        listed = cloud.client().list_blobs(bucket, prefix=prefix, delimiter="/", **ONCE)
        found = {blob.name.removeprefix(prefix) for blob in listed}
        folders = {name.removeprefix(prefix).rstrip("/") for name in listed.prefixes}
        return sorted((found | folders) - {""})

    def walk(self, folder: str) -> Iterator[Found]:
        """Yield each object below the prefix."""
        bucket, prefix = cloud.prefix(folder)

        def listed() -> list[Found]:
            blobs = cloud.client().list_blobs(bucket, prefix=prefix, **ONCE)
            return [
                Found(blob.name.removeprefix(prefix), blob.size, blob.updated.timestamp())
                for blob in blobs
            ]

        yield from self._call(folder, listed)

    def exists(self, path: str) -> bool:
        """Tell whether there is an object, or any object below the prefix."""
        return self._generation(path) != 0 or bool(self.names(path))

    def present(self, paths: Sequence[str]) -> set[str]:
        """Return those paths that are objects; many are asked for at a time."""
        found = self._many(self._generation, paths)
        return {path for path, generation in zip(paths, found, strict=True) if generation}

    def read(self, path: str) -> bytes:
        """Return the content of a small object.

        Raises:
            FileNotFoundError: there is none.
        """
        try:
            return self._call(path, lambda: cloud.blob(path).download_as_bytes(**ONCE), absent)
        except AbsentError:
            raise FileNotFoundError(path) from None

    def version(self, path: str) -> str:
        """Return the generation of an object.

        Raises:
            FileNotFoundError: there is none.
        """
        generation = self._generation(path)
        if not generation:
            raise FileNotFoundError(path)
        return str(generation)

    def write(self, path: str, content: bytes) -> None:
        """Write an object, over another if there is one."""
        self._call(path, lambda: cloud.blob(path).upload_from_string(content, BYTES, **ONCE))

    def write_new(self, path: str, content: bytes) -> bool:
        """Make an object unless there is one; tell whether its content is now this."""
        return self._slots.replace(path, content, 0) is not None or self.read(path) == content

    def input(self, path: str) -> Any:
        """Return the object as an open file of this machine, which goes when it is closed.

        Raises:
            FileNotFoundError: there is none.
        """
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it

        def download() -> None:
            file.seek(0)
            file.truncate()
            cloud.blob(path).download_to_file(file, **ONCE)

        try:
            self._call(path, download, absent)
        except BaseException as error:
            file.close()
            if isinstance(error, AbsentError):
                raise FileNotFoundError(path) from None
            raise
        file.seek(0)
        return file

    def output(self, path: str) -> Any:
        """Open a file of this machine that becomes an object when it is closed."""
        return pa.PythonFile(Upload(lambda file: self._upload(file, path, {})), mode="w")

    def publish(self, staged: str, path: str, rows: int) -> None:
        """Upload a file of this machine, unless there is an object of that name.

        Raises:
            PermanentError: there is one, with another number of rows: two jobs use one name.
        """
        note = {_ROWS: str(rows)}
        with open(staged, "rb") as file:
            made = self._upload(file, path, note, if_generation_match=0)
        if not made:
            self._require_own(path, note)
        os.unlink(staged)

    def _upload(
        self, file: IO[bytes], path: str, metadata: dict[str, str], **condition: int
    ) -> bool:
        """Upload a file; tell whether the condition held."""

        def upload() -> None:
            blob = cloud.blob(path)
            blob.metadata = metadata or None
            file.seek(0)
            blob.upload_from_file(
                file, size=size, content_type=BYTES, checksum="crc32c", **condition, **ONCE
            )

        size = file.seek(0, io.SEEK_END)
        return cloud.met(path, upload, self._backoff)

    def _require_own(self, path: str, note: dict[str, str]) -> None:
        """Refuse an object of our name that another job has written.

        Of one job it has the same rows, made by an earlier try whose end we don't know.
        """

        def found() -> dict[str, str] | None:
            blob = cloud.blob(path)
            blob.reload(**ONCE)
            return blob.metadata

        if self._call(path, found) != note:
            raise PermanentError(
                f"{path} exists, with other rows than those to be written: two jobs write under "
                "one name. Give each a name of its own (job), or its own path"
            )
        _log.info("%s was there already: an earlier try has written it", path)

    def make_folder(self, folder: str) -> None:
        """Nothing to do: prefixes need not be created."""

    def size(self, path: str) -> int:
        """Return the size of an object in bytes."""

        def found() -> int:
            blob = cloud.blob(path)
            blob.reload(**ONCE)
            return blob.size

        return self._call(path, found)

    def sync(self, path: str) -> None:
        """Nothing to do: an object is durable as soon as it is there."""

    def sync_folder(self, folder: str) -> None:
        """Nothing to do: names are durable as soon as they are there."""

    def rename(self, source: str, target: str) -> None:
        """Copy, then delete; what another process has renamed meanwhile is renamed.

        Raises:
            FileNotFoundError: there is neither the source nor the target.
        """
        try:
            self._call(source, lambda: cloud.copy(source, target), absent)
        except AbsentError:
            if not self._generation(target):
                raise FileNotFoundError(source) from None
        self.remove(source)

    def rename_all(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Rename many at a time: each takes two calls."""
        self._many(lambda pair: self.rename(*pair), pairs)

    def remove(self, path: str) -> None:
        """Delete an object; it is no error if there is none."""
        with contextlib.suppress(AbsentError):
            self._call(path, lambda: cloud.blob(path).delete(**ONCE), absent)

    def remove_folder(self, folder: str) -> None:
        """Delete every object below a prefix, and last of all its lock."""
        names = [file.name for file in self.walk(folder)]
        self._many(lambda name: self.remove(posixpath.join(folder, name)), names)

    def lock(self, folder: str, wait_s: float = LOCK_WAIT_S, holder: str = "") -> Lock | None:
        """Lock a prefix by an object in it."""
        return Lease.acquire(self._slots, posixpath.join(folder, _LOCK), wait_s, holder)

    def can_stage(self, folder: str, root: str) -> bool:
        """Tell whether the prefix is in a bucket at all: what lies beside a bucket is not."""
        return is_remote(folder) == is_remote(root)

    def _generation(self, path: str) -> int:
        """Return the generation of an object, 0 if there is none."""
        bucket, name = cloud.parts(path)
        if not name:
            return 0

        def found() -> int:
            blob = cloud.client().bucket(bucket).get_blob(name, **ONCE)
            return blob.generation if blob else 0

        return self._call(path, found)

    def _call(
        self,
        path: str,
        action: Callable[[], Result],
        other: Callable[[Exception], None] | None = None,
    ) -> Result:
        return cloud.call(path, action, self._backoff, other)

    def _many(self, action: Callable[[Any], Result], items: Sequence[Any]) -> list[Result]:
        if len(items) < 2:  # noqa: PLR2004 (one needs no threads)
            return [action(item) for item in items]
        with ThreadPoolExecutor(CALLS_MAX) as pool:
            return list(pool.map(action, items))


def store_of(path: str) -> Store:
    """Return the store that a path belongs to.

    Raises:
        ConfigError: the path is neither of this machine nor on Cloud Storage.
    """
    if not is_remote(path):
        return LocalStore()
    if not path.startswith(SCHEME):
        raise ConfigError(
            "path", path, "is neither on this machine nor on Cloud Storage",
            "Write a path such as ./lake or gs://my-bucket/lake",
        )  # fmt: skip
    return ObjectStore()
