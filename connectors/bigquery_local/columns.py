"""A writer's column to a column of the table: exact types, and every bad row named.

All of a batch is converted in one go where its type allows it. Only where that fails are the
values looked at one by one, to say which rows are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery_local.scalars import scalar
from connectors.bigquery_local.schema import Field, Schema, arrow_schema, arrow_type, element

__all__ = ["Report", "conform", "conform_rows", "nulls"]

Report = Callable[[int, str], object]
"""Takes the index of a bad row and what is wrong with it."""


def conform(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    """Return the column as the table keeps it.

    Args:
        array: of the writer; its type was accepted.
        field: of the table.
        path: of the field, for messages.
        report: is told of each bad row; its value in the result is NULL.
    """
    if field.mode == "REPEATED":
        return _repeated(array, field, path, report)
    if field.mode == "REQUIRED" and array.null_count:
        for row in _indices(array.is_null()):
            report(row, f"Field {path} is REQUIRED and cannot be null")
    return _single(array, field, path, report)


def nulls(field: Field, count: int) -> pa.Array:
    """Return a column of missing values: NULL, or empty arrays."""
    kind = arrow_type(field)
    if field.mode == "REPEATED":
        offsets = pa.array([0] * (count + 1), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.nulls(0, kind.value_type))
    return pa.nulls(count, kind)


def conform_rows(rows: pa.Table, schema: Schema) -> pa.Table:
    """Return rows that were once checked, in a schema that may have grown since."""
    wanted = arrow_schema(schema)
    if rows.schema.equals(wanted):
        return rows
    given = {
        name.lower(): _one(column) for name, column in zip(rows.column_names, rows, strict=True)
    }
    columns = [
        conform(given[field.name.lower()], field, field.name, _ignore)
        if field.name.lower() in given
        else nulls(field, rows.num_rows)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def _ignore(_row: int, _text: str) -> None:
    """Rows that were checked when they came are good."""


def _single(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    if field.kind == "STRUCT":
        return _struct(array, field, path, report)
    if field.kind == "RANGE":
        return _range(array, field, path, report)
    return scalar(array, field, path, report)


def _repeated(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    # BigQuery knows no NULL array: it is an empty one. Nor does it keep NULL elements.
    parents = array.value_parent_indices()
    values = array.flatten()
    for at in _indices(values.is_null()):
        report(parents[at].as_py(), f"Field {path}: an array cannot have a NULL element")

    def report_element(at: int, text: str) -> None:
        report(parents[at].as_py(), text)

    lengths = pc.fill_null(pc.list_value_length(array), 0)
    ends = pc.cumulative_sum(pc.cast(lengths, pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), _one(ends)])
    inner = _single(values, element(field), path, report_element)
    return pa.ListArray.from_arrays(offsets, inner)


def _struct(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    given = {
        child.name.lower(): column
        for child, column in zip(array.type, array.flatten(), strict=True)
    }
    columns = []
    for child in field.fields:
        column = given.get(child.name.lower())
        if column is None:
            columns.append(nulls(child, len(array)))
        else:
            columns.append(_child(array, column, child, f"{path}.{child.name}", report))
    fields = [pa.field(child.name, arrow_type(child)) for child in field.fields]
    return pa.StructArray.from_arrays(columns, fields=fields, mask=array.is_null())


def _child(parent: pa.Array, column: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    """Convert a field of a struct; where the struct itself is NULL, nothing is required."""

    def report_present(row: int, text: str) -> None:
        if parent[row].is_valid:
            report(row, text)

    return conform(column, field, path, report_present)


def _range(array: pa.Array, field: Field, path: str, report: Report) -> pa.Array:
    bound = Field("bound", field.range_of)
    given = dict(zip((child.name for child in array.type), array.flatten(), strict=True))
    columns = [
        scalar(given[name], bound, f"{path}.{name}", report)
        if name in given
        else nulls(bound, len(array))
        for name in ("start", "end")
    ]
    start, end = columns
    for row in _indices(pc.fill_null(pc.greater_equal(start, end), False)):
        report(row, f"Field {path}: the start of a RANGE must be before its end")
    fields = [pa.field(name, arrow_type(bound)) for name in ("start", "end")]
    return pa.StructArray.from_arrays(columns, fields=fields, mask=array.is_null())


def _indices(mask: pa.Array) -> list[int]:
    return pc.indices_nonzero(mask).to_pylist() if pc.any(mask).as_py() else []


def _one(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
