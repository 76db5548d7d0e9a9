"""gRPC to the methods and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import Unsupported
from connectors.broker.health import Health
from connectors.broker.methods import Unary, table
from connectors.broker.reflection import Reflection
from connectors.broker.statuses import details_of, status_of
from connectors.broker.stream import Stream

__all__ = ["Router"]

_PREFIXES = ("/google.pubsub.v1.", "/google.iam.v1.")
_STREAMING_PULL = "/google.pubsub.v1.Subscriber/StreamingPull"


class Router(grpc.GenericRpcHandler):
    """Finds the handler of a method; known methods without one are refused with a sentence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._catalog = Catalog(engine)
        self._methods = table(self._catalog)
        self._handlers = {
            name: grpc.unary_unary_rpc_method_handler(_answering(method.call))
            for name, method in self._methods.items()
        }
        self._handlers[_STREAMING_PULL] = grpc.stream_stream_rpc_method_handler(
            self._streaming_pull
        )
        self._handlers |= Health(engine).handlers() | Reflection().handlers()

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, or None where the method is of no service of ours."""
        method = handler_call_details.method
        if method in self._handlers or not method.startswith(_PREFIXES):
            return self._handlers.get(method)
        return grpc.unary_unary_rpc_method_handler(_answering(_unknown(method)))

    async def call(self, method: str, request: bytes) -> bytes:
        """Answer a unary call from inside, such as one that came over HTTP.

        Args:
            method: full name, such as ``/google.pubsub.v1.Publisher/Publish``.
            request: as on the wire.

        Raises:
            Refusal: the request is refused.
        """
        known = self._methods.get(method)
        return await (known.call if known else _unknown(method))(request)

    async def _streaming_pull(self, _requests: Any, context: Any) -> None:
        try:
            await Stream(self._engine, self._catalog, context).run()
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            await _abort(context, error)


def _answering(method: Unary) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """Turn refusals into gRPC statuses."""

    async def answer(request: bytes, context: Any) -> bytes:
        try:
            return await method(request)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            return await _abort(context, error)

    return answer


async def _abort(context: Any, error: Exception) -> Any:
    """End a call with the status of what has gone wrong."""
    return await context.abort(*status_of(error), details_of(error))


def _unknown(method: str) -> Unary:
    async def refuse(_request: bytes) -> bytes:
        _, service, name = method.split("/")
        raise Unsupported(f"{service} has no method {name}.")

    return refuse
