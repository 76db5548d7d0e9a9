"""What a client is told when a call fails: the status and the text, on gRPC and over HTTP alike."""

from __future__ import annotations

import logging

import grpc

from connectors.broker.errors import (
    AlreadyExists,
    Exhausted,
    InvalidArgument,
    NotFound,
    Refusal,
    Unavailable,
    Unsupported,
)

__all__ = ["status_of"]

_log = logging.getLogger(__name__)

_STATUS: dict[type[Refusal], grpc.StatusCode] = {
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
}


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return status and text of a failed call; log what is no refusal and should not happen."""
    if isinstance(error, Refusal):
        return _STATUS[type(error)], str(error)
    _log.error("a request has failed", exc_info=error)
    return grpc.StatusCode.INTERNAL, f"The broker has failed: {error!r}"
