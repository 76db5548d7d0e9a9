"""Files that come with a load job: in one request, or in parts that can be resumed."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.state import new_uid

__all__ = ["Uploads", "multipart"]

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the job and the file of a ``multipart/related`` body.

    Raises:
        Refusal: it is not of two parts.
    """
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise _invalid(f"Content-Type {content_type!r} has no boundary")
    parts = body.split(b"--" + found[1].encode())
    if len(parts) != 4:  # noqa: PLR2004 - before, the job, the file, after
        raise _invalid(f"{len(parts) - 2} parts where there must be 2")
    job, media = (_content(part) for part in parts[1:3])
    try:
        return json.loads(job), media
    except ValueError as error:
        raise _invalid(f"the first part is no JSON: {error}") from None


def _content(part: bytes) -> bytes:
    for blank in (b"\r\n\r\n", b"\n\n"):
        _, found, content = part.partition(blank)
        if found:
            return content[: -len(blank) // 2]
    raise _invalid("a part without headers")


class Uploads:
    """Uploads in progress; they are in memory and do not outlive the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[dict[str, Any], bytearray]] = {}

    def begin(self, resource: dict[str, Any]) -> str:
        """Open an upload for a job and return its id."""
        upload = new_uid()
        with self._lock:
            self._open[upload] = resource, bytearray()
        return upload

    def add(
        self, upload: str, content_range: str, part: bytes
    ) -> tuple[dict[str, Any], bytes] | None:
        """Add a part; return the job and the whole file with the last, else None.

        Raises:
            Refusal: there is no such upload, or the part is not the next one.
        """
        with self._lock:
            resource, data = self._find(upload)
            found = _RANGE.fullmatch(content_range) if content_range else None
            if content_range and not found:
                raise _invalid(f"Content-Range {content_range!r}")
            if found is None or found[1] is not None:
                start = int(found[1]) if found else 0
                if start != len(data):
                    raise _invalid(f"a part at {start} where {len(data)} bytes are known")
                data += part
            if len(data) > limits.UPLOAD_BYTES_MAX:
                raise _invalid(f"more than {limits.UPLOAD_BYTES_MAX} bytes")
            if found is None or (found[3] != "*" and int(found[3]) == len(data)):
                del self._open[upload]
                return resource, bytes(data)
            return None

    def received(self, upload: str) -> int:
        """Return how many bytes are there."""
        with self._lock:
            return len(self._find(upload)[1])

    def _find(self, upload: str) -> tuple[dict[str, Any], bytearray]:
        if upload not in self._open:
            raise Refusal(Code.NOT_FOUND, f"Not found: Upload {upload}")
        return self._open[upload]


def _invalid(text: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"Invalid upload: {text}.")
