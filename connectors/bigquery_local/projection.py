"""Which fields of a table are read, and their types in the Storage Read API's Arrow.

https://cloud.google.com/bigquery/docs/reference/storage#arrow_schema_details
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.schema import Field, Schema, arrow_type, by_name, element

__all__ = ["project_rows", "selected"]

_BIGNUMERIC = pa.decimal256(76, 38)


def selected(schema: Schema, paths: Sequence[str]) -> Schema:
    """Return the part of a schema that paths name, in the schema's order.

    Args:
        schema: of the table.
        paths: ``column`` or ``column.field``; a struct that is named is read whole; nothing is
            all.

    Raises:
        Refusal: a path names nothing.
    """
    if not paths:
        return schema
    wanted: dict[str, list[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        wanted.setdefault(head.lower(), []).append(rest)
    known = by_name(schema)
    if unknown := sorted(set(wanted) - set(known)):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"The following selected fields do not exist in the table schema: {unknown}",
        )
    return tuple(_part(field, wanted[key]) for key, field in known.items() if key in wanted)


def _part(field: Field, paths: list[str]) -> Field:
    if "" in paths:
        return field
    return replace(field, fields=selected(field.fields, paths))


def project_rows(rows: pa.Table, schema: Schema) -> pa.Table:
    """Return rows with the selected fields only, in the types of the Storage Read API.

    Args:
        rows: with at least those fields.
        schema: the selected ones.
    """
    columns = [
        pa.chunked_array([_read(chunk, field) for chunk in column.chunks], _read_type(field))
        for column, field in zip(rows.columns, schema, strict=True)
    ]
    names = [pa.field(field.name, _read_type(field), field.mode != "REQUIRED") for field in schema]
    return pa.Table.from_arrays(columns, schema=pa.schema(names))


def _read_type(field: Field) -> pa.DataType:
    if field.mode == "REPEATED":
        return pa.list_(pa.field("item", _read_type(element(field))))
    if field.kind == "STRUCT":
        return pa.struct([pa.field(child.name, _read_type(child)) for child in field.fields])
    return _BIGNUMERIC if field.kind == "BIGNUMERIC" else arrow_type(field)


def _read(array: pa.Array, field: Field) -> pa.Array:
    if field.mode == "REPEATED":
        inner = _read(array.values, element(field))
        offsets = pa.concat_arrays([array.offsets])  # of their own: a slice's begin elsewhere
        return pa.ListArray.from_arrays(offsets, inner, type=_read_type(field), mask=_mask(array))
    if field.kind == "STRUCT":
        given = {child.name.lower(): array.field(at) for at, child in enumerate(array.type)}
        columns = [_read(given[child.name.lower()], child) for child in field.fields]
        kinds = [pa.field(child.name, _read_type(child)) for child in field.fields]
        return pa.StructArray.from_arrays(columns, fields=kinds, mask=array.is_null())
    return array.cast(_read_type(field)) if array.type != _read_type(field) else array


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None
