"""HTTP to handlers and back: routes, bodies and errors in the form of Google's REST APIs."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, PortInUse, Refusal

__all__ = ["Answer", "Call", "Handler", "HttpServer", "Route", "error_body", "route"]

_log = logging.getLogger(__name__)

_HTTP: dict[Code, tuple[int, str]] = {
    Code.INVALID_ARGUMENT: (400, "invalid"),
    Code.OUT_OF_RANGE: (400, "invalid"),
    Code.PERMISSION_DENIED: (403, "accessDenied"),
    Code.RESOURCE_EXHAUSTED: (403, "rateLimitExceeded"),
    Code.NOT_FOUND: (404, "notFound"),
    Code.ALREADY_EXISTS: (409, "duplicate"),
    Code.ABORTED: (409, "aborted"),
    Code.FAILED_PRECONDITION: (412, "conditionNotMet"),
    Code.UNIMPLEMENTED: (501, "notImplemented"),
    Code.UNAVAILABLE: (503, "backendError"),
}


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        method: of HTTP.
        path: without the query, decoded.
        query: parameters; the last of several with one name.
        headers: names in lower case.
        body: decompressed.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as an object; an empty body is an empty object.

        Raises:
            Refusal: it is no JSON object.
        """
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refusal(Code.INVALID_ARGUMENT, f"The body is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise Refusal(Code.INVALID_ARGUMENT, "The body must be a JSON object.")
        return found

    def whole(self, name: str, default: int) -> int:
        """Return a parameter that is a whole number, not below 0.

        Raises:
            Refusal: it is something else.
        """
        text = self.query.get(name) or str(default)
        if not text.isdecimal():
            raise Refusal(Code.INVALID_ARGUMENT, f"Invalid value for {name}: {text}.")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false."""
        return self.query.get(name, "").lower() == "true"


@dataclass(frozen=True)
class Answer:
    """One response.

    Args:
        body: sent as JSON; None sends nothing.
        status: of HTTP.
        headers: besides those of the body.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer]
Route = tuple[str, re.Pattern[str], Handler]


def route(method: str, pattern: str, handler: Handler) -> Route:
    """Return a route.

    Args:
        method: of HTTP.
        pattern: of the path; ``{name}`` stands for one segment and is a keyword of the handler.
        handler: takes the call and the segments.
    """
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
    return method, re.compile(expression), handler


def error_body(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the body of a refusal."""
    status, reason = _HTTP.get(refusal.code, (500, "internalError"))
    text = str(refusal)
    item = {"message": text, "domain": "global", "reason": reason}
    body = {"code": status, "message": text, "errors": [item], "status": refusal.code.name}
    return status, {"error": body}


class HttpServer(ThreadingHTTPServer):
    """Serves routes on an address until it is shut down.

    Guarantees: when it is closed it has no thread left. Calls under way are answered; connections
    that clients keep for their next call are ended.

    Raises:
        PortInUse: the address can't be listened on.
    """

    allow_reuse_address = True

    def __init__(self, host: str, port: int, routes: Sequence[Route]) -> None:
        self.routes = routes
        self._guard = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise PortInUse(f"{host}:{port} can't be listened on: {error}") from None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._guard:
            self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until the client, or ``server_close``, ends it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._open[threading.current_thread()]

    def server_close(self) -> None:
        """Listen no more, and end what is open; call it after ``shutdown``.

        A thread that outlives the interpreter keeps DuckDB's types, which complain about it.
        """
        super().server_close()
        with self._guard:
            left = dict(self._open)
        for thread, connection in left.items():
            with contextlib.suppress(OSError):  # the client has ended it
                connection.shutdown(socket.SHUT_RD)
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away when they like: that is nothing to print."""

    def answer(self, call: Call) -> Answer:
        """Return the response to a call; refusals and faults of our own become errors."""
        try:
            return self._routed(call)
        except Refusal as refusal:
            status, body = error_body(refusal)
            return Answer(body, status)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            _log.exception("a request has failed")
            failure = Refusal(Code.INTERNAL, f"The server has failed: {error!r}")
            return Answer(error_body(failure)[1], 500)

    def _routed(self, call: Call) -> Answer:
        for method, pattern, handler in self.routes:
            found = pattern.fullmatch(call.path)
            if found and method == call.method:
                return handler(call, **found.groupdict())
        raise Refusal(Code.NOT_FOUND, f"Not found: {call.method} {call.path}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this the headers and the body leave in two packets, and Nagle holds the second.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: HttpServer

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length") or 0)
        if length > limits.UPLOAD_BYTES_MAX:
            self.close_connection = True
            self._send(Answer({"error": {"code": 413, "message": "Request too large."}}, 413))
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        call = Call(
            self.headers.get("x-http-method-override") or self.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers,
            body,
        )
        self._send(self.server.answer(call))

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of the library

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """A server on a laptop prints no access log."""
