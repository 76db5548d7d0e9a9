"""The batch extension ``headrace.broker.v1.Batches``: one Arrow batch under one lease.

Requests are JSON objects. A Lease response is 4 bytes with the length of a JSON header, little
end first, the header, and, unless no message came, an Arrow IPC stream with one record batch.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pyarrow as pa

from connectors.broker import ackids, limits, rows, rules
from connectors.broker.catalog import Catalog
from connectors.broker.delivery import Delivery, Want
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidAckIds, InvalidArgument
from connectors.broker.state import Subscription

__all__ = ["Batches"]

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class _LeaseRequest(msgspec.Struct, forbid_unknown_fields=True):
    subscription: str
    max_messages: int = 16_384
    max_bytes: int = 16 << 20
    ack_deadline_s: float = 60.0
    wait_s: float = 1.0


class _LeasesRequest(msgspec.Struct, forbid_unknown_fields=True):
    leases: list[str]


class _ExtendRequest(msgspec.Struct, forbid_unknown_fields=True):
    leases: list[str]
    ack_deadline_s: float = 60.0


class _LeaseHeader(msgspec.Struct):
    lease: str | None
    messages: int
    backlog: int
    outstanding: int
    horizon_us: int


_Request = TypeVar("_Request")


class Batches:
    """The four methods; each takes and returns the bytes of the wire."""

    def __init__(self, engine: Engine, catalog: Catalog, admit: Callable[[str], None]) -> None:
        self._engine = engine
        self._catalog = catalog
        self._admit = admit

    async def lease(self, request: bytes) -> bytes:
        """Lease a batch of the oldest messages; wait for the first if there is none."""
        wanted = _parsed(request, _LeaseRequest)
        self._admit(wanted.subscription)
        subscription = self._catalog.subscription(wanted.subscription)
        rules.check_positive("max_messages", wanted.max_messages)
        rules.check_positive("max_bytes", wanted.max_bytes)
        _check_lease_s(wanted.ack_deadline_s)
        want = Want(
            min(wanted.max_messages, limits.LEASE_MESSAGES_MAX),
            min(wanted.max_bytes, limits.LEASE_BYTES_MAX),
            wanted.ack_deadline_s,
        )
        wait_s = min(wanted.wait_s, limits.LEASE_WAIT_S_MAX)
        delivery = await self._engine.delivery.lease_within(wait_s, subscription, want)
        return _lease_response(subscription, delivery, self._engine.horizon_us(subscription))

    async def extend(self, request: bytes) -> bytes:
        """Move the deadline of leases; say which of them hold no message any more."""
        wanted = _parsed(request, _ExtendRequest)
        _check_lease_s(wanted.ack_deadline_s)
        expired = []
        for text, (each, lease) in zip(wanted.leases, self._resolved(wanted.leases), strict=True):
            if each.backlog.holds(lease.positions, lease.generation).any():
                seconds = wanted.ack_deadline_s
                self._engine.delivery.extend(each, lease.positions, lease.generation, seconds)
            else:
                expired.append(text)
        return msgspec.json.encode({"expired": expired})

    async def acknowledge(self, request: bytes) -> bytes:
        """Settle all messages of leases for good, whether expired or not.

        Those of an exactly-once subscription must be held still. Where some of a lease are not,
        the others are settled and the lease is refused.
        """
        ids = _parsed(request, _LeasesRequest).leases
        ack = self._engine.delivery.ack
        counted = await asyncio.gather(
            *(ack(each, lease.positions, lease.generation) for each, lease in self._resolved(ids))
        )
        lost = [text for text, acks in zip(ids, counted, strict=True) if acks.invalid.any()]
        early = [text for text, acks in zip(ids, counted, strict=True) if acks.unordered.any()]
        if lost or early:
            raise InvalidAckIds(lost, early)
        return b"{}"

    async def release(self, request: bytes) -> bytes:
        """Give the messages of leases back, to be delivered again at once."""
        for each, lease in self._resolved(_parsed(request, _LeasesRequest).leases):
            self._engine.delivery.extend(each, lease.positions, lease.generation, 0)
        return b"{}"

    def _resolved(self, leases: list[str]) -> list[tuple[Subscription, ackids.Lease]]:
        parsed = [ackids.parse_lease(text) for text in leases]
        state = self._engine.state
        found = [(state.subscription_by_uid(each.subscription), each) for each in parsed]
        for subscription in {each for each, _ in found}:
            self._admit(subscription.settings.name)
        return found


def _check_lease_s(seconds: float) -> None:
    rules.check_range("ack_deadline_s", seconds, limits.LEASE_S_MIN, limits.ACK_DEADLINE_S_MAX)


def _parsed(request: bytes, kind: type[_Request]) -> _Request:
    try:
        return msgspec.json.decode(request, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidArgument("request", f"{len(request)} bytes", f"{error}") from None


def _lease_response(
    subscription: Subscription, delivery: Delivery | None, horizon_us: int
) -> bytes:
    backlog = subscription.backlog
    if delivery is None:
        return _framed(_LeaseHeader(None, 0, backlog.waiting, backlog.leased, horizon_us))
    uid = subscription.uid
    lease = ackids.pack_lease(uid, delivery.positions, delivery.generation)
    count = delivery.positions.size
    header = _LeaseHeader(lease, count, backlog.waiting, backlog.leased, horizon_us)
    return _framed(header, *_stream(delivery))


def _framed(header: _LeaseHeader, *body: bytes | pa.Buffer) -> bytes:
    head = msgspec.json.encode(header)
    return b"".join((struct.pack("<I", len(head)), head, *body))


def _stream(delivery: Delivery) -> tuple[bytes | pa.Buffer, ...]:
    """Return the parts of an Arrow IPC stream, which a writer would copy once more."""
    stored, kind = delivery.rows, rows.DELIVERED.field("delivery_attempt").type
    if delivery.attempts is None:
        attempts = pa.nulls(stored.num_rows, kind)
    else:
        attempts = rows.numbers(delivery.attempts, kind)
    delivered = pa.RecordBatch.from_arrays([*stored.columns, attempts], schema=rows.DELIVERED)
    return rows.DELIVERED.serialize(), delivered.serialize(), _END_OF_STREAM
