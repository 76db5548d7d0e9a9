"""Channels to Google's services, and the one place that reads ``*_EMULATOR_HOST``.

The hot path talks raw bytes: ``RawStub`` neither parses nor builds protocol buffers, so that a
response of a thousand messages goes from the socket to Arrow without a Python object per message.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import google.auth.exceptions
import grpc
from google.api_core import grpc_helpers
from google.auth.credentials import AnonymousCredentials

from connectors.local_channel import open_local
from transforms.errors import ConfigError, TransientError

__all__ = [
    "Endpoint",
    "RawStub",
    "bigquery_endpoint",
    "bigquery_storage_endpoint",
    "open_bigquery",
    "open_channel",
    "open_storage",
    "pubsub_endpoint",
    "sign_in_advice",
    "storage_endpoint",
]

PUBSUB_ADDRESS = "pubsub.googleapis.com:443"
PUBSUB_EMULATOR_HOST = "PUBSUB_EMULATOR_HOST"
PUBSUB_TOKEN_FILE = "PUBSUB_EMULATOR_TOKEN_FILE"  # noqa: S105 - a name
"""Ours: a file with a bearer token, for a broker with ``--auth``."""
PUBSUB_CERTIFICATES = "PUBSUB_EMULATOR_CA_FILE"
"""Ours: certificates in PEM that are trusted, for a broker with ``--tls-cert``."""
PUBSUB_SCOPES = ("https://www.googleapis.com/auth/pubsub",)
BIGQUERY_ADDRESS = "https://bigquery.googleapis.com"
BIGQUERY_EMULATOR_HOST = "BIGQUERY_EMULATOR_HOST"
"""Google's own variable of the REST interface: ``http://HOST:PORT``."""
BIGQUERY_STORAGE_ADDRESS = "bigquerystorage.googleapis.com:443"
BIGQUERY_STORAGE_EMULATOR_HOST = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""The same for the Storage API, for which Google has none: ``HOST:PORT``."""
STORAGE_ADDRESS = "https://storage.googleapis.com"
STORAGE_EMULATOR_HOST = "STORAGE_EMULATOR_HOST"
"""Google's own variable of Cloud Storage: ``http://HOST:PORT``."""
STORAGE_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
BIGQUERY_SCOPES = ("https://www.googleapis.com/auth/bigquery",)

GRPC_MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""Above any answer of the service (about 10 MB) and any batch lease that we ask for."""

_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
LISTENER_S = 5.0
"""How long a local server may take to accept a connection."""

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
    """Where a service is reached.

    Attributes:
        address: of the server.
        variable: the environment variable that says so; None for Google's own.
        scopes: what an account is asked for.
        start: command of a local server, with ``{port}``.
        token: of a local server: the variable that names a file with a token, and that file.
        certificates: the same of those that are trusted; without them nothing is encrypted.
    """

    address: str
    variable: str | None = None
    scopes: tuple[str, ...] = PUBSUB_SCOPES
    start: str = "python -m connectors.broker --port {port} --data-dir DIR"
    token: tuple[str, str] | None = None
    certificates: tuple[str, str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is a broker or emulator: no credentials of Google."""
        return self.variable is not None

    @property
    def advice(self) -> str:
        """What to do when nobody answers there."""
        if not self.is_local:
            return "Check the network and https://status.cloud.google.com"
        port = self.address.rpartition(":")[2]
        return (
            f"Is the server running at {self.variable}={self.address}? "
            f"Start it: {self.start.format(port=port)}"
        )


def pubsub_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where Pub/Sub is: the broker or emulator of the environment, else Google."""
    address = environment.get(PUBSUB_EMULATOR_HOST)
    if not address:
        return Endpoint(PUBSUB_ADDRESS)
    token, certificates = (
        (variable, environment[variable]) if environment.get(variable) else None
        for variable in (PUBSUB_TOKEN_FILE, PUBSUB_CERTIFICATES)
    )
    return Endpoint(address, PUBSUB_EMULATOR_HOST, token=token, certificates=certificates)


def sign_in_advice(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return what to do when a service does not know who is asking.

    Args:
        variable: that leads to a local server of the service.
        environment: of the process.
    """
    if variable == PUBSUB_EMULATOR_HOST and environment.get(variable):
        return (
            f"Set {PUBSUB_TOKEN_FILE} to a file with the token of a principal that the file of the "
            "broker's --auth names"
        )
    return f"Run gcloud auth application-default login, or set {variable} to a local server"


