"""gRPC to the methods and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc

from connectors.broker import limits
from connectors.broker.access.guard import Guard
from connectors.broker.access.policies import Policies
from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted, Unsupported
from connectors.broker.health import Health
from connectors.broker.methods import Method, table
from connectors.broker.reflection import Reflection
from connectors.broker.schemas.registry import Registry
from connectors.broker.statuses import details_of, status_of
from connectors.broker.stream import Stream

if TYPE_CHECKING:
    from connectors.broker.access.authority import Authority

__all__ = ["Router"]

_PREFIXES = ("/google.pubsub.v1.", "/google.iam.v1.")
_STREAMING_PULL = "/google.pubsub.v1.Subscriber/StreamingPull"


class Router(grpc.GenericRpcHandler):
    """Finds the handler of a method; known methods without one are refused with a sentence."""

    def __init__(self, engine: Engine, authority: Authority | None = None) -> None:
        self._engine = engine
        self._catalog = Catalog(engine)
        schemas = Registry(engine)
        policies = Policies(self._catalog, schemas)
        self.guard = Guard(authority, policies, engine.state) if authority else None
        """Who may do what; None where everybody may do all."""
        self._methods = table(self._catalog, schemas, policies, self._admit)
        self._handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._answering(name))
            for name in self._methods
        }
        self._handlers[_STREAMING_PULL] = grpc.stream_stream_rpc_method_handler(
            self._streaming_pull
        )
        self._streams = 0
        self._handlers |= Health(engine).handlers() | Reflection().handlers()

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, or None where the method is of no service of ours."""
        method = handler_call_details.method
        if method in self._handlers or not method.startswith(_PREFIXES):
            return self._handlers.get(method)
        return grpc.unary_unary_rpc_method_handler(self._answering(method))

    async def call(self, method: str, request: bytes, authorization: str = "") -> bytes:
        """Answer a unary call, also one from inside, such as one that came over HTTP.

        Args:
            method: full name, such as ``/google.pubsub.v1.Publisher/Publish``.
            request: as on the wire.
            authorization: what the caller says of itself, ``Bearer TOKEN``.

        Raises:
            Refusal: the request is refused.
        """
        known = self._method(method)
        if self.guard:
            self.guard.identify(authorization)
            self.guard.check(method, known.needs, request)
        return await known.call(request)

    async def call_as_owner(self, method: str, request: bytes) -> bytes:
        """Answer a call of whoever runs the broker, who may do everything."""
        return await self._method(method).call(request)

    def _method(self, name: str) -> Method:
        known = self._methods.get(name)
        if known is None:
            _, service, method = name.split("/")
            raise Unsupported(f"{service} has no method {method}.")
        return known

    def _admit(self, subscription: str) -> None:
        if self.guard:
            self.guard.admit(subscription)

    def _answering(self, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """Turn refusals into gRPC statuses."""

        async def answer(request: bytes, context: Any) -> bytes:
            try:
                return await self.call(method, request, self._authorization(context))
            except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
                return await _abort(context, error)

        return answer

    def _authorization(self, context: Any) -> str:
        """Return what a caller says of itself; nothing where nobody asks."""
        if self.guard is None:
            return ""
        return str(dict(context.invocation_metadata() or ()).get("authorization", ""))

    async def _streaming_pull(self, _requests: Any, context: Any) -> None:
        self._streams += 1
        try:
            await self._stream(context)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            await _abort(context, error)
        finally:
            self._streams -= 1

    async def _stream(self, context: Any) -> None:
        if self._streams > limits.STREAMS_MAX:
            raise Exhausted(f"{limits.STREAMS_MAX} streams are open; no more are served.")
        if self.guard:
            self.guard.identify(self._authorization(context))
        await Stream(self._engine, self._catalog, context, self._admit).run()


async def _abort(context: Any, error: Exception) -> Any:
    """End a call with the status of what has gone wrong."""
    return await context.abort(*status_of(error), details_of(error))
