"""What is written at once: a header of 64 bytes, then the payload, padded to a multiple of 64.

    offset  size  field
         0     4  magic "HRF1"
         4     2  kind: 1 catalog event or checkpoint, JSON; 2 publish; 3 ack; 4 bundle; 5 skip;
                 6 move
         6     2  zero
         8     8  size of the payload, bytes
        16     8  check sum: XXH3 of the header behind it and of the payload
        24     8  durable: bytes of this segment that were synced before this was written
        32     8  uid of the topic (publish, move) or of the subscription (ack, skip)
        40     8  first message id (publish, skip) or first position (move)
        48     8  publish time, microseconds since 1970 (publish, move)
        56     4  number of messages (publish, move), of ranges (ack, skip) or of frames (bundle)
        60     4  hash of the ordering key (publish, move)

The payload of a publish and of a move is an Arrow IPC record batch without its schema
(``rows.STORED``), which is later read in place. That of an ack is ranges of positions: start and
stop, 8 bytes each; that of a skip the same with offsets in the publish. That of a bundle is frames
without check sums of their own: all of them happened, or none.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec
import numpy as np
import xxhash

from connectors.broker.backlog import Positions
from connectors.broker.events import Acked, Catalog, Event, Moved, Place, Published, Skipped

__all__ = ["ALIGNMENT", "HEADER_BYTES", "Entry", "Frame", "Pieces", "decode", "encode", "scan"]

Entry = tuple[Event, bytes | memoryview]
"""An event and, for a publish or a move, the rows."""

ALIGNMENT = HEADER_BYTES = 64

_MAGIC = b"HRF1"
_HEADER = struct.Struct("<4sHHQQQQQqII")
_CHECKED_FROM = 24
_CATALOG, _PUBLISH, _ACK, _BUNDLE, _SKIP, _MOVE = 1, 2, 3, 4, 5, 6
_decode_catalog = msgspec.json.Decoder(Catalog).decode


Pieces = list[bytes | bytearray | memoryview]


class Frame(NamedTuple):
    """A frame whose check sum is right: its events, how much was durable, where it ends."""

    events: list[Event]
    durable: int
    end: int


def encode(bundle: list[Entry], durable: int) -> tuple[Pieces, list[Place]]:
    """Return the pieces of a frame, to be written one behind the other.

    Beside them, where each event's payload lies: in segment 0, counted from the frame's begin.

    Args:
        bundle: what happened at once; a single event is written without a bundle around it.
        durable: bytes of the segment that are synced by now.
    """
    if len(bundle) == 1:
        header, payload = _packed(bundle[0], durable)
        _seal(header, [payload])
        size = len(payload)
        return [header, payload, bytes(-size % ALIGNMENT)], [Place(0, HEADER_BYTES, size)]
    pieces: Pieces = []
    places: list[Place] = []
    end = HEADER_BYTES
    for entry in bundle:
        header, payload = _packed(entry, durable)
        places.append(Place(0, end + HEADER_BYTES, len(payload)))
        pieces += (header, payload, bytes(-len(payload) % ALIGNMENT))
        end += HEADER_BYTES + len(payload) + -len(payload) % ALIGNMENT
    header = _header(_BUNDLE, end - HEADER_BYTES, durable, (0, 0, 0, len(bundle), 0))
    _seal(header, pieces)
    return [header, *pieces], places


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
    fields = _HEADER.unpack_from(data, offset)
    _, kind, _, size, check, durable, *_, count, _ = fields
    end = body + size + -size % ALIGNMENT
    if end > len(data) or check != _check(data[offset:body], [data[body : body + size]]):
        return None
    if kind != _BUNDLE:
        return Frame([_event(fields, data, body, segment)], durable, end)
    events: list[Event] = []
    for _ in range(count):
        fields = _HEADER.unpack_from(data, body)
        events.append(_event(fields, data, body + HEADER_BYTES, segment))
        body += HEADER_BYTES + fields[3] + -fields[3] % ALIGNMENT
    return Frame(events, durable, end)


def scan(data: memoryview, offset: int, segment: int) -> Frame | None:
    """Return the first unharmed frame at or behind an offset."""
    for at in range(offset, len(data), ALIGNMENT):
        frame = decode(data, at, segment)
        if frame is not None:
            return frame
    return None


def _packed(entry: Entry, durable: int) -> tuple[bytearray, bytes | memoryview]:
    """Return the header of an event, without its check sum, and the payload."""
    event, rows = entry
    match event:
        case Published():
            facts = (event.topic_uid, event.first_id, event.time_us, event.count, event.key)
            kind, payload = _PUBLISH, rows
        case Moved():
            facts = (event.topic_uid, event.first, event.time_us, event.count, event.key)
            kind, payload = _MOVE, rows
        case Acked(uid=uid, positions=positions):
            payload, ranges = _pack_ranges(positions)
            kind, facts = _ACK, (uid, 0, 0, ranges, 0)
        case Skipped(uid=uid, first_id=first_id, offsets=offsets):
            payload, ranges = _pack_ranges(offsets)
            kind, facts = _SKIP, (uid, first_id, 0, ranges, 0)
        case _:
            kind, payload, facts = _CATALOG, msgspec.json.encode(event), (0, 0, 0, 0, 0)
    return _header(kind, len(payload), durable, facts), payload


def _header(
    kind: int, size_bytes: int, durable: int, facts: tuple[int, int, int, int, int]
) -> bytearray:
    return bytearray(_HEADER.pack(_MAGIC, kind, 0, size_bytes, 0, durable, *facts))


def _event(fields: tuple[Any, ...], data: memoryview, body: int, segment: int) -> Event:
    """Return the event of a frame that is known to be whole."""
    _, kind, _, size, _, _, uid, first, time_us, count, key = fields
    if kind == _PUBLISH:
        return Published(uid, first, count, time_us, Place(segment, body, size), key)
    if kind == _MOVE:
        return Moved(uid, first, count, time_us, Place(segment, body, size), key)
    payload = data[body : body + size]
    if kind == _ACK:
        return Acked(uid, _unpack_ranges(payload))
    if kind == _SKIP:
        return Skipped(uid, first, _unpack_ranges(payload))
    event: Event = _decode_catalog(payload)
    return event


def _seal(header: bytearray, pieces: Pieces) -> None:
    """Put the check sum into a header."""
    struct.pack_into("<Q", header, 16, _check(header, pieces))


def _check(header: bytearray | memoryview, pieces: Pieces) -> int:
    digest = xxhash.xxh3_64(header[_CHECKED_FROM:])
    digest.update(header[:16])
    for piece in pieces:
        digest.update(piece)
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
