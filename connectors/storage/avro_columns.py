"""A column to the Avro encoding of each of its values. Pure functions.

Avro writes integers with seven bits a byte, the lowest first; the sign goes to the lowest bit.
Specification: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.storage.joined import Part, as_lists, join, list_parts
from transforms.arrow_types import Test, either, is_bytes, is_list, is_text
from transforms.errors import PermanentError

__all__ = ["avro_rows", "varints"]

_BITS = 7
_VARINT_BYTES_MAX = 10
_is = pa.types


def avro_rows(rows: pa.RecordBatch) -> pa.Array:
    """Return the encoding of each row as a record of all columns."""
    parts = _fields([rows.schema.field(index) for index in range(rows.num_columns)], rows.columns)
    return join(parts, rows.num_rows) if parts else pa.repeat(_bytes(b""), rows.num_rows)


def varints(numbers: np.ndarray) -> pa.Array:
    """Return Avro's encoding of 64-bit integers.

    Args:
        numbers: of type int64.
    """
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    sizes = np.ones(len(zigzag), np.int32)
    for count in range(1, _VARINT_BYTES_MAX):
        longer = zigzag >= (np.uint64(1) << np.uint64(_BITS * count))
        if not longer.any():
            break
        sizes += longer
    offsets = np.zeros(len(zigzag) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    encoded = np.empty(offsets[-1], np.uint8)
    for index in range(int(sizes.max(initial=0))):
        rows = np.flatnonzero(sizes > index)
        bits = (zigzag[rows] >> np.uint64(_BITS * index)) & np.uint64(0x7F)
        more = np.where(sizes[rows] > index + 1, 0x80, 0).astype(np.uint8)
        encoded[offsets[rows] + index] = bits.astype(np.uint8) | more
    return _binary_array(offsets, encoded)


def _bytes(value: bytes) -> pa.Scalar:
    return pa.scalar(value, pa.binary())


_NULL_BRANCH, _VALUE_BRANCH = _bytes(b"\x00"), _bytes(b"\x02")
_END_OF_BLOCKS = _bytes(b"\x00")


def _binary_array(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _fields(fields: Sequence[pa.Field], columns: Sequence[pa.Array]) -> list[Part]:
    return [
        part
        for field, column in zip(fields, columns, strict=True)
        for part in _field(field, column)
    ]


def _field(field: pa.Field, column: pa.Array) -> list[Part]:
    if _is.is_null(field.type):
        return []
    if not field.nullable:
        if column.null_count:
            raise PermanentError(f"column {field.name!r} holds null, but is declared not to")
        return _parts(column)
    if not column.null_count:
        return [_VALUE_BRANCH, *_parts(column)]
    value = join([_VALUE_BRANCH, *_parts(column)], len(column))
    return [pc.if_else(column.is_valid(), value, _NULL_BRANCH)]


def _parts(column: pa.Array) -> list[Part]:
    """Return the encoding; what it is for null does not matter."""
    for test, encode in _ENCODERS:
        if test(column.type):
            return encode(column)
    raise PermanentError(f"Avro files can't hold a column of type {column.type}")


def _integer(column: pa.Array) -> list[Part]:
    try:
        return [varints(column.cast(pa.int64()).fill_null(0).to_numpy())]
    except pa.ArrowInvalid as error:
        raise PermanentError(f"Avro has no integers above 2**63 - 1: {error}") from error


def _count(column: pa.Array) -> list[Part]:
    """Encode what is a number of units: dates, durations."""
    width = pa.int32() if column.type.bit_width == pa.int32().bit_width else pa.int64()
    return _integer(column.cast(width))


def _date(column: pa.Array) -> list[Part]:
    return _count(column.cast(pa.date32()))


def _micros(column: pa.Array) -> list[Part]:
    kind = column.type
    wanted = pa.time64("us") if _is.is_time(kind) else pa.timestamp("us", kind.tz)
    try:
        return _integer(column.cast(wanted).cast(pa.int64()))
    except pa.ArrowInvalid as error:
        raise PermanentError(
            f"Avro files keep times in microseconds, which loses something of {kind} "
            f"({error}): round the column before"
        ) from error


def _fixed(values: np.ndarray, size: int) -> pa.Array:
    offsets = np.arange(len(values) // size + 1, dtype=np.int32) * np.int32(size)
    return _binary_array(offsets, values)


def _boolean(column: pa.Array) -> list[Part]:
    values = column.fill_null(False).cast(pa.uint8()).to_numpy()
    return [_fixed(values, 1)]


def _float(column: pa.Array) -> list[Part]:
    wanted = pa.float64() if _is.is_float64(column.type) else pa.float32()
    values = column.cast(wanted).fill_null(0.0).to_numpy()
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return [_fixed(little.view(np.uint8), values.dtype.itemsize)]


def _sized(column: pa.Array) -> list[Part]:
    values = column.cast(pa.binary()).fill_null(b"")
    return [varints(pc.binary_length(values).cast(pa.int64()).to_numpy()), values]


def _decimal(column: pa.Array) -> list[Part]:
    """Encode the unscaled number in all its bytes, the highest first."""
    size = column.type.bit_width // 8
    column = column.fill_null(pa.scalar(0, column.type))
    stored = np.frombuffer(column.buffers()[1], np.uint8)
    used = stored[column.offset * size : (column.offset + len(column)) * size]
    big = np.ascontiguousarray(used.reshape(-1, size)[:, ::-1]).ravel()
    length = varints(np.array([size], np.int64))[0]
    return [length, _fixed(big, size)]


def _dictionary(column: pa.Array) -> list[Part]:
    return _parts(column.dictionary_decode())


def _struct(column: pa.Array) -> list[Part]:
    kind = column.type
    fields = [kind.field(index) for index in range(kind.num_fields)]
    if not column.null_count:
        return _fields(fields, column.flatten())
    # What a null struct holds is never written, but must be there to be joined.
    filled = column.filter(column.is_valid())
    encoded = join([_bytes(b""), *_fields(fields, filled.flatten())], len(filled))
    empty = pa.repeat(_bytes(b""), len(column))
    return [pc.replace_with_mask(empty, column.is_valid(), encoded)]


def _list(column: pa.Array) -> list[Part]:
    column = as_lists(column)
    offsets, children = list_parts(column)
    values = column.values[children]
    return _blocks(
        offsets, join([_bytes(b""), *_field(column.type.value_field, values)], len(values))
    )


def _map(column: pa.Array) -> list[Part]:
    offsets, children = list_parts(column)
    keys, values = column.keys[children], column.items[children]
    entries = [*_sized(keys), *_field(column.type.item_field, values)]
    return _blocks(offsets, join(entries, len(keys)))


def _blocks(offsets: np.ndarray, items: pa.Array) -> list[Part]:
    """Return each list as one block: its count, its items, and the end, which is a count of 0."""
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)
    counts = np.diff(offsets).astype(np.int64)
    heads = pc.if_else(pa.array(counts > 0), varints(counts), _bytes(b""))
    return [heads, pc.binary_join(lists, _bytes(b"")), _END_OF_BLOCKS]


_ENCODERS: tuple[tuple[Test, Callable[[pa.Array], list[Part]]], ...] = (
    (either(is_text, is_bytes), _sized),
    (_is.is_integer, _integer),
    (either(_is.is_timestamp, _is.is_time), _micros),
    (_is.is_boolean, _boolean),
    (_is.is_floating, _float),
    (_is.is_date, _date),
    (_is.is_duration, _count),
    (_is.is_decimal, _decimal),
    (_is.is_dictionary, _dictionary),
    (_is.is_map, _map),
    (is_list, _list),
    (_is.is_struct, _struct),
)
