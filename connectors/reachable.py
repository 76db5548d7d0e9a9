"""Whether a service answers at all: asked once before a job begins, which is patient later."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
import requests

from connectors.clients import Endpoint, open_channel

__all__ = ["PATIENCE_S", "unreachable"]

PATIENCE_S = 8.0
"""Long enough for a local server that is just being started."""
PAUSE_S = 0.25


def unreachable(endpoint: Endpoint, patience_s: float = PATIENCE_S) -> str | None:
    """Return why nobody answers at an endpoint, None if somebody does.

    Any answer counts, a refusal too: what it is about is found out by who asks for it.

    Args:
        endpoint: of gRPC, or with ``http://`` or ``https://``.
        patience_s: how long it is tried.

    Raises:
        ConfigError: there are no credentials.
    """
    is_http = endpoint.address.startswith(("http://", "https://"))
    return (_http if is_http else _grpc)(endpoint, patience_s)


def _grpc(endpoint: Endpoint, patience_s: float) -> str | None:
    with open_channel(endpoint) as channel:
        ready = grpc.channel_ready_future(channel)
        try:
            ready.result(patience_s)
        except grpc.FutureTimeoutError:
            return f"no connection within {patience_s:g} s"
        finally:
            ready.cancel()
    return None


def _http(
    endpoint: Endpoint, patience_s: float, clock: Callable[[], float] = time.monotonic
) -> str | None:
    until_s = clock() + patience_s
    kind = None
    while (left_s := until_s - clock()) > 0:
        kind = _refusal(endpoint.address, left_s)
        if kind is None:
            return None
        time.sleep(min(PAUSE_S, max(0.0, until_s - clock())))
    return f"{kind} for {patience_s:g} s"


def _refusal(address: str, timeout_s: float) -> str | None:
    try:
        requests.get(address, timeout=timeout_s, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__
    return None
