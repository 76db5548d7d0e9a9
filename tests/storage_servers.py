"""Cloud Storage as tests see it: fake-gcs-server as a process, and a proxy that injects faults."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import secrets
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connectors.clients import Endpoint, open_storage
from templates.rehearsal import storage_server
from tests.processes import ServerProcess, free_port, wait_until
from transforms.errors import ConfigError

START_S = 20.0
STOP_POLL_S = 0.02


def require_server() -> None:
    """Skip on a laptop without the server's program, fail in CI."""
    try:
        storage_server.binary()
    except ConfigError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


class StorageServer(ServerProcess):
    """fake-gcs-server on one port and one folder.

    It heeds preconditions on uploads, and ignores those on deletes and copies.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        require_server()
        self._command = storage_server.command(folder, self.port)

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        def answers() -> bool:
            assert process.poll() is None, "fake-gcs-server ended"
            return storage_server.answers(self.port)

        wait_until(answers, START_S)


def new_bucket(url: str) -> str:
    """Create a bucket on a server; return it as ``gs://NAME``."""
    name = f"bucket-{secrets.token_hex(4)}"
    open_storage(Endpoint(url, "STORAGE_EMULATOR_HOST")).create_bucket(name)
    return f"gs://{name}"


_ERROR = b'{"error": {"message": "injected by the test"}}'
Fault = int | str
"""A status to answer with, ``drop`` (nothing was done) or ``lose`` (done, but no answer)."""
Choose = Callable[[str, str], Fault | None]
"""From method and path to a fault, or None for none."""


def faults(seed: int, share: float) -> Choose:
    """Return a chooser of every kind of fault for a share of all requests."""
    chance = random.Random(seed)
    guard = threading.Lock()

    def choose(_method: str, _path: str) -> Fault | None:
        with guard:
            kinds: list[Fault] = [429, 500, 502, 503, 504, 408, "drop", "lose"]
            return chance.choice(kinds) if chance.random() < share else None

    return choose


class FaultyProxy(socketserver.ThreadingTCPServer):
    """Passes requests on to a server, or does what the chooser says."""

    allow_reuse_address = True

    def __init__(self, port: int, choose: Choose) -> None:
        self.target_port = port
        self.choose = choose
        self.injected = 0
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(STOP_POLL_S,))
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that were killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        for connection in list(self._open):  # which clients keep for their next request
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _handle(self) -> None:
        body = self._body()
        fault = self.server.choose(self.command, self.path)
        self.server.injected += fault is not None
        if isinstance(fault, int):
            self._answer(fault, [("Content-Type", "application/json")], _ERROR)
        elif fault == "drop":
            self.close_connection = True
        else:
            status, headers, content = self._forwarded(body)
            if fault == "lose":
                self.close_connection = True
            else:
                self._answer(status, headers, content)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target_port, timeout=30)
        hidden = {"host", "connection", "transfer-encoding", "content-length"}
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in hidden
        }
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        # The address for the next part of an upload must lead back to the proxy.
        target = f"127.0.0.1:{self.server.target_port}"
        own = f"127.0.0.1:{self.server.server_address[1]}"
        passed = [
            (name, value.replace(target, own))
            for name, value in answer.getheaders()
            if name.lower() not in hidden
        ]
        return answer.status, passed, content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
        """Stay silent."""
