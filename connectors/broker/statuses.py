"""What a client is told when a call fails: the status and the text, on gRPC and over HTTP alike."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import grpc

from connectors.broker import schema
from connectors.broker.errors import (
    Aborted,
    AlreadyExists,
    ErrorInfo,
    Exhausted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Refusal,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

__all__ = ["details_of", "status_of"]

_log = logging.getLogger(__name__)

_STATUS: dict[type[Refusal], grpc.StatusCode] = {
    Aborted: grpc.StatusCode.ABORTED,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
}

_DETAILS_KEY = "grpc-status-details-bin"
"""Where gRPC clients look for a ``google.rpc.Status``."""

_TEXT_BYTES_MAX = 1_000
_TRAILERS_BYTES_MAX = 7_000
"""Bytes of text and details as they are sent: clients receive 8 KiB of headers, and drop what is
larger together with the status. Text is percent-encoded, details are sent as base64."""


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return status and text of a failed call; log what is no refusal and should not happen."""
    if isinstance(error, Refusal):
        kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
        return _STATUS[kind], _shortened(str(error))
    _log.error("a request has failed", exc_info=error)
    return grpc.StatusCode.INTERNAL, _shortened(f"The broker has failed: {error!r}")


def details_of(error: Exception) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that tells programs more about a refusal; empty if none.

    Facts that would make it too large are left out. Of ack ids that are not named while others
    are, Google's clients assume that they have failed too, and not that they count.
    """
    if not isinstance(error, Refusal) or error.info is None:
        return ()
    code, text = status_of(error)
    status = schema.message("google.rpc.Status")(code=code.value[0], message=text)
    room = (_TRAILERS_BYTES_MAX - len(quote(text))) * 3 // 4 - len(text.encode())
    status.details.add().Pack(_error_info(error.info, room))
    return ((_DETAILS_KEY, status.SerializeToString()),)


def _error_info(info: ErrorInfo, size_bytes_max: int) -> Any:
    message = schema.message("google.rpc.ErrorInfo")(reason=info.reason, domain=info.domain)
    for key, value in info.metadata.items():
        message.metadata[key] = value
        if message.ByteSize() > size_bytes_max:
            del message.metadata[key]
            break
    return message


def _shortened(text: str) -> str:
    """Return a text that fits; what a client has sent may be of any length."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= _TEXT_BYTES_MAX:
        return text
    return encoded[:_TEXT_BYTES_MAX].decode(errors="ignore") + "..."
