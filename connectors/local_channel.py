"""A channel to a local server: plain, or with its certificate; with a token, if it asks for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from transforms.errors import ConfigError

__all__ = ["open_local"]


def open_local(
    address: str,
    options: Sequence[tuple[str, int]],
    token: tuple[str, str] | None = None,
    certificates: tuple[str, str] | None = None,
) -> grpc.Channel:
    """Open a channel; it connects with the first call.

    Args:
        address: ``HOST:PORT``.
        options: of gRPC.
        token: what names a file with a bearer token, and that file; sent with each call.
        certificates: what names a file with certificates in PEM, and that file: the server's own,
            or those of who has signed it. Without it nothing is encrypted.

    Raises:
        ConfigError: a file can't be read, or holds no token.
    """
    bearer = _Bearer(_token(*token)) if token else None
    if certificates is None:
        channel = grpc.insecure_channel(address, options=options)
    else:
        trusted = grpc.ssl_channel_credentials(_content(*certificates))
        channel = grpc.secure_channel(address, trusted, options=options)
    return grpc.intercept_channel(channel, bearer) if bearer else channel


def _token(variable: str, path: str) -> str:
    token = _content(variable, path).decode("ascii", "replace").strip()
    if not token.isprintable() or not token or " " in token:
        raise ConfigError(
            variable, path, "must name a file with a bearer token and nothing else",
            "Write the token of a principal of the broker's --auth into it",
        )  # fmt: skip
    return token


def _content(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            variable,
            path,
            f"can't be read ({error.strerror})",
            "Name a file that this user may read",
        ) from error


class _Details(NamedTuple):
    """What gRPC asks of ``ClientCallDetails``."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds a token to calls. Not gRPC's call credentials: these want an encrypted channel."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), self._header]
        more = _Details(
            details.method, details.timeout, metadata, details.credentials,
            details.wait_for_ready, details.compression,
        )  # fmt: skip
        return continuation(more, request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call
