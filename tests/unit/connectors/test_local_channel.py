"""The channel to a local server: its token is sent with each call of any kind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from connectors.local_channel import open_local

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Echo(grpc.GenericRpcHandler):
    """Answers each call with the token that came along."""

    def service(self, handler_call_details: Any) -> Any:
        """Return what handles a call; its kind is its name."""
        token = dict(handler_call_details.invocation_metadata).get("authorization", "none").encode()
        kind = handler_call_details.method.rpartition("/")[2]
        many = kind.endswith("_stream")
        answer = (lambda *_: iter([token])) if many else (lambda *_: token)
        return getattr(grpc, f"{kind}_rpc_method_handler")(answer)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, [Echo()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.mark.parametrize("kind", KINDS)
def test_token_goes_with_calls_of_every_kind(address: str, tmp_path: Path, kind: str) -> None:
    """Beside the metadata of the call; without a file nothing is sent."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    for token, expected in ((("VARIABLE", str(file)), b"Bearer abc"), (None, b"none")):
        with open_local(address, [], token) as channel:
            request = iter([b""]) if kind.startswith("stream") else b""
            call = getattr(channel, kind)(f"/echo/{kind}")
            answer = call(request, timeout=10.0, metadata=(("other", "x"),))
            assert (b"".join(answer) if kind.endswith("_stream") else answer) == expected
