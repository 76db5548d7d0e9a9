"""What a subscription hands over, and what can be done with it, whatever the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import pyarrow as pa

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

__all__ = ["NOTHING", "Delivery", "Lease", "Subscription"]

Lease: TypeAlias = Any
"""What extends and acknowledges the messages of one delivery. Opaque: each wire has its own."""


class Delivery(NamedTuple):
    """Messages and their lease; without messages there is no lease."""

    messages: Batch
    lease: Lease | None
    backlog: int | None
    """Messages that wait for delivery; None where the server does not tell."""
    unacknowledged: int | None
    """Waiting messages and delivered ones, to us or others; None where the server does not tell."""
    horizon_us: int | None = None
    """No message that was unacknowledged at this delivery, or came after it, was published before;
    microseconds since 1970, None where the server does not tell."""


NOTHING = Batch(pa.RecordBatch.from_pylist([], schema=MESSAGE_SCHEMA))
"""A batch of no messages."""


class Subscription(Protocol):
    """One subscription on one connection. Its methods may be called from several threads.

    All of them raise the errors of the client library, for ``retry.call`` to judge.

    Attributes:
        leases_last: a lease is a text that acknowledges for good, by whatever process, whether it
            has expired or not. Else it is good for as long as it is held, and a message may come
            again although it was acknowledged.
        asked: how many requests for messages were sent.
        answered: all of the first so many requests were answered and taken by the reader.
    """

    leases_last: bool

    @property
    def asked(self) -> int:
        """See the class."""

    @property
    def answered(self) -> int:
        """See the class."""

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Return the next messages, or none when none came for ``wait_s``.

        It may ask the server ahead, but what it returns and what it has asked for then are
        together at most ``messages_max``.
        """

    def poll(self, messages_max: int, wait_s: float, open_s: float) -> Delivery | None:
        """Return the next messages if they are here within ``wait_s``.

        A request for the messages after them is left open on the server. A server that counts
        answers it within ``open_s``, with a delivery of none if need be, which tells how matters
        stand; until then this is None. From others a delivery of none is that nothing has come.
        """

    def extend(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Hold the leases for another ack deadline; return those that are still held."""

    def acknowledge(self, leases: Sequence[Lease]) -> None:
        """Acknowledge all messages of the leases, expired ones included."""

    def release(self, leases: Sequence[Lease]) -> None:
        """Give the messages back for delivery at once."""

    def close(self) -> None:
        """Give back what was asked for and never returned by ``pull``."""
