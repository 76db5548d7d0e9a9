"""The metadata server of a machine at Google, as far as clients ask it for a token.

A launcher of Dataflow has one, from which Google's libraries take their credentials. Without any
they would look for one at a fixed address for many seconds, and again with each client.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["metadata_server"]

_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"
_FLAVOR = ("Metadata-Flavor", "Google")
_TOKEN_S = 36_000
_POLL_S = 0.02


@contextlib.contextmanager
def metadata_server(project: str) -> Iterator[str]:
    """Answer as the metadata server of a machine of a project, with a token that opens nothing.

    Yields:
        Its address, for ``GCE_METADATA_HOST``.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.project = project
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    project = ""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        found = self._found(self.path.partition("?")[0])
        body = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(404 if found is None else 200)
        self.send_header(
            "Content-Type", f"application/{'text' if isinstance(found, str) else 'json'}"
        )
        self.send_header("Content-Length", str(len(body)))
        self.send_header(*_FLAVOR)
        self.end_headers()
        self.wfile.write(body)

    def _found(self, path: str) -> Any:
        # The account's email is none, so that no library asks Google about the account.
        answers: dict[str, Any] = {
            "/": "computeMetadata/\n",
            "/computeMetadata/v1/project/project-id": self.server.project,
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
            _ACCOUNT: {"email": "default", "scopes": [], "aliases": ["default"]},
            f"{_ACCOUNT}token": {
                "access_token": "none", "expires_in": _TOKEN_S, "token_type": "Bearer"
            },
        }  # fmt: skip
        return answers.get(path)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
        """Stay silent."""
