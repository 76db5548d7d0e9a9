"""Channels to Google's services, and the one place that reads ``*_EMULATOR_HOST``.

The hot path talks raw bytes: ``RawStub`` neither parses nor builds protocol buffers, so that a
response of a thousand messages goes from the socket to Arrow without a Python object per message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import google.auth.exceptions
import grpc
from google.api_core import grpc_helpers

from transforms.errors import ConfigError

__all__ = ["Endpoint", "RawStub", "open_channel", "pubsub_endpoint"]

PUBSUB_ADDRESS = "pubsub.googleapis.com:443"
PUBSUB_EMULATOR_HOST = "PUBSUB_EMULATOR_HOST"
PUBSUB_SCOPES = ("https://www.googleapis.com/auth/pubsub",)

GRPC_MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""Above any answer of the service (about 10 MB) and any batch lease that we ask for."""

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", GRPC_MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", GRPC_MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # gRPC's own waits between connection attempts grow to two minutes. Ours are in retry.py, and
    # a broker that is back should be noticed within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Each channel has connections of its own: a run must not share the fate of another's.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Endpoint:
    """Where a service is reached; ``variable`` names the environment variable that says so."""

    address: str
    variable: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is a broker or emulator: no encryption, no credentials."""
        return self.variable is not None

    @property
    def advice(self) -> str:
        """What to do when nobody answers there."""
        if not self.is_local:
            return "Check the network and https://status.cloud.google.com"
        port = self.address.rpartition(":")[2]
        return (
            f"Is the broker running at {self.variable}={self.address}? "
            f"Start it: python -m connectors.broker --port {port} --data-dir DIR"
        )


def pubsub_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where Pub/Sub is: the broker or emulator of the environment, else Google."""
    address = environment.get(PUBSUB_EMULATOR_HOST)
    if address:
        return Endpoint(address, PUBSUB_EMULATOR_HOST)
    return Endpoint(PUBSUB_ADDRESS)


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Open a channel, to Google with the account's default credentials.

    It connects with the first call, so that this does not fail when nobody answers.

    Raises:
        ConfigError: there are no credentials.
    """
    if endpoint.is_local:
        return grpc.insecure_channel(endpoint.address, options=_CHANNEL_OPTIONS)
    try:
        return grpc_helpers.create_channel(
            endpoint.address, default_scopes=PUBSUB_SCOPES, options=_CHANNEL_OPTIONS
        )
    except google.auth.exceptions.GoogleAuthError as error:
        raise ConfigError(
            "GOOGLE_APPLICATION_CREDENTIALS",
            os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"),
            f"gives no credentials for {endpoint.address} ({error})",
            "Run gcloud auth application-default login, or set PUBSUB_EMULATOR_HOST to a broker",
        ) from error


class RawStub:
    """The unary methods of a gRPC service as functions from bytes to bytes.

    Args:
        channel: open to a server of the service.
        service: full name, such as ``google.pubsub.v1.Subscriber``.
        routing: parameter by which Google's front end routes, such as ``("topic", name)``.
    """

    def __init__(self, channel: grpc.Channel, service: str, routing: tuple[str, str]) -> None:
        self._channel = channel
        self._service = service
        self._metadata = (("x-goog-request-params", f"{routing[0]}={quote(routing[1], safe='')}"),)
        self._methods: dict[str, grpc.UnaryUnaryMultiCallable] = {}

    def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Call and wait for the answer.

        Raises:
            grpc.RpcError: the status is not OK.
        """
        return self._method(method)(request, timeout=timeout_s, metadata=self._metadata)

    def start(self, method: str, request: bytes, timeout_s: float) -> grpc.Future:
        """Call without waiting; the answer or the error is the future's."""
        return self._method(method).future(request, timeout=timeout_s, metadata=self._metadata)

    def _method(self, name: str) -> grpc.UnaryUnaryMultiCallable:
        if name not in self._methods:
            self._methods[name] = self._channel.unary_unary(f"/{self._service}/{name}")
        return self._methods[name]
