"""Arrow values to those that a column of BigQuery takes, with the reason for each that can't be.

A type is never made of another one by guessing: text is not parsed, a float is no decimal, a time
without a zone is not UTC. What differs only in width, unit or layout is cast: int32 to int64,
large_string, dictionaries, nanoseconds (cut off to microseconds).

A converter is compiled once for a pair of types and then works on whole columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery.limits import DATE_DAYS, TIMESTAMP_US
from connectors.bigquery.table_types import plain, text_kind
from transforms import kinds
from transforms.arrow_types import Test, is_bytes, is_list, is_text
from transforms.errors import ConfigError

__all__ = ["Cast", "Convert", "Faults", "converter", "match_fields"]

Faults = dict[int, tuple[str, str]]
"""Error kind and reason by row."""


class Cast(NamedTuple):
    """A column as it is sent; of the rows in ``faults`` the values mean nothing."""

    values: pa.Array
    faults: Faults


Convert = Callable[[pa.Array], Cast]


def _is_zoned(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _is_civil(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is None


def _is_exact(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_decimal(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


# What a column takes: the first rule whose left side is the type that the column is sent as.
_FAMILIES: tuple[tuple[Test, Test], ...] = (
    (pa.types.is_boolean, pa.types.is_boolean),
    (pa.types.is_integer, pa.types.is_integer),
    (pa.types.is_floating, _is_number),
    (pa.types.is_decimal, _is_exact),
    (is_text, is_text),
    (is_bytes, is_bytes),
    (pa.types.is_date, pa.types.is_date),
    (pa.types.is_time, pa.types.is_time),
    (_is_zoned, _is_zoned),
    (_is_civil, _is_civil),
)


def converter(source: pa.DataType, target: pa.Field, place: str) -> Convert:
    """Compile the way from a type to a column.

    Args:
        source: of the values as they come.
        target: the column, as ``table_types.arrow_schema`` gives it.
        place: the column's name with those of the records that it is in, for errors.

    Raises:
        ConfigError: the column can't take values of that type.
    """
    bare = plain(source)
    if pa.types.is_list(target.type):
        return _list(bare, target, place)  # no null is left: a list may not be one
    if pa.types.is_struct(target.type) and pa.types.is_struct(bare):
        convert = _struct(bare, target, place)
    elif pa.types.is_map(bare) and text_kind(target) == "JSON":
        convert = _json_of_map
    else:
        convert = _scalar(bare, target, place)
    if bare != source:
        convert = _unwrapped(convert)
    return convert if target.nullable else _required(convert, place)


def _scalar(source: pa.DataType, target: pa.Field, place: str) -> Convert:
    if pa.types.is_null(source):
        return lambda array: Cast(array.cast(target.type), {})
    takes = next((takes for sent, takes in _FAMILIES if sent(target.type)), None)
    if takes is None or not takes(source):
        raise ConfigError(
            place, str(source), f"can't be written to a column that is sent as {target.type}",
            "Cast the column before, or change the table",
        )  # fmt: skip
    convert = _same if source == target.type else _casting(target.type, place)
    limits = _limits(target.type)
    return convert if limits is None else _bounded(convert, limits, place)


def _same(array: pa.Array) -> Cast:
    return Cast(array, {})


def _casting(to: pa.DataType, place: str) -> Convert:
    options = pc.CastOptions(target_type=to, allow_time_truncate=True)
    nothing = pa.nulls(1, to)

    def parts(array: pa.Array, first: int, faults: Faults) -> list[pa.Array]:
        """Cast all at once; if a value can't be, halve until each such value stands alone."""
        try:
            return [array.cast(options=options)]
        except pa.ArrowInvalid as error:
            if len(array) == 1:
                faults[first] = (kinds.OUT_OF_RANGE, f"{error} - at `$.{place}`")
                return [nothing]
        half = len(array) // 2
        left = parts(array.slice(0, half), first, faults)
        return left + parts(array.slice(half), first + half, faults)

    def convert(array: pa.Array) -> Cast:
        faults: Faults = {}
        made = parts(array, 0, faults)
        return Cast(made[0] if len(made) == 1 else pa.concat_arrays(made), faults)

    return convert


def _limits(kind: pa.DataType) -> tuple[int, int, pa.DataType] | None:
    if pa.types.is_date(kind):
        return *DATE_DAYS, pa.int32()
    return (*TIMESTAMP_US, pa.int64()) if pa.types.is_timestamp(kind) else None


def _bounded(convert: Convert, limits: tuple[int, int, pa.DataType], place: str) -> Convert:
    """Refuse what is beyond the years 1 to 9999."""
    low, high, number = limits

    def bounded(array: pa.Array) -> Cast:
        values, faults = convert(array)
        numbers = values.view(number)
        least = pc.min_max(numbers).as_py()
        if least["min"] is None or (low <= least["min"] and least["max"] <= high):
            return Cast(values, faults)
        beyond = pc.or_(pc.less(numbers, low), pc.greater(numbers, high)).fill_null(False)
        reason = f"{values.type} beyond the years 1 to 9999 - at `$.{place}`"
        found = dict.fromkeys(_rows(beyond), (kinds.OUT_OF_RANGE, reason))
        return Cast(values, found | faults)

    return bounded


