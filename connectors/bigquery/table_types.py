"""The types of BigQuery and of Arrow: the schema of a table as Arrow has it, and back.

A table's schema is held as an Arrow schema: each column has the type in which its values are
sent, REQUIRED and REPEATED columns are not nullable, and what several types of BigQuery share,
such as the text of JSON and GEOGRAPHY, is told apart by the metadata ``BIGQUERY_TYPE``.

Source: https://cloud.google.com/bigquery/docs/supported-data-types, "Supported Apache Arrow data
types". It doesn't mention TIME, which is sent as ``time64[us]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types as api

from transforms.arrow_types import Test, is_bytes, is_list, is_text
from transforms.errors import ConfigError
from transforms.schema import BIGQUERY_TYPE, DESCRIPTION, TYPES

__all__ = ["arrow_schema", "plain", "rest_fields", "text_kind"]

_Kind = api.TableFieldSchema.Type
_Mode = api.TableFieldSchema.Mode

_NAMES = {
    _Kind.STRING: "STRING",
    _Kind.INT64: "INTEGER",
    _Kind.DOUBLE: "FLOAT",
    _Kind.BYTES: "BYTES",
    _Kind.BOOL: "BOOLEAN",
    _Kind.TIMESTAMP: "TIMESTAMP",
    _Kind.DATE: "DATE",
    _Kind.TIME: "TIME",
    _Kind.DATETIME: "DATETIME",
    _Kind.GEOGRAPHY: "GEOGRAPHY",
    _Kind.NUMERIC: "NUMERIC",
    _Kind.BIGNUMERIC: "BIGNUMERIC",
    _Kind.INTERVAL: "INTERVAL",
    _Kind.JSON: "JSON",
}
_SENT: dict[str, pa.DataType] = {**TYPES, "INTERVAL": pa.string()}
_TOLD_BY_METADATA = ("JSON", "GEOGRAPHY", "INTERVAL")

_NUMERIC = (29, 9)
_BIGNUMERIC = (38, 38)
"""Digits before and behind the point that every value may have:
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types."""


def arrow_schema(table: Any) -> pa.Schema:
    """Return the schema of a table, as the Storage API tells it.

    Args:
        table: a ``TableSchema``, the raw protocol buffer.

    Raises:
        ConfigError: a column has a type that is not known here.
    """
    return pa.schema([_arrow_field(field, field.name) for field in table.fields])


def _arrow_field(field: Any, place: str) -> pa.Field:
    kind = _NAMES.get(field.type_)
    metadata = {BIGQUERY_TYPE: kind} if kind in _TOLD_BY_METADATA else None
    value = _value_type(field, kind, place)
    if field.mode == _Mode.REPEATED:
        value = pa.list_(pa.field("item", value, nullable=False, metadata=metadata))
    nullable = field.mode not in (_Mode.REPEATED, _Mode.REQUIRED)
    return pa.field(field.name, value, nullable=nullable, metadata=metadata)


def _value_type(field: Any, kind: str | None, place: str) -> pa.DataType:
    if field.type_ == _Kind.STRUCT:
        return pa.struct([_arrow_field(child, f"{place}.{child.name}") for child in field.fields])
    if field.type_ == _Kind.RANGE:
        element = _SENT[_NAMES[field.range_element_type.type_]]
        return pa.struct([("start", element), ("end", element)])
    if kind is None:
        raise ConfigError(
            place, _Kind(field.type_).name, "is a type of BigQuery that is not known here",
            "Write to a table without this column",
        )  # fmt: skip
    return _SENT[kind]


def text_kind(field: pa.Field) -> str:
    """Return what the texts of a column are: STRING, JSON, GEOGRAPHY or INTERVAL."""
    told: bytes = (field.metadata or {}).get(BIGQUERY_TYPE, b"STRING")
    return told.decode()


def rest_fields(schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the columns for a table of rows with this schema, in the JSON form of the REST API.

    Args:
        schema: of rows as they come; each type becomes the narrowest one that takes its values.

    Raises:
        ConfigError: BigQuery has no type for a column; its place is named.
    """
    return [_rest_field(field, field.name) for field in schema]


def _rest_field(field: pa.Field, place: str) -> dict[str, Any]:
    if is_list(field.type):
        if is_list(field.type.value_type):
            raise _unknown(field.type, place, "Put the inner list into a struct")
        item = _rest_field(field.type.value_field, place)
        return {**item, **_head(field), "mode": "REPEATED"}
    kind, children = _kind(field, place)
    mode = "NULLABLE" if field.nullable else "REQUIRED"
    if pa.types.is_map(field.type) and kind == "RECORD":
        mode = "REPEATED"
    made = {**_head(field), "type": kind, "mode": mode}
    if children is not None:
        made["fields"] = [_rest_field(child, f"{place}.{child.name}") for child in children]
    return made


def _head(field: pa.Field) -> dict[str, Any]:
    description = (field.metadata or {}).get(DESCRIPTION, b"").decode()
    return {"name": field.name, **({"description": description} if description else {})}


def _kind(field: pa.Field, place: str) -> tuple[str, Iterable[pa.Field] | None]:
    """Return the name of a type, and the fields of a record."""
    found = plain(field.type)
    if pa.types.is_struct(found):
        return "RECORD", list(found)
    if pa.types.is_map(found) and text_kind(field) == "JSON":
        return "JSON", None
    if pa.types.is_map(found):
        return "RECORD", [found.key_field, found.item_field]
    if is_text(found):
        return ("JSON" if isinstance(field.type, pa.JsonType) else text_kind(field)), None
    if pa.types.is_decimal(found):
        return _decimal_kind(found, place), None
    name = next((name for matches, name in _SCALARS if matches(found)), None)
    if name is None:
        raise _unknown(field.type, place, "Cast the column to a type that BigQuery has")
    return name, None


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values: without a dictionary, without an extension."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return kind


# A bare uint64 may be beyond INTEGER, which is signed; NUMERIC takes all of it.
_SCALARS: tuple[tuple[Test, str], ...] = (
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_uint64, "NUMERIC"),
    (pa.types.is_integer, "INTEGER"),
    (pa.types.is_floating, "FLOAT"),
    (is_bytes, "BYTES"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, "TIMESTAMP"),
    (pa.types.is_timestamp, "DATETIME"),
)


def _decimal_kind(kind: pa.DataType, place: str) -> str:
    before, behind = kind.precision - kind.scale, max(kind.scale, 0)
    for name, (digits, scale) in (("NUMERIC", _NUMERIC), ("BIGNUMERIC", _BIGNUMERIC)):
        if before <= digits and behind <= scale:
            return name
    raise _unknown(kind, place, "Cast it to decimal128(38, 9) or decimal256(76, 38)")


def _unknown(kind: pa.DataType, place: str, fix: str) -> ConfigError:
    return ConfigError(place, str(kind), "is a type that BigQuery has no column for", fix)
