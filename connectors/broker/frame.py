"""One event on disk: a header of 64 bytes, then the payload, padded to a multiple of 64.

    offset  size  field
         0     4  magic "HRF1"
         4     2  kind: 1 catalog event or checkpoint, JSON; 2 publish; 3 ack
         6     2  zero
         8     8  size of the payload, bytes
        16     8  check sum: XXH3 of the header behind it and of the payload
        24     8  durable: bytes of this segment that were synced before this was written
        32     8  uid of the topic (publish) or of the subscription (ack)
        40     8  first message id (publish)
        48     8  publish time, microseconds since 1970 (publish)
        56     4  number of messages (publish) or of ranges (ack)
        60     4  zero

The payload of a publish is an Arrow IPC record batch without its schema (``rows.STORED``), which
is later read in place. That of an ack is ranges of positions: start and stop, 8 bytes each.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash

from connectors.broker.backlog import Positions
from connectors.broker.events import Acked, Catalog, Event, Place, Published

__all__ = ["ALIGNMENT", "HEADER_BYTES", "Frame", "decode", "encode", "scan"]

ALIGNMENT = HEADER_BYTES = 64

_MAGIC = b"HRF1"
_HEADER = struct.Struct("<4sHHQQQQQqII")
_CHECKED_FROM = 24
_CATALOG, _PUBLISH, _ACK = 1, 2, 3
_decode_catalog = msgspec.json.Decoder(Catalog).decode


class Frame(NamedTuple):
    """A frame whose check sum is right, and where it ends."""

    event: Event
    durable: int
    end: int


def encode(event: Event, rows: bytes | memoryview, durable: int) -> list[bytes | memoryview]:
    """Return the parts of a frame, to be written one behind the other.

    Args:
        event: what happened.
        rows: of a publish, Arrow IPC; empty for all other events.
        durable: bytes of the segment that are synced by now.
    """
    match event:
        case Published(topic_uid=uid, first_id=first_id, count=count, time_us=time_us):
            kind, payload, facts = _PUBLISH, rows, (uid, first_id, time_us, count, 0)
        case Acked(uid=uid, positions=positions):
            payload, ranges = _pack_ranges(positions)
            kind, facts = _ACK, (uid, 0, 0, ranges, 0)
        case _:
            kind, payload, facts = _CATALOG, msgspec.json.encode(event), (0, 0, 0, 0, 0)
    header = bytearray(_HEADER.pack(_MAGIC, kind, 0, len(payload), 0, durable, *facts))
    struct.pack_into("<Q", header, 16, _check(header, payload))
    return [bytes(header), payload, bytes(-len(payload) % ALIGNMENT)]


def decode(data: memoryview, offset: int, segment: int) -> Frame | None:
    """Return the frame at an offset, or None if there is no whole and unharmed one.

    Args:
        data: of the segment.
        offset: where the frame would begin.
        segment: number of the segment, for the place of the rows.
    """
    body = offset + HEADER_BYTES
    if body > len(data) or bytes(data[offset : offset + 4]) != _MAGIC:
        return None
    _, kind, _, size, check, durable, uid, first_id, time_us, count, _ = _HEADER.unpack_from(
        data, offset
    )
    end = body + size + -size % ALIGNMENT
    payload = data[body : body + size]
    if end > len(data) or check != _check(data[offset:body], payload):
        return None
    event: Event
    if kind == _PUBLISH:
        event = Published(uid, first_id, count, time_us, Place(segment, body, size))
    elif kind == _ACK:
        event = Acked(uid, _unpack_ranges(payload))
    else:
        event = _decode_catalog(payload)
    return Frame(event, durable, end)


def scan(data: memoryview, offset: int, segment: int) -> Frame | None:
    """Return the first unharmed frame at or behind an offset."""
    for at in range(offset, len(data), ALIGNMENT):
        frame = decode(data, at, segment)
        if frame is not None:
            return frame
    return None


def _check(header: bytearray | memoryview, payload: bytes | memoryview) -> int:
    digest = xxhash.xxh3_64(header[_CHECKED_FROM:])
    digest.update(header[:16])
    digest.update(payload)
    return digest.intdigest()


def _pack_ranges(positions: Positions) -> tuple[bytes, int]:
    breaks = np.flatnonzero(np.diff(positions) != 1)
    starts = positions[np.concatenate(([0], breaks + 1))]
    stops = positions[np.append(breaks, positions.size - 1)] + 1
    return np.stack((starts, stops), axis=1).astype("<i8").tobytes(), starts.size


def _unpack_ranges(payload: memoryview) -> Positions:
    ranges = np.frombuffer(payload, "<i8").reshape(-1, 2)
    counts = ranges[:, 1] - ranges[:, 0]
    steps = np.ones(int(counts.sum()), np.int64)
    heads = np.cumsum(counts) - counts
    steps[heads] = ranges[:, 0]
    steps[heads[1:]] -= ranges[:-1, 1] - 1
    return np.cumsum(steps)
