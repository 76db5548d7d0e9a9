"""Objects that are replaced only if they are as they were seen: what locks are made of."""

from __future__ import annotations

import contextlib
import functools

from google.api_core import exceptions as api

from connectors import cloud_storage as cloud
from connectors import retry
from connectors.cloud_storage import BYTES, ONCE, AbsentError, absent
from connectors.lease import Seen
from transforms.errors import TransientError

__all__ = ["ObjectSlots"]


class ObjectSlots:
    """``connectors.lease.Slots`` on Cloud Storage.

    A repeated ``replace`` whose first answer was lost finds the object changed, by itself, and
    tells so: who wants to know must see whose it is.

    Args:
        backoff: how often and how long a call is tried again.
    """

    def __init__(self, backoff: retry.Backoff) -> None:
        self._backoff = backoff

    def see(self, path: str) -> Seen | None:
        """Return an object with its generation."""

        def found() -> Seen:
            blob = cloud.blob(path)
            content = blob.download_as_bytes(**ONCE)
            try:
                blob.reload(if_generation_match=blob.generation, **ONCE)
            except api.PreconditionFailed as error:
                raise TransientError(f"{path} was replaced while it was read") from error
            return Seen(blob.generation, blob.updated, content)

        with contextlib.suppress(AbsentError):
            return cloud.call(path, found, self._backoff, absent)
        return None

    def replace(self, path: str, content: bytes, generation: int) -> int | None:
        """Write an object if it has the generation."""
        written: list[int] = []

        def upload() -> None:
            blob = cloud.blob(path)
            blob.upload_from_string(content, BYTES, if_generation_match=generation, **ONCE)
            written.append(blob.generation)

        return written[0] if cloud.met(path, upload, self._backoff) else None

    def discard(self, path: str, generation: int) -> None:
        """Delete an object if it has the generation."""
        with contextlib.suppress(AbsentError):
            delete = functools.partial(
                cloud.blob(path).delete, if_generation_match=generation, **ONCE
            )
            cloud.met(path, delete, self._backoff, absent)
