"""Reading what a client sends: a request's body, within bounds of size and time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from connectors.broker import limits
from connectors.broker.http.rest import Answer, failure

__all__ = ["Unreadable", "read_body"]


class Unreadable(Exception):  # noqa: N818 - an answer to the client
    """The body is too large, too slow or broken; ``answer`` says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


async def read_body(request: web.BaseRequest) -> bytes:
    """Return the body of a request, uncompressed.

    Raises:
        Unreadable: it can't be had.
    """
    try:
        return await asyncio.wait_for(_read(request), limits.HTTP_BODY_S_MAX)
    except asyncio.TimeoutError:
        answer = failure(408, "DEADLINE_EXCEEDED", "The request came too slowly.")
    except web.HTTPRequestEntityTooLarge:
        text = f"The body is larger than {limits.HTTP_BODY_BYTES_MAX} bytes, uncompressed."
        answer = failure(413, "INVALID_ARGUMENT", text)
    except ConnectionError:
        answer = failure(499, "CANCELLED", "The client has gone.")
    except web.RequestPayloadError as error:
        answer = failure(400, "INVALID_ARGUMENT", f"The request is broken: {error}.")
    raise Unreadable(answer)


async def _read(request: web.BaseRequest) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        # curl asks before it sends a large body, and waits for a second
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return await request.read()