def _unwrapped(convert: Convert) -> Convert:
    """Take the values out of dictionaries and extension types first."""

    def unwrapped(array: pa.Array) -> Cast:
        while isinstance(array, pa.DictionaryArray | pa.ExtensionArray):
            is_dictionary = isinstance(array, pa.DictionaryArray)
            array = array.dictionary_decode() if is_dictionary else array.storage
        return convert(array)

    return unwrapped


def _required(convert: Convert, place: str) -> Convert:
    def required(array: pa.Array) -> Cast:
        values, faults = convert(array)
        if values.null_count == 0:
            return Cast(values, faults)
        reason = (kinds.MISSING_FIELD, f"The column is REQUIRED, got null - at `$.{place}`")
        return Cast(values, dict.fromkeys(_rows(values.is_null()), reason) | faults)

    return required


def _struct(source: pa.DataType, target: pa.Field, place: str) -> Convert:
    from_fields = match_fields(list(source), list(target.type), place)
    names = [column.name for _, column in from_fields]
    converts = [
        converter(source.field(at).type, column, f"{place}.{column.name}")
        for at, column in from_fields
    ]

    def convert(array: pa.Array) -> Cast:
        absent = array.is_null()
        children = array.flatten()  # with the nulls of the parent
        faults: Faults = {}
        values = []
        for (at, _), inner in zip(from_fields, converts, strict=True):
            cast = inner(children[at])
            values.append(cast.values)
            faults |= cast.faults
        if array.null_count:  # what a record lacks that is not there is no fault
            faults = {row: fault for row, fault in faults.items() if not absent[row].as_py()}
        return Cast(pa.StructArray.from_arrays(values, names=names, mask=absent), faults)

    return convert


def _list(source: pa.DataType, target: pa.Field, place: str) -> Convert:
    if pa.types.is_map(source):
        entries = pa.struct([source.key_field, source.item_field])
        source = pa.list_(pa.field("item", entries, nullable=False))
        return _of_map(_list(source, target, place), source)
    if not is_list(source) and not pa.types.is_null(source):
        raise ConfigError(
            place, str(source), "can't be written to a REPEATED column",
            "Give a list, or change the table",
        )  # fmt: skip
    element = target.type.value_field
    if pa.types.is_null(source):
        return lambda array: Cast(_empty_lists(len(array), target.type), {})
    inner = converter(source.value_type, element, f"{place}[]")

    def convert(array: pa.Array) -> Cast:
        lengths = pc.list_value_length(array).fill_null(0)
        offsets = np.zeros(len(array) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        values, found = inner(array.flatten())
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
        rows = np.searchsorted(offsets, list(found), side="right") - 1
        return Cast(
            lists, {int(row): fault for row, fault in zip(rows, found.values(), strict=True)}
        )

    return convert


def _of_map(convert: Convert, entries: pa.DataType) -> Convert:
    return lambda array: convert(array.cast(entries))


def _json_of_map(array: pa.Array) -> Cast:
    """Write each map as an object; of keys that are there twice the last one counts."""
    texts = [
        None if pairs is None else msgspec.json.encode(dict(pairs)).decode()
        for pairs in array.to_pylist()
    ]
    return Cast(pa.array(texts, pa.string()), {})


def _empty_lists(count: int, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays([0] * (count + 1), pa.array([], kind.value_type))


def match_fields(
    given: list[pa.Field], columns: list[pa.Field], place: str
) -> list[tuple[int, pa.Field]]:
    """Pair fields with columns by name; BigQuery doesn't tell upper from lower case.

    Returns:
        For each field its index and its column; columns that no field is for get their default.

    Raises:
        ConfigError: there is no column for a field, or no field for a REQUIRED column.
    """
    by_name = {column.name.casefold(): column for column in columns}
    paired: list[tuple[int, pa.Field]] = []
    for index, field in enumerate(given):
        column = by_name.pop(field.name.casefold(), None)
        if column is None:
            raise ConfigError(
                _at(place, field.name), str(field.type), "is no column of the table",
                f"Drop it, or add it to the table, which has {', '.join(c.name for c in columns)}",
            )  # fmt: skip
        paired.append((index, column))
    for column in by_name.values():
        if not column.nullable and not pa.types.is_list(column.type):
            raise ConfigError(
                _at(place, column.name), None, "is REQUIRED by the table, but no row has it",
                "Add the column to the rows",
            )  # fmt: skip
    return paired


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _rows(mask: Any) -> list[int]:
    return np.flatnonzero(mask).tolist()
