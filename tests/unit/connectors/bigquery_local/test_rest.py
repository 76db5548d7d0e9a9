"""HTTP to handlers and back, and what becomes of connections in the end."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from connectors.bigquery_local.rest import Answer, Call, HttpServer, route
from tests.processes import wait_until

WAIT_S = 10.0


@contextmanager
def serving(answer: Callable[[Call], Answer]) -> Iterator[tuple[HttpServer, Callable[[], None]]]:
    """Serve one path; yield the server and what closes it."""
    server = HttpServer("127.0.0.1", 0, [route("POST", "/", answer)])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    yield server, close


def connection_threads() -> list[threading.Thread]:
    """Return the threads that serve connections."""
    return [each for each in threading.enumerate() if "process_request_thread" in each.name]


def test_a_connection_that_waits_is_ended() -> None:
    """Clients keep them for their next call; no thread stays behind."""
    with serving(lambda call: Answer({"got": call.json()})) as (server, close):
        client = http.client.HTTPConnection(*server.server_address[:2], timeout=WAIT_S)
        with closing(client):
            client.request("POST", "/", b'{"a": 1}')
            assert client.getresponse().read() == b'{"got": {"a": 1}}'
            assert len(connection_threads()) == 1
            close()
            assert connection_threads() == []


def test_a_call_under_way_is_answered() -> None:
    """Closing waits for it."""
    began, go_on = threading.Event(), threading.Event()

    def answer(_call: Call) -> Answer:
        began.set()
        assert go_on.wait(WAIT_S)
        return Answer("done")

    with serving(answer) as (server, close):
        client = http.client.HTTPConnection(*server.server_address[:2], timeout=WAIT_S)
        with closing(client):
            client.request("POST", "/", b"{}")
            assert began.wait(WAIT_S)
            closer = threading.Thread(target=close)
            closer.start()
            wait_until(lambda: server.fileno() < 0, WAIT_S)
            go_on.set()
            assert client.getresponse().read() == b'"done"'
            closer.join(WAIT_S)
            assert connection_threads() == []


def test_half_a_call_is_none() -> None:
    """A client that dies while it sends is not answered, and nothing is done."""
    calls: list[Call] = []

    def answer(call: Call) -> Answer:
        calls.append(call)
        return Answer()

    with serving(answer) as (server, close):
        with socket.create_connection(server.server_address[:2], WAIT_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        close()
    assert calls == []
