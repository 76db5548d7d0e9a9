"""Dictionaries to columns of a declared schema, and the reasons of those that don't fit.

For per-row code, at microseconds a row. Arrow converts the values, but by itself it would make 9
of 9.5, a time of a number and a list of a text, and put nulls where none are allowed. So the types
are checked before, and the nulls after.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms import kinds
from transforms.batch import Batch

__all__ = ["Errors", "Row", "columns_of", "fit", "forbidden_nulls"]

Row = dict[str, Any]
Errors = dict[int, tuple[str, str]]
"""Kind and reason by the index of the row."""

# What each type is made of. A bool is no number here, and a datetime no date, as in Python.
CLASSES: tuple[tuple[Callable[[pa.DataType], bool], tuple[type, ...]], ...] = (
    (pa.types.is_boolean, (bool, np.bool_)),
    (pa.types.is_integer, (int, np.integer)),
    (pa.types.is_floating, (float, int, np.floating, np.integer)),
    (pa.types.is_decimal, (decimal.Decimal, int)),
    (pa.types.is_string, (str,)),
    (pa.types.is_binary, (bytes, bytearray, memoryview)),
    (pa.types.is_timestamp, (dt.datetime,)),
    (pa.types.is_date, (dt.date,)),
    (pa.types.is_time, (dt.time,)),
    (pa.types.is_list, (list, tuple, np.ndarray)),
    (pa.types.is_struct, (dict,)),
)
RANGE_WORDINGS = re.compile(r"too large|range|bounds|precision|data loss")


def fit(rows: Sequence[Row], schema: pa.Schema) -> tuple[Batch, Errors]:
    """Return the rows that fit the schema, in order, and why the others, by index, don't.

    Keys that the schema lacks are ignored; a missing key is null.
    """
    errors: Errors = {}
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    batch = pa.concat_batches([empty, *_convert(rows, schema, 0, errors)])
    origin = np.delete(np.arange(len(rows)), list(errors))
    keep = np.ones(len(batch), np.bool_)
    for field, array in zip(schema, batch.columns, strict=True):
        for position, path in forbidden_nulls(array, field):
            reason = f"A value is missing - at `$.{path}`"
            errors.setdefault(int(origin[position]), (kinds.MISSING_FIELD, reason))
            keep[position] = False
    return Batch(batch if keep.all() else batch.filter(pa.array(keep))), errors


def _convert(
    rows: Sequence[Row], schema: pa.Schema, first: int, errors: Errors
) -> list[pa.RecordBatch]:
    """Convert all rows at once; if one doesn't fit, halve until each misfit stands alone."""
    if not rows:
        return []
    try:
        return [_record_batch(rows, schema)]
    except Exception:  # noqa: BLE001 - a value may be any object, and raise what it likes
        half = len(rows) // 2
    if not half:
        errors[first] = _misfit(rows[0], schema)
        return []
    left = _convert(rows[:half], schema, first, errors)
    return left + _convert(rows[half:], schema, first + half, errors)


def _record_batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(columns_of(rows, schema.names), schema, strict=True)
    return pa.RecordBatch.from_arrays([_array(*each) for each in columns], schema=schema)


def columns_of(rows: Sequence[Row], names: Sequence[str]) -> list[Sequence[Any]]:
    """Return the values of each name, None where a row lacks it."""
    if len(names) > 1:
        with contextlib.suppress(KeyError):  # half the time of a loop for each column
            return list(zip(*map(operator.itemgetter(*names), rows), strict=True))
    return [[row.get(name) for row in rows] for name in names]


def _array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    _check(values, field.type)
    return pa.array(values, field.type)


def _check(values: Iterable[Any], to: pa.DataType) -> None:
    """Raise an error unless Arrow can convert the values, at any depth, without a change."""
    present = [value for value in values if value is not None]
    for python in set(map(type, present)):
        if not _accepts(to, python):
            raise TypeError(f"Expected a value for {to}, got `{python.__name__}`")
    if pa.types.is_struct(to):
        for field in to:
            _check((value.get(field.name) for value in present), field.type)
    elif pa.types.is_list(to):
        _check(chain.from_iterable(present), to.value_type)
    elif pa.types.is_decimal(to):
        _check_decimals(present, 76 if pa.types.is_decimal256(to) else 38)


@cache
def _accepts(to: pa.DataType, python: type) -> bool:
    classes = next((classes for is_kind, classes in CLASSES if is_kind(to)), (object,))
    for apart in (bool, dt.datetime):
        if issubclass(python, apart):
            return apart in classes or object in classes
    return issubclass(python, classes)


def _check_decimals(values: Iterable[decimal.Decimal | int], digits: int) -> None:
    # With an exponent beyond the type's digits, Arrow reads outside of a table: the process dies.
    for value in values:
        exponent = value.as_tuple().exponent if isinstance(value, decimal.Decimal) else 0
        if isinstance(exponent, int) and abs(exponent) > digits:
            raise OverflowError(f"{value} is out of the range of decimals")


def _misfit(row: Row, schema: pa.Schema) -> tuple[str, str]:
    """Find the column that can't hold the row's value; Arrow's own error doesn't name it."""
    if not isinstance(row, dict):
        return kinds.WRONG_TYPE, f"The row is a {type(row).__name__}, not a dictionary"
    for field in schema:
        try:
            _array([row.get(field.name)], field)
        except Exception as error:  # noqa: BLE001, PERF203 - as above; and to tell the field
            return _kind(error), f"{error} - at `$.{field.name}`"
    raise AssertionError("each column of the row can be made, but not the row")


def _kind(error: Exception) -> str:
    about_range = isinstance(error, OverflowError) or RANGE_WORDINGS.search(str(error))
    return kinds.OUT_OF_RANGE if about_range else kinds.WRONG_TYPE


def forbidden_nulls(array: pa.Array, field: pa.Field) -> list[tuple[int, str]]:
    """Return the rows, and the path, of nulls where the field or one inside it allows none."""
    faults: list[tuple[int, str]] = []
    if array.null_count and not field.nullable:
        faults = [(int(row), field.name) for row in np.flatnonzero(array.is_null())]
    if pa.types.is_struct(field.type):
        present = np.flatnonzero(array.is_valid())
        inner = array.take(pa.array(present)).flatten()
        for child, values in zip(field.type, inner, strict=True):
            for position, path in forbidden_nulls(values, child):
                faults.append((int(present[position]), f"{field.name}.{path}"))
    elif pa.types.is_list(field.type):
        parents = pc.list_parent_indices(array)
        for position, path in forbidden_nulls(array.flatten(), field.type.value_field):
            faults.append((parents[position].as_py(), f"{field.name}[].{path}"))
    return faults