def bigquery_storage_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where the Storage API of BigQuery is: the server of the environment, else Google."""
    return _bigquery(environment, BIGQUERY_STORAGE_EMULATOR_HOST, BIGQUERY_STORAGE_ADDRESS)


def bigquery_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where the REST interface of BigQuery is.

    Raises:
        ConfigError: the variable has no scheme, without which Google's client can't use it.
    """
    endpoint = _bigquery(environment, BIGQUERY_EMULATOR_HOST, BIGQUERY_ADDRESS)
    if not endpoint.address.startswith(("http://", "https://")):
        raise ConfigError(
            BIGQUERY_EMULATOR_HOST, endpoint.address, "must begin with http:// or https://",
            f"Write http://{endpoint.address}",
        )  # fmt: skip
    return endpoint


def _bigquery(environment: Mapping[str, str], variable: str, google_address: str) -> Endpoint:
    address = environment.get(variable)
    return Endpoint(
        address or google_address,
        variable if address else None,
        BIGQUERY_SCOPES,
        "python -m connectors.bigquery_local",
    )


def open_bigquery(endpoint: Endpoint, project: str) -> Any:
    """Return a ``google.cloud.bigquery.Client``: for jobs and tables, not for rows.

    Raises:
        ConfigError: there are no credentials.
        TransientError: nobody listens at a local server's address. Google's client would try for
            ten minutes, and say nothing.
    """
    # A second of imports that only those pay who use it.
    from google.cloud import bigquery  # noqa: PLC0415

    options = {"api_endpoint": endpoint.address}
    if endpoint.is_local:
        _require_listener(endpoint)
        return bigquery.Client(project, AnonymousCredentials(), client_options=options)
    try:
        return bigquery.Client(project, client_options=options)
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_credentials(endpoint, error, BIGQUERY_EMULATOR_HOST) from error


def _require_listener(endpoint: Endpoint) -> None:
    parts = urlsplit(endpoint.address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), LISTENER_S).close()
    except OSError as error:
        raise TransientError(
            f"nobody listens at {endpoint.address} ({error}). {endpoint.advice}"
        ) from error


def storage_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where Cloud Storage is: the server of the environment, else Google.

    Raises:
        ConfigError: the variable has no scheme, without which Google's client can't use it.
    """
    address = environment.get(STORAGE_EMULATOR_HOST)
    if not address:
        return Endpoint(STORAGE_ADDRESS, scopes=STORAGE_SCOPES)
    if not address.startswith(("http://", "https://")):
        raise ConfigError(
            STORAGE_EMULATOR_HOST, address, "must begin with http:// or https://",
            f"Write http://{address}",
        )  # fmt: skip
    start = "fake-gcs-server -scheme http -port {port} -filesystem-root DIR"
    return Endpoint(address, STORAGE_EMULATOR_HOST, STORAGE_SCOPES, start)


def open_storage(endpoint: Endpoint) -> Any:
    """Return a ``google.cloud.storage.Client``; its sessions may be shared by threads.

    Raises:
        ConfigError: there are no credentials.
    """
    # Half a second of imports that only those pay who use it.
    from google.cloud import storage  # noqa: PLC0415

    if endpoint.is_local:
        options = {"api_endpoint": endpoint.address}
        return storage.Client("local", AnonymousCredentials(), client_options=options)
    try:
        return storage.Client()
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_credentials(endpoint, error, STORAGE_EMULATOR_HOST) from error


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Open a channel: to Google with the account's default credentials, to a broker with a token.

    It connects with the first call, so that this does not fail when nobody answers.

    Raises:
        ConfigError: there are no credentials, or a file of the environment can't be read.
    """
    if endpoint.is_local:
        return open_local(endpoint.address, _CHANNEL_OPTIONS, endpoint.token, endpoint.certificates)
    try:
        return grpc_helpers.create_channel(
            endpoint.address, default_scopes=endpoint.scopes, options=_CHANNEL_OPTIONS
        )
    except google.auth.exceptions.GoogleAuthError as error:
        is_pubsub = endpoint.scopes == PUBSUB_SCOPES
        variable = PUBSUB_EMULATOR_HOST if is_pubsub else BIGQUERY_STORAGE_EMULATOR_HOST
        raise _no_credentials(endpoint, error, variable) from error


def _no_credentials(endpoint: Endpoint, error: Exception, variable: str) -> ConfigError:
    named = os.environ.get(_CREDENTIALS)
    found = "gives no credentials" if named else "there are no credentials"
    rule = f"{found} for {endpoint.address} ({error})"
    return ConfigError(_CREDENTIALS, named or None, rule, sign_in_advice(variable))


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
