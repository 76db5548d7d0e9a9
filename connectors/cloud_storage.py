"""Calls to Cloud Storage: the client of this process, names, errors, and files to be uploaded."""

from __future__ import annotations

import functools
import io
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any, TypeVar

from google.api_core import exceptions as api

from connectors import retry
from connectors.clients import STORAGE_EMULATOR_HOST, Endpoint, open_storage, storage_endpoint
from transforms.errors import PermanentError

__all__ = [
    "BYTES", "ONCE", "SCHEME", "AbsentError", "Upload", "absent", "blob", "call", "client", "copy",
    "met", "parts", "prefix",
]  # fmt: skip

Result = TypeVar("Result")

SCHEME = "gs://"
TIMEOUT_S = 60.0
"""Of one request, between two bytes."""

BYTES = "application/octet-stream"

_clients_guard = threading.Lock()

ONCE: dict[str, Any] = {"retry": None, "timeout": TIMEOUT_S}
"""The client's own retries know neither our limits nor our errors."""


@functools.cache
def _client_of(endpoint: Endpoint) -> Any:
    return open_storage(endpoint)


def client() -> Any:
    """Return the client of this process for the present environment."""
    with _clients_guard:
        return _client_of(storage_endpoint())


def call(
    path: str,
    action: Callable[[], Result],
    backoff: retry.Backoff,
    other: Callable[[Exception], None] | None = None,
) -> Result:
    """Call until it succeeds or can't; ``other`` may raise what is no error.

    Raises:
        HeadraceError: the error, translated; a transient one after the patience is used up.
    """

    def attempt() -> Result:
        try:
            return action()
        except api.NotFound as error:
            if other:
                other(error)
            raise

    return retry.call(attempt, _subject(path), backoff)


def met(
    path: str,
    action: Callable[[], Any],
    backoff: retry.Backoff,
    other: Callable[[Exception], None] | None = None,
) -> bool:
    """Call as ``call`` does, and tell whether the precondition of the call held."""

    def attempt() -> bool:
        try:
            action()
        except api.PreconditionFailed:
            return False
        return True

    return call(path, attempt, backoff, other)


class AbsentError(PermanentError):
    """There is no such object, which whoever asked expects."""


def absent(error: Exception) -> None:
    """Raise ``AbsentError`` unless it is the bucket that is missing; for ``call``."""
    if "bucket does not exist" not in str(error).lower():
        raise AbsentError(str(error)) from error


class Upload(io.RawIOBase):
    """A file of this machine that is uploaded when it is closed."""

    def __init__(self, upload: Callable[[IO[bytes]], object]) -> None:
        self._upload = upload
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close

    def writable(self) -> bool:
        """It is for nothing else."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes."""
        return self._file.write(data)

    def tell(self) -> int:
        """Return how many bytes there are."""
        return self._file.tell()

    def close(self) -> None:
        """Upload the file, then forget it."""
        if self.closed:
            return
        try:
            self._upload(self._file)
        finally:
            self._file.close()
            super().close()


def parts(path: str) -> tuple[str, str]:
    """Return bucket and name."""
    bucket, _, name = path.removeprefix(SCHEME).partition("/")
    return bucket, name


def prefix(folder: str) -> tuple[str, str]:
    """Return the bucket, and how all names below the folder begin."""
    bucket, name = parts(folder.rstrip("/"))
    return bucket, f"{name}/" if name else ""


def blob(path: str) -> Any:
    """Return the object, unread."""
    bucket, name = parts(path)
    return client().bucket(bucket).blob(name)


def copy(source: str, target: str) -> None:
    """Copy an object within Cloud Storage, in as many calls as it takes."""
    origin = blob(source)
    token, _, _ = blob(target).rewrite(origin, **ONCE)
    while token is not None:
        token, _, _ = blob(target).rewrite(origin, token=token, **ONCE)


def _subject(path: str) -> retry.Subject:
    bucket = parts(path)[0]
    return retry.Subject(
        "path",
        path,
        f"Create the bucket: gcloud storage buckets create {SCHEME}{bucket}",
        storage_endpoint().advice,
        "roles/storage.objectUser",
        STORAGE_EMULATOR_HOST,
    )
