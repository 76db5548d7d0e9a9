"""An embedded, durable Pub/Sub server that any Pub/Sub client can talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.broker.server import Broker

__all__ = ["Broker"]


def __getattr__(name: str) -> Any:
    if name == "Broker":
        from connectors.broker.server import Broker  # noqa: PLC0415 - it imports gRPC and Arrow

        return Broker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
