"""Reading what a client sends: a request's body, within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from connectors.broker import limits
from connectors.broker.http.rest import Answer, failure

__all__ = ["Bodies", "Unreadable"]


class Unreadable(Exception):  # noqa: N818 - an answer to the client
    """The body is too large, too slow or broken; ``answer`` says so."""

    def __init__(self, status: int, name: str, text: str) -> None:
        super().__init__(text)
        self.answer: Answer = failure(status, name, text)


class Bodies:
    """The bodies of all requests that are being answered; together they are bounded too."""

    def __init__(self) -> None:
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """Give the body of a request, uncompressed, for the block.

        Raises:
            Unreadable: it can't be had.
        """
        parts: list[bytes] = []
        try:
            await self._within_time(request, parts)
            yield b"".join(parts)
        finally:
            self._held_bytes -= sum(map(len, parts))

    async def _within_time(self, request: web.BaseRequest, parts: list[bytes]) -> None:
        try:
            await asyncio.wait_for(self._collect(request, parts), limits.HTTP_BODY_S_MAX)
        except asyncio.TimeoutError:
            raise Unreadable(408, "DEADLINE_EXCEEDED", "The request came too slowly.") from None
        except ConnectionError:
            raise Unreadable(499, "CANCELLED", "The client has gone.") from None
        except web.RequestPayloadError as error:
            text = f"The request is broken: {error}."
            raise Unreadable(400, "INVALID_ARGUMENT", text) from None

    async def _collect(self, request: web.BaseRequest, parts: list[bytes]) -> None:
        if request.headers.get("Expect", "").lower() == "100-continue":
            # curl asks before it sends a large body, and waits for a second
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        size_bytes = 0
        async for part in request.content.iter_any():
            size_bytes += len(part)
            self._check(size_bytes, self._held_bytes + len(part))
            self._held_bytes += len(part)
            parts.append(part)

    def _check(self, size_bytes: int, held_bytes: int) -> None:
        if size_bytes > limits.HTTP_BODY_BYTES_MAX:
            text = f"The body is larger than {limits.HTTP_BODY_BYTES_MAX} bytes, uncompressed."
            raise Unreadable(413, "INVALID_ARGUMENT", text)
        if held_bytes > limits.HTTP_BODIES_BYTES_MAX:
            raise Unreadable(503, "UNAVAILABLE", "Too much comes at the same time; try again.")
