"""HTTP connections, each bounded: their number, and how long a client may keep us waiting.

aiohttp itself bounds the headers, 8 KiB each, and closes a connection on which no whole request
has come within the idle time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from connectors.broker import limits
from connectors.broker.http.rest import failure

__all__ = ["JSON", "Connections", "headers"]

_log = logging.getLogger(__name__)

JSON = "application/json; charset=utf-8"
_OUR_FAULT = 500


def headers(kind: str) -> dict[str, str]:
    """Return the headers of every answer, with its media type."""
    return {
        "Content-Type": kind,
        "Cache-Control": "no-store",
        "Server": "headrace",
        "X-Content-Type-Options": "nosniff",
    }


class Connections(web.Server):
    """All connections of a port.

    Args:
        handler: answers a request.
        count_max: connections at a time; more are closed at once.
        write_s_max: seconds after which a client that has hardly read is disconnected.
        idle_s_max: seconds for the headers of the next request.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        count_max: int = limits.HTTP_CONNECTIONS_MAX,
        write_s_max: float = limits.HTTP_WRITE_S_MAX,
        idle_s_max: float = limits.HTTP_IDLE_S_MAX,
    ) -> None:
        # A client that is gone gets no messages: its Pull ends with it.
        super().__init__(handler, request_factory=_request, handler_cancellation=True)
        self.count_max, self.write_s_max, self.idle_s_max = count_max, write_s_max, idle_s_max

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, asyncio.get_running_loop())


class _Connection(web.RequestHandler):
    __slots__ = ("_connections", "_slow")

    def __init__(self, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            connections,
            loop=loop,
            keepalive_timeout=connections.idle_s_max,
            access_log=None,  # type: ignore[arg-type]  # there is none
        )
        self._connections = connections
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._connections.connections) > self._connections.count_max:
            _log.warning("a connection was closed: %d are open", self._connections.count_max)
            self._abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forgive()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, in our own form; only our own faults are worth a log."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        if status >= _OUR_FAULT:
            _log.error("a request has failed", exc_info=exc)
            answer = failure(status, "INTERNAL", "The broker has failed.")
        else:
            text = " ".join((message or "The request is no HTTP.").split())
            answer = failure(status, "INVALID_ARGUMENT", text)
        response = web.Response(body=answer.body, status=status, headers=headers(JSON))
        response.force_close()
        return response

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._forgive()
        super().resume_writing()

    def _watch(self, waiting_bytes: int | None = None) -> None:
        """Abort if hardly any of the bytes that were waiting have been read; else look later."""
        if self.transport is None:
            return
        left_bytes = self.transport.get_write_buffer_size()
        enough_bytes = limits.HTTP_WRITE_BYTES_MIN
        if waiting_bytes is not None and left_bytes > waiting_bytes - enough_bytes:
            self._abort()
        else:
            wait_s = self._connections.write_s_max
            self._slow = self._loop.call_later(wait_s, self._watch, left_bytes)

    def _forgive(self) -> None:
        if self._slow:
            self._slow.cancel()
            self._slow = None

    def _abort(self) -> None:
        if self.transport:
            self.transport.abort()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=limits.HTTP_BODY_BYTES_MAX
    )
