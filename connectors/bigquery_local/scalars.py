"""Columns without inner structure: converted whole, or value by value where one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from connectors.bigquery_local import parsing
from connectors.bigquery_local.schema import Field, arrow_type

__all__ = ["decimal_text", "scalar"]

Report = Callable[[int, str], object]
Convert = Callable[[pa.Array, Field, str, Report], pa.Array]
_DECIMAL = pa.decimal128(38, 9)


def scalar(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    """Return the column in the type of the table.

    Args:
        array: of a type that was accepted for the field.
        field: of the table, not REPEATED.
        path: of the field, for messages.
        report: is told of each bad row; its value in the result is NULL.
    """
    return _CONVERT[field.kind](array, field, path, report)


def _string(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    text = array.cast(pa.string())
    if field.max_length is not None:
        _check_length(pc.utf8_length(text), field, path, report)
    return text


def _bytes(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    data = array.cast(pa.binary())
    if field.max_length is not None:
        _check_length(pc.binary_length(data), field, path, report)
    return data


def _check_length(lengths: pa.Array, field: Field, path: str, report: Report) -> None:
    limit = field.max_length
    for row in _indices(pc.greater(lengths, limit)):
        report(
            row,
            f"Field {path}: {field.kind}({limit}) has maximum length {limit} "
            f"but got a value with length {lengths[row]}",
        )


def _plain(array: pa.Array, field: Field, _path: str, _report: Report) -> pa.Array:
    return array.cast(arrow_type(field))


def _bool(array: pa.Array, _field: Field, _path: str, _report: Report) -> pa.Array:
    return array if is_.is_boolean(array.type) else pc.not_equal(array, 0)


def _numeric(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    if field.precision is None and (is_.is_decimal(array.type) or is_.is_integer(array.type)):
        try:
            return array.cast(_DECIMAL)
        except pa.ArrowInvalid:
            pass  # some row is out of range: the loop below says which
    return _each(array, lambda value: parsing.decimal(value, field), _DECIMAL, path, report)


def _bignumeric(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    return _each(
        array, lambda value: decimal_text(parsing.decimal(value, field)), pa.string(), path, report
    )


def decimal_text(number: Decimal) -> str:
    """Return a number without exponent and without zeros at its end, as BigQuery shows it."""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def _timestamp(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    return _instant(array, pa.timestamp("us", "UTC"), "Timestamp", path, report)


def _datetime(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    kind = pa.timestamp("us")
    if is_.is_timestamp(array.type):
        return _instant(array, kind, "Datetime", path, report)
    return _each(array, parsing.datetime, kind, path, report)


def _instant(array: pa.Array, kind: pa.DataType, name: str, path: str, report: Report) -> pa.Array:
    micros = _micros(array, path, report)
    low, high = parsing.TIMESTAMP_US_MIN, parsing.TIMESTAMP_US_MAX
    bad = pc.or_(pc.less(micros, low), pc.greater(micros, high))
    rows = _indices(bad)
    for row in rows:
        report(row, f"Field {path}: {name} value {micros[row]} us is out of range")
    if rows:
        micros = pc.if_else(bad, None, micros)
    return micros.cast(kind)


def _micros(array: pa.Array, path: str, report: Report) -> pa.Array:
    if not is_.is_timestamp(array.type):
        return array.cast(pa.int64())
    try:
        return array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())
    except pa.ArrowInvalid:
        scale = {"s": 1_000_000, "ms": 1_000}[array.type.unit]
        units = array.cast(pa.int64())
        return _each(units, lambda value: _scaled(value, scale), pa.int64(), path, report)


def _scaled(units: int, scale: int) -> int:
    micros = units * scale
    if not parsing.TIMESTAMP_US_MIN <= micros <= parsing.TIMESTAMP_US_MAX:
        raise ValueError(f"timestamp value {micros} us is out of range")
    return micros


def _date(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    if is_.is_date32(array.type):
        days = array.cast(pa.int32())
        low, high = parsing.DATE_DAYS_MIN, parsing.DATE_DAYS_MAX
        if not _indices(pc.or_(pc.less(days, low), pc.greater(days, high))):
            return array
        array = days
    return _each(array, parsing.date, pa.date32(), path, report)


def _time(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    if is_.is_time(array.type):
        return array
    return _each(array, parsing.time, pa.time64("us"), path, report)


def _json(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    return _each(array, parsing.json_text, pa.string(), path, report)


def _geography(array: pa.Array, _field: Field, path: str, report: Report) -> pa.Array:
    return _each(array, parsing.geography, pa.string(), path, report)


_CONVERT: dict[str, Convert] = {
    "STRING": _string,
    "BYTES": _bytes,
    "INT64": _plain,
    "FLOAT64": _plain,
    "BOOL": _bool,
    "NUMERIC": _numeric,
    "BIGNUMERIC": _bignumeric,
    "TIMESTAMP": _timestamp,
    "DATETIME": _datetime,
    "DATE": _date,
    "TIME": _time,
    "JSON": _json,
    "GEOGRAPHY": _geography,
}


def _each(
    array: pa.Array, parse: Callable[[Any], Any], kind: pa.DataType, path: str, report: Report
) -> pa.Array:
    """Convert value by value; a bad one is reported and becomes NULL."""
    values: list[Any] = []
    for row, value in enumerate(array.to_pylist()):
        try:
            values.append(None if value is None else parse(value))
        except (ValueError, ArithmeticError) as error:  # noqa: PERF203 - each row's own
            report(row, f"Field {path}: {error}")
            values.append(None)
    return pa.array(values, kind)


def _indices(mask: pa.Array) -> list[int]:
    return pc.indices_nonzero(mask).to_pylist() if pc.any(mask).as_py() else []
