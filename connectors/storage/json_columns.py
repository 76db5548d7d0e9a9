"""A column to the JSON text of each of its values. Pure functions.

| Arrow | JSON |
|---|---|
| boolean, integer, finite float | the same |
| NaN, infinity | ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, as BigQuery has it |
| decimal | text, which loses no digit |
| text | text |
| binary | base64 |
| timestamp | ``"2026-01-31T09:30:00.000000Z"``, without ``Z`` if it has no zone |
| date, time | ``"2026-01-31"``, ``"09:30:00.000000"`` |
| duration | the number of its units |
| list, struct | array, object |
| map | object; keys as text |
| null | ``null`` |
"""

from __future__ import annotations

import binascii
from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.storage.joined import as_lists, join, list_parts
from transforms.arrow_types import Test, either, is_bytes, is_list, is_text
from transforms.batch import Batch
from transforms.errors import PermanentError

__all__ = ["as_json", "json_rows", "json_values"]

_ESCAPED = r'["\\\x00-\x1f]'
_QUOTE = pa.scalar('"')
_NON_FINITE = {"nan": '"NaN"', "-nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


def as_json(batch: Batch) -> pa.Array:
    """Return a JSON object for each row of a batch, such as ``pubsub.Write`` takes as ``data``."""
    return json_rows(batch.rows)


def json_rows(rows: pa.RecordBatch) -> pa.Array:
    """Return a JSON object for each row, with all columns in their order."""
    return _objects(rows.schema.names, rows.columns, rows.num_rows)


def json_values(array: pa.Array) -> pa.Array:
    """Return the JSON text of each value; for null it is ``null``.

    Raises:
        PermanentError: JSON has no form for the type.
    """
    kind = array.type
    for test, encode in _ENCODERS:
        if test(kind):
            texts = encode(array)
            return texts if not array.null_count else pc.if_else(array.is_valid(), texts, "null")
    raise PermanentError(f"JSON lines can't hold a column of type {kind}: cast it to another")


def _objects(names: list[str], columns: list[pa.Array], length: int) -> pa.Array:
    parts = [pa.scalar("{")]
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        label = f"{',' if number else ''}{msgspec.json.encode(name).decode()}:"
        parts += [pa.scalar(label), json_values(column)]
    return join([*parts, pa.scalar("}")], length)


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(pa.string()).fill_null("null")


def _quoted(texts: pa.Array) -> pa.Array:
    """Put texts that hold nothing to escape between quotes."""
    return join([_QUOTE, texts.cast(pa.string()).fill_null(""), _QUOTE], len(texts))


def _null(array: pa.Array) -> pa.Array:
    return pa.repeat("null", len(array))


def _float(array: pa.Array) -> pa.Array:
    texts = _plain(array.cast(pa.float32()) if pa.types.is_float16(array.type) else array)
    if pc.all(pc.is_finite(array)).as_py() is not False:
        return texts
    for plain, quoted in _NON_FINITE.items():
        texts = pc.if_else(pc.equal(texts, plain), quoted, texts)
    return texts


def _text(array: pa.Array) -> pa.Array:
    texts = array.cast(pa.string()).fill_null("")
    if _holds_special(texts):
        special = pc.match_substring_regex(texts, _ESCAPED)
        encoded = [msgspec.json.encode(text)[1:-1] for text in texts.filter(special).to_pylist()]
        replacement = pa.array(encoded, pa.binary()).cast(pa.string())
        texts = pc.replace_with_mask(texts, special, replacement)
    return join([_QUOTE, texts, _QUOTE], len(texts))


def _holds_special(texts: pa.Array) -> bool:
    """Tell whether any text has a byte to escape: one look at all bytes, ten times the regex."""
    _, offsets, values = texts.buffers()
    if values is None:
        return False
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(values, np.uint8)[ends[0] : ends[-1]]
    return bool(((data < ord(" ")) | (data == ord('"')) | (data == ord("\\"))).any())


def _binary(array: pa.Array) -> pa.Array:
    encode = binascii.b2a_base64
    values = array.cast(pa.binary()).fill_null(b"").to_pylist()
    return _quoted(pa.array([encode(value, newline=False) for value in values], pa.binary()))


def _timestamp(array: pa.Array) -> pa.Array:
    # The cast of a time with zone takes thirty times as long; without, it is the same in UTC.
    texts = array.cast(pa.timestamp(array.type.unit)).cast(pa.string()).fill_null("")
    texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    zone = pa.scalar('Z"' if array.type.tz else '"')
    return join([_QUOTE, texts, zone], len(texts))


def _duration(array: pa.Array) -> pa.Array:
    return _plain(array.cast(pa.int64()))


def _dictionary(array: pa.Array) -> pa.Array:
    return json_values(array.dictionary_decode())


def _list(array: pa.Array) -> pa.Array:
    array = as_lists(array)
    offsets, children = list_parts(array)
    values = json_values(array.values[children])
    return _bracketed("[", offsets, values, "]")


def _struct(array: pa.Array) -> pa.Array:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    return _objects(names, array.flatten(), len(array))


def _map(array: pa.Array) -> pa.Array:
    offsets, children = list_parts(array)
    keys = _text(array.keys[children])
    values = json_values(array.items[children])
    return _bracketed("{", offsets, join([keys, pa.scalar(":"), values], len(keys)), "}")


def _bracketed(opening: str, offsets: np.ndarray, values: pa.Array, closing: str) -> pa.Array:
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    joined = pc.binary_join(lists, ",")
    return join([pa.scalar(opening), joined, pa.scalar(closing)], len(joined))


_is = pa.types
_ENCODERS: tuple[tuple[Test, Callable[[pa.Array], pa.Array]], ...] = (
    (is_text, _text),
    (either(_is.is_integer, _is.is_boolean), _plain),
    (_is.is_floating, _float),
    (_is.is_timestamp, _timestamp),
    (either(_is.is_date, _is.is_time, _is.is_decimal), _quoted),
    (is_bytes, _binary),
    (_is.is_duration, _duration),
    (_is.is_null, _null),
    (_is.is_dictionary, _dictionary),
    (_is.is_map, _map),
    (is_list, _list),
    (_is.is_struct, _struct),
)
