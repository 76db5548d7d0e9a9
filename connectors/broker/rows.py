"""Messages as Arrow rows: their schema, their size, the columns that the broker fills in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "DELIVERED",
    "STORED",
    "binaries",
    "ids",
    "integers",
    "join",
    "lengths",
    "maps",
    "numbers",
    "offsets",
    "plain_map",
    "size_bytes",
    "sizes_bytes",
    "stored",
    "text",
    "texts",
    "truths",
    "unsent",
    "where",
]

STORED = pa.schema(
    [
        pa.field("data", pa.binary()),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("message_id", pa.string()),
        pa.field("publish_time", pa.timestamp("us", tz="UTC")),
        pa.field("ordering_key", pa.string()),
    ]
)
"""Columns of the rows in the log."""

DELIVERED = STORED.append(pa.field("delivery_attempt", pa.int32()))
"""Columns of the rows in a lease: those of ``STORED`` and the delivery attempt, null where the
service would send 0 because the subscription has no dead-letter policy."""


def stored(messages: pa.StructArray, first_id: int, time_us: int) -> pa.RecordBatch:
    """Return the rows of published messages, with ids counted up from ``first_id``.

    Args:
        messages: structs of a decoded Publish request.
        first_id: id of the first message.
        time_us: publish time of all, microseconds since 1970.
    """
    data, attributes, _, _, ordering_key = messages.flatten()
    count = len(messages)
    times = numbers(np.full(count, time_us), STORED.field("publish_time").type)
    columns = [data, plain_map(attributes), ids(first_id, count), times, ordering_key]
    return pa.RecordBatch.from_arrays(columns, schema=STORED)


def ids(first: int, count: int) -> pa.StringArray:
    """Return message ids, counted up."""
    return numbers(np.arange(first, first + count), pa.int64()).cast(pa.string())


def unsent(messages: pa.StructArray) -> pa.RecordBatch:
    """Return the rows of messages before they are published: ids and times are null."""
    data, attributes, _, _, ordering_key = messages.flatten()
    nulls = [pa.nulls(len(messages), STORED.field(n).type) for n in ("message_id", "publish_time")]
    columns = [data, plain_map(attributes), *nulls, ordering_key]
    return pa.RecordBatch.from_arrays(columns, schema=STORED)


def numbers(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return an array of the same bytes; ``pa.array`` would import pandas, for 0.2 s and more."""
    return pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(values)])


def text(value: str) -> pa.StringScalar:
    """Return a string as Arrow's kernels take it; given a Python one they would import pandas."""
    encoded = value.encode()
    ends = pa.py_buffer(np.array([0, len(encoded)], np.int32))
    return pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(encoded)])[0]


def texts(values: Sequence[str]) -> pa.StringArray:
    """Return an array of strings; ``pa.array`` would import pandas."""
    return binaries([each.encode() for each in values]).cast(pa.string())


def binaries(values: Sequence[bytes]) -> pa.BinaryArray:
    """Return an array of byte strings; ``pa.array`` would import pandas."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def maps(values: Sequence[dict[str, str]]) -> pa.MapArray:
    """Return an array of attributes; ``pa.array`` would import pandas."""
    ends = numbers(np.cumsum([0, *map(len, values)], dtype=np.int32), pa.int32())
    keys, items = (
        texts([text for each in values for text in part(each)]) for part in (dict.keys, dict.values)
    )
    return pa.MapArray.from_arrays(ends, keys, items)


def integers(column: pa.Int32Array) -> npt.NDArray[np.int32]:
    """Return integers, none of them null; ``to_numpy`` would import pandas."""
    if len(column) == 0:
        return np.zeros(0, np.int32)
    found = np.frombuffer(column.buffers()[1], np.int32)
    return found[column.offset : column.offset + len(column)]


def truths(column: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    """Return booleans, none of them null; ``to_numpy`` would import pandas."""
    if len(column) == 0:
        return np.zeros(0, np.bool_)
    packed = np.frombuffer(column.buffers()[1], np.uint8)
    end = column.offset + len(column)
    return np.unpackbits(packed, count=end, bitorder="little")[column.offset :].view(np.bool_)


def where(column: pa.Array, mask: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the values of which the mask is true."""
    return column.take(numbers(np.flatnonzero(mask), pa.int64()))


def plain_map(attributes: pa.MapArray) -> pa.MapArray:
    """Return the same map typed as in ``STORED``; decoded ones say that no value is null."""
    return pa.MapArray.from_arrays(attributes.offsets, attributes.keys, attributes.items)


def sizes_bytes(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return the size of each message: data, attributes and ordering key, from offsets alone."""
    sizes = lengths(rows.column("data")) + lengths(rows.column("ordering_key"))
    attributes = rows.column("attributes")
    entries = offsets(attributes)
    for texts in (attributes.keys, attributes.items):
        sizes += np.diff(offsets(texts, whole=True)[entries])
    return sizes


def size_bytes(rows: pa.RecordBatch) -> int:
    """Return the size of all messages together, as ``sizes_bytes`` counts it."""
    attributes = rows.column("attributes")
    entries = offsets(attributes)
    first, last = int(entries[0]), int(entries[-1])
    size = 0
    for texts in (attributes.keys, attributes.items):
        ends = offsets(texts, whole=True)
        size += int(ends[last]) - int(ends[first])
    for column in (rows.column("data"), rows.column("ordering_key")):
        ends = offsets(column)
        size += int(ends[-1]) - int(ends[0])
    return size


def join(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of all parts in one batch; of a single part without copying."""
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the length of each value: bytes of strings and binaries, entries of maps."""
    return np.diff(offsets(column)).astype(np.int64)


def offsets(column: pa.Array, *, whole: bool = False) -> npt.NDArray[np.int32]:
    """Return the offsets buffer of a column, of its slice unless ``whole``."""
    buffer = column.buffers()[1]
    if buffer is None or buffer.size == 0:
        return np.zeros(len(column) + 1, np.int32)
    found = np.frombuffer(buffer, np.int32)
    return found if whole else found[column.offset : column.offset + len(column) + 1]
