"""A strict, small BigQuery on this machine: Storage Write, Storage Read and enough of REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.bigquery_local.faults import Fault
    from connectors.bigquery_local.server import Server

__all__ = ["Fault", "Server"]


def __getattr__(name: str) -> Any:
    if name == "Server":
        from connectors.bigquery_local.server import Server  # noqa: PLC0415 - gRPC and Arrow

        return Server
    if name == "Fault":
        from connectors.bigquery_local.faults import Fault  # noqa: PLC0415 - as Server

        return Fault
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
