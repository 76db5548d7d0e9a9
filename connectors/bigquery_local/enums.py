"""Enums of protocol buffers: numbers on the wire, names in a STRING column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery_local.schema import Field, Schema, by_name

__all__ = ["with_names"]


def with_names(rows: pa.RecordBatch, message: Any, schema: Schema) -> pa.RecordBatch:
    """Return rows whose enums are names where the table has STRING.

    Args:
        rows: of the message.
        message: its descriptor.
        schema: of the table.
    """
    columns = _columns(rows.schema, rows.columns, message, schema)
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)


def _columns(kinds: Any, columns: list[pa.Array], message: Any, schema: Schema) -> list[pa.Array]:
    known = by_name(schema)
    return [
        _column(column, message.fields_by_name[kind.name], known.get(kind.name.lower()))
        for kind, column in zip(kinds, columns, strict=True)
    ]


def _column(array: pa.Array, field: Any, wanted: Field | None) -> pa.Array:
    if wanted is None or not _concerns(field, wanted):
        return array
    if pa.types.is_list(array.type):
        inner = _column(array.flatten(), field, wanted)
        lengths = pc.cast(pc.list_value_length(array), pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        return pa.ListArray.from_arrays(offsets, inner)
    if field.enum_type is not None:
        return _names(array, field.enum_type)
    columns = _columns(array.type, array.flatten(), field.message_type, wanted.fields)
    names = [child.name for child in array.type]
    return pa.StructArray.from_arrays(columns, names=names, mask=array.is_null())


def _concerns(field: Any, wanted: Field) -> bool:
    if field.enum_type is not None:
        return wanted.kind == "STRING"
    return field.message_type is not None and wanted.kind == "STRUCT"


def _names(numbers: pa.Array, enum: Any) -> pa.Array:
    # Of two names with one number, the first declared is the number's own.
    known = {number: value.name for number, value in enum.values_by_number.items()}
    names = [None if n is None else known.get(n, str(n)) for n in numbers.to_pylist()]
    return pa.array(names, pa.string())
