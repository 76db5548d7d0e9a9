"""The health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from connectors.broker import schema
from connectors.broker.engine import Engine

__all__ = ["SERVICES", "Health"]

SERVICES = (
    "google.pubsub.v1.Publisher",
    "google.pubsub.v1.Subscriber",
    "google.pubsub.v1.SchemaService",
    "google.iam.v1.IAMPolicy",
    "grpc.health.v1.Health",
)
"""What may be asked for; the empty name stands for all of them."""

_SERVING, _NOT_SERVING, _UNKNOWN = 1, 2, 3
_LOOK_S = 1.0


class Health:
    """Whether the broker can serve: what it is asked for by name makes no difference."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._response = schema.message("grpc.health.v1.HealthCheckResponse")

    def handlers(self) -> dict[str, Any]:
        """Return the handlers of gRPC by the methods' full names."""
        types = {
            "request_deserializer": schema.message("grpc.health.v1.HealthCheckRequest").FromString,
            "response_serializer": self._response.SerializeToString,
        }
        return {
            "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(
                self._check, **types
            ),
            "/grpc.health.v1.Health/Watch": grpc.unary_stream_rpc_method_handler(
                self._watch, **types
            ),
        }

    async def _check(self, request: Any, context: Any) -> Any:
        status = self._status(request.service)
        if status == _UNKNOWN:
            text = f"There is no service {request.service!r} here."
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
        return self._response(status=status)

    async def _watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        told = None
        while True:
            status = self._status(request.service)
            if status != told:
                yield self._response(status=status)
            told = status
            # Nothing rings when a write fails; it has to be looked for.
            await asyncio.sleep(_LOOK_S)

    def _status(self, service: str) -> int:
        if service and service not in SERVICES:
            return _UNKNOWN
        return _SERVING if self._engine.unready() is None else _NOT_SERVING
