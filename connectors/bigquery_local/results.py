"""Results of queries and rows of tables in the JSON form of BigQuery's REST API."""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.scalars import decimal_text
from connectors.bigquery_local.schema import Field, Schema, element

__all__ = ["page", "result_fields"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_KINDS = {
    "varchar": "STRING", "uuid": "STRING", "enum": "STRING", "blob": "BYTES", "boolean": "BOOL",
    "float": "FLOAT64", "double": "FLOAT64", "date": "DATE", "time": "TIME",
    "timestamp": "DATETIME", "timestamp_ns": "DATETIME", "timestamp_ms": "DATETIME",
    "timestamp_s": "DATETIME", "timestamp with time zone": "TIMESTAMP",
    # An untyped NULL is an INT64 in BigQuery.
    "null": "INT64",
}  # fmt: skip
_NUMERIC_WHOLE, _NUMERIC_SCALE = 29, 9


def result_fields(names: list[str], types: list[Any], known: Mapping[str, Field]) -> Schema:
    """Return the columns of a result.

    Args:
        names: of the columns.
        types: of DuckDB.
        known: columns in lower case whose type is known from their table, and finer than
            DuckDB's: it has no GEOGRAPHY and no BIGNUMERIC.
    """
    return tuple(
        known.get(name.lower()) or _field(name, kind)
        for name, kind in zip(names, types, strict=True)
    )


def _field(name: str, kind: Any) -> Field:
    inner = kind.id
    if inner in ("list", "array"):
        found = _field(name, kind.children[0][1])
        if found.mode == "REPEATED":
            raise _unsupported(name, kind)
        return Field(name, found.kind, "REPEATED", found.fields)
    if inner == "struct":
        return Field(name, "STRUCT", fields=tuple(_field(*child) for child in kind.children))
    if str(kind) == "JSON":
        return Field(name, "JSON")
    if inner == "decimal":
        return Field(name, _decimal_kind(kind))
    if inner.endswith(("int", "integer")):
        return Field(name, "INT64")
    if inner not in _KINDS:
        raise _unsupported(name, kind)
    return Field(name, _KINDS[inner])


def _decimal_kind(kind: Any) -> str:
    precision, scale = (value for _, value in kind.children)
    small = scale <= _NUMERIC_SCALE and precision - scale <= _NUMERIC_WHOLE
    return "NUMERIC" if small else "BIGNUMERIC"


def _unsupported(name: str, kind: Any) -> Refusal:
    text = f"The result's column {name} has DuckDB's type {kind}, which BigQuery does not have."
    return Refusal(Code.INVALID_ARGUMENT, text)


def page(rows: pa.Table, schema: Schema, *, micros: bool) -> list[dict[str, Any]]:
    """Return rows in the form ``{"f": [{"v": ...}]}``.

    Args:
        rows: in the types of the schema.
        schema: of the rows.
        micros: TIMESTAMP as microseconds (``useInt64Timestamp``), else as seconds.
    """
    return [_record(row, schema, micros) for row in rows.to_pylist()]


def _record(row: Mapping[str, Any], schema: Schema, micros: bool) -> dict[str, Any]:
    return {"f": [{"v": _cell(row[field.name], field, micros)} for field in schema]}


def _cell(value: Any, field: Field, micros: bool) -> Any:
    if field.mode == "REPEATED":
        return [{"v": _cell(item, element(field), micros)} for item in value or ()]
    if value is None:
        return None
    if field.kind == "STRUCT":
        return _record(value, field.fields, micros)
    if field.kind == "RANGE":
        bound = Field("bound", field.range_of)
        ends = [_bound(value[name], bound) for name in ("start", "end")]
        return f"[{ends[0]}, {ends[1]})"
    if field.kind == "TIMESTAMP":
        return _timestamp(value, micros)
    return _TEXT[field.kind](value)


def _bound(value: Any, field: Field) -> Any:
    return "UNBOUNDED" if value is None else _cell(value, field, True)


def _timestamp(value: dt.datetime, micros: bool) -> str:
    since = value - _EPOCH
    whole = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
    return str(whole) if micros else repr(whole / 1_000_000)


def _float(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)


def _numeric(value: Decimal | str) -> str:
    return decimal_text(value) if isinstance(value, Decimal) else value


_TEXT: dict[str, Callable[[Any], str]] = {
    "STRING": str,
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "INT64": str,
    "FLOAT64": _float,
    "BOOL": lambda value: "true" if value else "false",
    "NUMERIC": _numeric,
    "BIGNUMERIC": _numeric,
    "DATETIME": lambda value: value.isoformat(),
    "DATE": lambda value: value.isoformat(),
    "TIME": lambda value: value.isoformat(),
    "JSON": str,
    "GEOGRAPHY": str,
}
