"""Fields to the Storage API's ``TableSchema``."""

from __future__ import annotations

from typing import Any

from google.cloud.bigquery_storage_v1 import types

from connectors.bigquery_local.schema import Field, Schema

__all__ = ["table_schema"]

_TableSchema = types.TableSchema.pb()
_FieldSchema = types.TableFieldSchema.pb()
_KINDS = {"FLOAT64": "DOUBLE"}


def table_schema(schema: Schema) -> Any:
    """Return the ``TableSchema`` of a table, as a raw protocol buffer."""
    return _TableSchema(fields=[_field(field) for field in schema])


def _field(field: Field) -> Any:
    message = _FieldSchema(
        name=field.name,
        type_=_type(field.kind),
        mode=types.TableFieldSchema.Mode[field.mode],
        fields=[_field(child) for child in field.fields],
        description=field.description,
        max_length=field.max_length or 0,
        precision=field.precision or 0,
        scale=field.scale or 0,
        default_value_expression=field.default,
    )
    if field.range_of:
        message.range_element_type.type_ = _type(field.range_of)
    return message


def _type(kind: str) -> Any:
    return types.TableFieldSchema.Type[_KINDS.get(kind, kind)]
