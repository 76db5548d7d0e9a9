"""What a topic and a subscription are set to: the fields of the API that act, in plain units.

Immutable values, without protocol buffers: the catalog makes them from requests and shows them in
responses, the state decides by them, the log keeps them as JSON. Durations are seconds.
"""

from __future__ import annotations

import msgspec

from connectors.broker import limits

__all__ = [
    "DeadLetterPolicy",
    "OidcToken",
    "PushSettings",
    "RetryPolicy",
    "SchemaSettings",
    "SnapshotSettings",
    "SubscriptionSettings",
    "TopicSettings",
    "Transform",
]


class SchemaSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What messages of a topic must conform to."""

    schema: str
    encoding: str
    """``JSON`` or ``BINARY``."""
    first_revision_id: str = ""
    last_revision_id: str = ""


class Transform(msgspec.Struct, frozen=True, omit_defaults=True):
    """A single message transform: a JavaScript function."""

    function_name: str
    code: str
    disabled: bool = False


class TopicSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """A topic as its owner wants it."""

    name: str
    labels: dict[str, str] = {}
    retention_s: float | None = None
    """How long a message stays for seeks, acked or not; None is only while it is needed."""
    schema: SchemaSettings | None = None
    transforms: tuple[Transform, ...] = ()


class SnapshotSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """A snapshot as its owner wants it."""

    name: str
    expire_us: int
    """When it is deleted, microseconds since 1970."""
    labels: dict[str, str] = {}


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a message that was nacked or whose deadline has passed is delivered again."""

    minimum_backoff_s: float = limits.BACKOFF_S_MIN_DEFAULT
    maximum_backoff_s: float = limits.BACKOFF_S_MAX_DEFAULT


class DeadLetterPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a message goes that was delivered too often."""

    topic: str
    max_delivery_attempts: int = limits.DELIVERY_ATTEMPTS_DEFAULT


class OidcToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """The token that a push carries; an empty audience means the endpoint."""

    service_account_email: str
    audience: str = ""


class PushSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where and in which form messages are pushed."""

    endpoint: str
    attributes: dict[str, str] = {}
    oidc_token: OidcToken | None = None
    wrapped: bool = True
    write_metadata: bool = False
    """Whether an unwrapped push has its metadata as headers."""


class SubscriptionSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subscription as its owner wants it; ``topic`` is the name at its creation."""

    name: str
    topic: str
    ack_deadline_s: int = limits.ACK_DEADLINE_S_DEFAULT
    retention_s: float = limits.RETENTION_S_DEFAULT
    labels: dict[str, str] = {}
    retain_acked: bool = False
    ordered: bool = False
    exactly_once: bool = False
    filter: str = ""
    dead_letter: DeadLetterPolicy | None = None
    retry: RetryPolicy | None = None
    expiration_s: float | None = limits.EXPIRATION_S_DEFAULT
    """Seconds without use after which the subscription is deleted; None is never."""
    push: PushSettings | None = None
    transforms: tuple[Transform, ...] = ()
