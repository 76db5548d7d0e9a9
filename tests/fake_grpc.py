"""A gRPC server whose methods are functions from bytes to bytes, and errors of a gRPC stub."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc

Method = Callable[[bytes, grpc.ServicerContext], bytes]


class Refusal(grpc.RpcError):
    """An error as a stub raises it."""

    def __init__(self, code: grpc.StatusCode, details: str = "the server's words") -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return the text."""
        return self._details


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = self._methods.get(details.method.rpartition("/")[2])
        return None if method is None else grpc.unary_unary_rpc_method_handler(method)


@contextlib.contextmanager
def serve(methods: Mapping[str, Method]) -> Iterator[str]:
    """Serve methods by their short names, any service; yield the address.

    A name that is not in the mapping is UNIMPLEMENTED.
    """
    pool = ThreadPoolExecutor(16)
    server = grpc.server(
        pool, handlers=[_Methods(methods)],
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(5)
        pool.shutdown(wait=False)
