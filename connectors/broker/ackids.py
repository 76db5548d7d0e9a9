"""Ack ids and lease ids: opaque to clients, self-contained, packed and parsed as whole columns.

An ack id is a record of 24 bytes in base64, which needs no padding at that size: 32 characters
each, so that a column of ids is one buffer. It carries the subscription, the position and the
generation of the lease, and therefore stays good for an ack after the lease has expired and after
the broker was restarted. A lease id is one such record for the lease, then ranges of positions.

The check sum finds what was garbled. It is no signature: the broker trusts its clients.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import limits
from connectors.broker.backlog import Positions
from connectors.broker.errors import InvalidArgument

__all__ = ["Lease", "pack", "pack_lease", "parse", "parse_lease"]

_RECORD = np.dtype(
    [("subscription", "<u8"), ("position", "<u8"), ("generation", "<u4"), ("check", "<u4")]
)
_RANGE = np.dtype([("start", "<u8"), ("count", "<u4")])
_ID_CHARS = 32
_RULE = "must be an ack id that this broker has delivered for this subscription"
_LEASE_RULE = "must be a lease id that this broker has given"


class Lease(NamedTuple):
    """What a lease id says."""

    subscription: int
    generation: int
    positions: Positions


def pack(subscription: int, positions: Positions, generation: int) -> pa.StringArray:
    """Return the ack ids of positions leased together.

    Args:
        subscription: the subscription's number.
        positions: of the messages.
        generation: of the lease.
    """
    text = binascii.b2a_base64(_records(subscription, positions, generation), newline=False)
    offsets = np.arange(positions.size + 1, dtype=np.int32) * _ID_CHARS
    return pa.StringArray.from_buffers(positions.size, pa.py_buffer(offsets), pa.py_buffer(text))


def parse(ack_ids: pa.StringArray, subscription: int) -> tuple[Positions, npt.NDArray[np.uint32]]:
    """Return position and generation of each ack id.

    Args:
        ack_ids: as they came.
        subscription: the number of the subscription that they must belong to.

    Raises:
        InvalidArgument: an id is malformed or belongs to another subscription.
    """
    count = len(ack_ids)
    if count == 0:
        return np.empty(0, np.int64), np.empty(0, np.uint32)
    offsets = np.frombuffer(ack_ids.buffers()[1], np.int32)[ack_ids.offset :][: count + 1]
    if not np.all(np.diff(offsets) == _ID_CHARS):
        raise InvalidArgument("ack_ids", f"one is not {_ID_CHARS} characters long", _RULE)
    records = _decoded(ack_ids.buffers()[2][int(offsets[0]) : int(offsets[-1])])
    if records.size != count or not np.array_equal(records["check"], _checks(records)):
        raise InvalidArgument("ack_ids", "one is garbled", _RULE)
    if not np.all(records["subscription"] == subscription):
        raise InvalidArgument("ack_ids", "one belongs to another subscription", _RULE)
    return records["position"].astype(np.int64), records["generation"]


def pack_lease(subscription: int, positions: Positions, generation: int) -> str:
    """Return the id of a lease on ascending positions; it is short where they are consecutive."""
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    starts = np.concatenate(([0], breaks)).astype(np.int64)
    ranges = np.zeros(starts.size, _RANGE)
    ranges["start"] = positions[starts]
    ranges["count"] = np.diff(np.append(starts, positions.size))
    # The record's position is free to hold what guards the ranges: their check sum.
    guard = np.array([binascii.crc32(ranges.tobytes())])
    head = _records(subscription, guard, generation)
    return base64.b64encode(head + ranges.tobytes()).decode()


def parse_lease(lease: str) -> Lease:
    """Return what ``pack_lease`` was given.

    Raises:
        InvalidArgument: the id is malformed.
    """
    try:
        raw = base64.b64decode(lease, validate=True)
        record = np.frombuffer(raw[: _RECORD.itemsize], _RECORD)
        ranges = np.frombuffer(raw[_RECORD.itemsize :], _RANGE)
    except ValueError as error:
        raise InvalidArgument("leases", f"one is garbled: {error}", _LEASE_RULE) from None
    if record.size != 1 or not np.array_equal(record["check"], _checks(record)):
        raise InvalidArgument("leases", "one is garbled", _LEASE_RULE)
    if record["position"][0] != binascii.crc32(ranges.tobytes()):
        raise InvalidArgument("leases", "one is garbled", _LEASE_RULE)
    if int(ranges["count"].sum(dtype=np.uint64)) > limits.LEASE_MESSAGES_MAX:
        raise InvalidArgument("leases", "one is of too many messages", _LEASE_RULE)
    runs = [np.arange(start, start + count) for start, count in ranges.astype("<i8,<i8").tolist()]
    positions = np.concatenate(runs) if runs else np.empty(0, np.int64)
    return Lease(int(record["subscription"][0]), int(record["generation"][0]), positions)


def _records(subscription: int, positions: Positions, generation: int) -> bytes:
    records = np.zeros(positions.size, _RECORD)
    records["subscription"] = subscription
    records["position"] = positions
    records["generation"] = generation
    records["check"] = _checks(records)
    return records.tobytes()


def _decoded(text: pa.Buffer) -> npt.NDArray[np.void]:
    try:
        raw = binascii.a2b_base64(text)
    except binascii.Error:
        raw = b""
    return np.frombuffer(raw[: len(raw) - len(raw) % _RECORD.itemsize], _RECORD)


def _checks(records: npt.NDArray[np.void]) -> npt.NDArray[np.uint32]:
    """Return a check sum per record: multiply and fold, as in the finalisers of hash functions."""
    mixed = records["subscription"] ^ (records["position"] * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ records["generation"]) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(32)).astype(np.uint32)
