"""Rows as JSON objects, of insertAll and of JSON lines, to the columns of a table."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.bigquery_local import parsing
from connectors.bigquery_local.scalars import decimal_text
from connectors.bigquery_local.schema import Field, Schema, arrow_schema, by_name, element

__all__ = ["Wrong", "json_rows", "json_value"]

_INT64 = 2**63


class Wrong(NamedTuple):
    """What is wrong with a value.

    Args:
        location: path of the field.
        text: for the client.
    """

    location: str
    text: str


class _BadValueError(ValueError):
    def __init__(self, location: str, text: str) -> None:
        super().__init__(text)
        self.wrong = Wrong(location, text)


def json_rows(
    rows: Sequence[Mapping[str, Any]], schema: Schema, *, ignore_unknown: bool = False
) -> tuple[pa.Table, dict[int, Wrong]]:
    """Return the good rows as columns, and what is wrong with each of the others.

    Args:
        rows: objects; names are compared without case.
        schema: of the table.
        ignore_unknown: a field that the table does not have is left out; else its row is bad.
    """
    good: list[dict[str, Any]] = []
    wrong: dict[int, Wrong] = {}
    for index, row in enumerate(rows):
        try:
            good.append(_struct(row, schema, "", ignore_unknown))
        except _BadValueError as bad:  # noqa: PERF203 - each row's own
            wrong[index] = bad.wrong
    return pa.Table.from_pylist(good, arrow_schema(schema)), wrong


def json_value(value: Any, field: Field, path: str = "") -> Any:
    """Return a value of a column from its JSON.

    Raises:
        ValueError: it is not one of the column's type.
    """
    return _value(value, field, path or field.name, ignore=False)


def _struct(row: Any, schema: Schema, path: str, ignore: bool) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise _BadValueError(
            path.rstrip("."), "This field is a record; the value must be an object."
        )
    known = by_name(schema)
    given = {}
    for name, value in row.items():
        field = known.get(name.lower())
        if field is not None:
            given[field.name] = value
        elif not ignore:
            raise _BadValueError(path + name, f"no such field: {path}{name}.")
    return {
        field.name: _value(given.get(field.name), field, path + field.name, ignore=ignore)
        for field in schema
    }


def _value(value: Any, field: Field, path: str, *, ignore: bool) -> Any:
    if field.mode == "REPEATED":
        if value is None:
            return []
        if not isinstance(value, list):
            raise _BadValueError(
                path, "Array specified for non-repeated field: the value must be an array."
            )
        if None in value:
            raise _BadValueError(path, f"Only optional fields can be set to NULL. Field: {path}")
        return [_value(item, element(field), path, ignore=ignore) for item in value]
    if value is None:
        if field.mode == "REQUIRED":
            raise _BadValueError(path, f"Missing required field: {path}.")
        return None
    if field.kind == "STRUCT":
        return _struct(value, field.fields, path + ".", ignore)
    if isinstance(value, list):
        raise _BadValueError(path, f"Array specified for non-repeated field: {path}.")
    return _scalar(value, field, path)


def _scalar(value: Any, field: Field, path: str) -> Any:
    try:
        found = _PARSE[field.kind](value, field)
    except (ValueError, ArithmeticError, TypeError, AttributeError) as error:
        text = f"Cannot convert value to {field.kind} (bad value): {value!r}; {error}"
        raise _BadValueError(path, text) from None
    if field.max_length is not None and len(found) > field.max_length:
        raise _BadValueError(
            path,
            f"Field {path}: {field.kind}({field.max_length}) has maximum length "
            f"{field.max_length} but got a value with length {len(found)}",
        )
    return found


def _string(value: Any, _field: Field) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("it must be a string")


def _bytes(value: Any, _field: Field) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it must be base64: {error}") from None


def _integer(value: Any, _field: Field) -> int:
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise ValueError("it must be a whole number") from None
    if isinstance(value, bool) or number != number.to_integral_value():
        raise ValueError("it must be a whole number")
    if not -_INT64 <= number < _INT64:
        raise ValueError("it must fit in 64 bits")
    return int(number)


def _float(value: Any, _field: Field) -> float:
    if isinstance(value, bool):
        raise TypeError("it must be a number")
    return float(value)


def _bool(value: Any, _field: Field) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}[_lower(value)]


def _lower(value: Any) -> str:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError("it must be true or false")
    return text


def _timestamp(value: Any, _field: Field) -> dt.datetime:
    if isinstance(value, str) and not value.replace(".", "", 1).lstrip("-").isdigit():
        return parsing.timestamp(value)
    # A number is seconds since the epoch.
    micros = int((Decimal(str(value)) * 1_000_000).to_integral_value())
    if not parsing.TIMESTAMP_US_MIN <= micros <= parsing.TIMESTAMP_US_MAX:
        raise ValueError("it is out of range")
    return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=micros)


def _text_only(parse: Callable[[str], Any]) -> Callable[[Any, Field], Any]:
    def convert(value: Any, _field: Field) -> Any:
        if not isinstance(value, str):
            raise TypeError("it must be a string")
        return parse(value)

    return convert


def _json(value: Any, _field: Field) -> str:
    return parsing.json_text(value) if isinstance(value, str) else json.dumps(value)


def _range(value: Any, field: Field) -> dict[str, Any]:
    bound = Field("bound", field.range_of)
    parse = _PARSE[field.range_of]
    return {
        name: None if value.get(name) is None else parse(value[name], bound)
        for name in ("start", "end")
    }


_PARSE: dict[str, Callable[[Any, Field], Any]] = {
    "STRING": _string,
    "BYTES": _bytes,
    "INT64": _integer,
    "FLOAT64": _float,
    "BOOL": _bool,
    "NUMERIC": parsing.decimal,
    "BIGNUMERIC": lambda value, field: decimal_text(parsing.decimal(value, field)),
    "TIMESTAMP": _timestamp,
    "DATETIME": _text_only(parsing.datetime),
    "DATE": _text_only(parsing.date),
    "TIME": _text_only(parsing.time),
    "JSON": _json,
    "GEOGRAPHY": _text_only(parsing.geography),
    "RANGE": _range,
}
