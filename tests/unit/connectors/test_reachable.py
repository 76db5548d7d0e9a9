"""Whether anybody answers is known within seconds."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from connectors.broker import Broker
from connectors.clients import Endpoint
from connectors.reachable import unreachable


class Refusing(BaseHTTPRequestHandler):
    """A server that denies everything: it answers."""

    def do_GET(self) -> None:
        """Deny."""
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Run the server; yield its address."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["refused", "silent"])
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield an address where connections are refused, or taken and never answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_any_answer_counts(refusing: str, tmp_path: Path) -> None:
    """A server that denies is there, over HTTP and over gRPC."""
    assert unreachable(Endpoint(refusing, "STORAGE_EMULATOR_HOST")) is None
    with Broker(data_dir=tmp_path) as broker:
        assert unreachable(Endpoint(broker.address, "PUBSUB_EMULATOR_HOST")) is None


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_nobody_is_noticed_in_time(nobody: str, scheme: str) -> None:
    """Whether the connection is refused or just hangs."""
    began_s = time.monotonic()
    reason = unreachable(Endpoint(scheme + nobody, "X"), patience_s=0.5)
    assert reason is not None
    assert "0.5 s" in reason
    assert 0.4 < time.monotonic() - began_s < 3.0


def test_server_that_is_just_starting_is_awaited(tmp_path: Path) -> None:
    """It may be started in the same moment as the job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found: list[str | None] = []
    endpoint = Endpoint(f"127.0.0.1:{port}", "PUBSUB_EMULATOR_HOST")
    asking = threading.Thread(target=lambda: found.append(unreachable(endpoint)))
    asking.start()
    with Broker(data_dir=tmp_path, port=port):
        asking.join(20)
    assert found == [None]
