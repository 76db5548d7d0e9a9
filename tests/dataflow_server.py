"""Dataflow's REST API on loopback: strict about every field, with jobs that follow scripts.

Bodies and query parameters are read into the messages of Google's own client, so that a field that
the API does not have is refused as the API would.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from tests.dataflow_jobs import Jobs, Refusal
from tests.dataflow_methods import METHODS, Request

__all__ = ["DataflowServer", "Fault", "Request"]

_PLACE = "/v1b3/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)"


@dataclass
class Fault:
    """What happens to requests instead of an answer.

    Attributes:
        path: a pattern that is searched for in method and path: ``POST .*launch``.
        answer: the error; None closes the connection without any.
        times: requests that it happens to.
        done: whether what was asked is done all the same, and only the answer is lost.
        wait_s: before the answer.
    """

    path: str
    answer: Refusal | None = None
    times: int = 1
    done: bool = False
    wait_s: float = 0.0


class DataflowServer:
    """The server, while the block runs.

    Args:
        cert: files of a certificate and its key, for https.

    Attributes:
        jobs: what it keeps.
        requests: all that it was asked, in order.
        faults: what happens to requests to come.
        url: of it.
    """

    def __init__(self, cert: tuple[Path, Path] | None = None) -> None:
        self.jobs = Jobs()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler, self)
        if cert is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*cert)
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "https" if cert else "http"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator[DataflowServer]:
        """Answer requests until the block ends."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    def sent(self, pattern: str) -> list[Request]:
        """Return the requests whose method and path a pattern is found in."""
        return [each for each in self.requests if re.search(pattern, f"{each.method} {each.path}")]

    def answer(self, request: Request) -> bytes | None:
        """Return the body of an answer, or None for none at all.

        Raises:
            Refusal: it is an error.
        """
        with self._lock:
            self.requests.append(request)
            fault = self._fault(request)
            if fault is None:
                return self._done(request)
            if fault.done:
                self._done(request)
        time.sleep(fault.wait_s)
        if fault.answer is not None:
            raise fault.answer
        return None

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.path, f"{request.method} {request.path}"):
                fault.times -= 1
                return fault
        return None

    def _done(self, request: Request) -> bytes:
        for method, path, do in METHODS:
            match = re.fullmatch(_PLACE + path, request.path)
            if match and method == request.method:
                answer = do(self.jobs, request, match.groupdict())
                return json_format.MessageToJson(type(answer).pb(answer)).encode()
        raise Refusal(404, "NOT_FOUND", f"no method {request.method} {request.path}")


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # whoever closes the server, waits for them

    def __init__(self, address: tuple[str, int], handler: Any, owner: DataflowServer) -> None:
        super().__init__(address, handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        path = urllib.parse.unquote(parts.path)
        try:
            content = json.loads(body) if body else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, path, query, content, headers)
            answer, code = self.server.owner.answer(request), 200
        except Refusal as refusal:
            answer, code = refusal.body(), refusal.code
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _do  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
