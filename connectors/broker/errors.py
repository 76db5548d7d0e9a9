"""Refusals: what a client is told, by kind; the service maps each to its gRPC status.

    Refusal
    ├── InvalidArgument       the request breaks a rule; the text names field, value and rule
    │   └── InvalidAckIds     an exactly-once subscription does not know these ids any more
    ├── OutOfRange            a number of it is beyond what there is
    ├── NotFound              the resource does not exist
    ├── AlreadyExists         the name is taken
    ├── FailedPrecondition    the resource is in no state for it
    ├── Aborted               it was changed by another request meanwhile
    ├── Unauthenticated       nobody says who is asking
    ├── PermissionDenied      who is asking may not
    ├── Unsupported           the service knows this, the broker does not do it
    ├── Exhausted             the disk is full
    └── Unavailable           the log failed; the broker must be restarted

``BadFile``, ``CorruptLog`` and ``DataDirInUse`` are no answers to a client: they stop the broker
from starting.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Aborted",
    "AlreadyExists",
    "BadCertificate",
    "BadFile",
    "CorruptLog",
    "DataDirInUse",
    "ErrorInfo",
    "Exhausted",
    "FailedPrecondition",
    "InvalidAckIds",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "Refusal",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
]


class ErrorInfo(NamedTuple):
    """Why, for programs: a ``google.rpc.ErrorInfo`` in the details of the status."""

    reason: str
    metadata: dict[str, str]
    domain: str = "pubsub.googleapis.com"


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the broker
    """A request is refused and nothing was changed."""

    info: ErrorInfo | None = None


class InvalidArgument(Refusal):
    """The request breaks a rule of the API."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(f"Invalid {field} ({value}): {rule}.")
        self.field = field


class InvalidAckIds(InvalidArgument):
    """Ack ids that an exactly-once subscription does not take; all others of the request count.

    Args:
        invalid: not those of a lease that is held now.
        unordered: behind an unacked message of the same ordering key; valid after its ack.
    """

    def __init__(self, invalid: list[str], unordered: list[str]) -> None:
        Refusal.__init__(
            self,
            f"Some ids are not acknowledged: the leases of {len(invalid)} are not held any more,"
            f" {len(unordered)} are out of the order of their key.",
        )
        metadata = dict.fromkeys(invalid, "PERMANENT_FAILURE_INVALID_ACK_ID")
        metadata |= dict.fromkeys(unordered, "TRANSIENT_FAILURE_UNORDERED_ACK_ID")
        self.info = ErrorInfo("EXACTLY_ONCE_ACKID_FAILURE", metadata)


class OutOfRange(Refusal):
    """A number of the request is beyond what there is."""


class NotFound(Refusal):
    """The named resource does not exist."""


class AlreadyExists(Refusal):
    """The name of the new resource is taken."""


class FailedPrecondition(Refusal):
    """The resource is in no state for what the request asks."""


class Aborted(Refusal):
    """The resource was changed by another request; read it again and repeat."""


class Unauthenticated(Refusal):
    """The request does not say who is asking, or can't prove it."""


class PermissionDenied(Refusal):
    """Who is asking has no permission."""


class Unsupported(Refusal):
    """The request asks for something that this broker does not do."""


class Exhausted(Refusal):
    """The disk has no room for what the request would write."""


class Unavailable(Refusal):
    """The log can't be trusted after a failed write; a restart recovers it."""


class BadFile(Exception):  # noqa: N818 - says what is bad
    """A file of declarations breaks a rule; the text names file, line and rule."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}")
        self.path = path


class BadCertificate(Exception):  # noqa: N818 - says what is bad
    """The files for TLS can't be used."""


class CorruptLog(Exception):  # noqa: N818 - says what is corrupt
    """Bytes that were once durable are missing or changed."""


class DataDirInUse(Exception):  # noqa: N818 - says what is in use
    """Another broker holds the lock of the data directory."""
