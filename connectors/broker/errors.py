"""Refusals: what a client is told, by kind; the service maps each to its gRPC status.

    Refusal
    ├── InvalidArgument    the request breaks a rule; the text names field, value and rule
    ├── NotFound           the resource does not exist
    ├── AlreadyExists      the name is taken
    ├── Unsupported        the service knows this, the broker does not do it
    ├── Exhausted          the disk is full
    └── Unavailable        the log failed; the broker must be restarted

``CorruptLog`` and ``DataDirInUse`` are no answers to a client: they stop the broker from starting.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExists",
    "CorruptLog",
    "DataDirInUse",
    "Exhausted",
    "InvalidArgument",
    "NotFound",
    "Refusal",
    "Unavailable",
    "Unsupported",
]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the broker
    """A request is refused and nothing was changed."""


class InvalidArgument(Refusal):
    """The request breaks a rule of the API."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(f"Invalid {field} ({value}): {rule}.")


class NotFound(Refusal):
    """The named resource does not exist."""


class AlreadyExists(Refusal):
    """The name of the new resource is taken."""


class Unsupported(Refusal):
    """The request asks for something that this broker does not do."""


class Exhausted(Refusal):
    """The disk has no room for what the request would write."""


class Unavailable(Refusal):
    """The log can't be trusted after a failed write; a restart recovers it."""


class CorruptLog(Exception):  # noqa: N818 - says what is corrupt
    """Bytes that were once durable are missing or changed."""


class DataDirInUse(Exception):  # noqa: N818 - says what is in use
    """Another broker holds the lock of the data directory."""
