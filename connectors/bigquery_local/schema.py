"""The columns of a table: the one value that REST, Arrow and DuckDB all derive from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

__all__ = ["Field", "Schema", "arrow_schema", "arrow_type", "by_name", "duck_type", "element"]

_SCALARS: dict[str, tuple[pa.DataType, str]] = {
    "STRING": (pa.string(), "VARCHAR"),
    "BYTES": (pa.binary(), "BLOB"),
    "INT64": (pa.int64(), "BIGINT"),
    "FLOAT64": (pa.float64(), "DOUBLE"),
    "BOOL": (pa.bool_(), "BOOLEAN"),
    "NUMERIC": (pa.decimal128(38, 9), "DECIMAL(38, 9)"),
    # DuckDB's widest decimal has 38 digits and BIGNUMERIC has 76: it is kept as exact text.
    "BIGNUMERIC": (pa.string(), "VARCHAR"),
    "TIMESTAMP": (pa.timestamp("us", "UTC"), "TIMESTAMPTZ"),
    "DATETIME": (pa.timestamp("us"), "TIMESTAMP"),
    "DATE": (pa.date32(), "DATE"),
    "TIME": (pa.time64("us"), "TIME"),
    "JSON": (pa.string(), "JSON"),
    "GEOGRAPHY": (pa.string(), "VARCHAR"),
}


@dataclass(frozen=True)
class Field:
    """A column, or a field of a STRUCT.

    Args:
        name: as declared; compared without case.
        kind: BigQuery's standard SQL type, such as ``INT64``; ``STRUCT``; ``RANGE``.
        mode: ``NULLABLE``, ``REQUIRED`` or ``REPEATED``.
        fields: of a STRUCT.
        max_length: characters of a STRING, bytes of BYTES; None is unbounded.
        precision: digits of a NUMERIC or BIGNUMERIC; None is the type's own.
        scale: digits after the point; None is the type's own, or 0 beside a precision.
        range_of: element type of a RANGE.
        default: SQL expression of the column's default value; empty is none.
        description: free text.
    """

    name: str
    kind: str
    mode: str = "NULLABLE"
    fields: tuple[Field, ...] = ()
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    range_of: str = ""
    default: str = ""
    description: str = ""


Schema = tuple[Field, ...]


def by_name(fields: Iterable[Field]) -> dict[str, Field]:
    """Index fields by their names in lower case: BigQuery ignores case."""
    return {field.name.lower(): field for field in fields}


def element(field: Field) -> Field:
    """Return the field of one element of a REPEATED field."""
    return replace(field, mode="NULLABLE")


def arrow_type(field: Field) -> pa.DataType:
    """Return the Arrow type in which a checked column goes into DuckDB."""
    if field.mode == "REPEATED":
        return pa.list_(arrow_type(element(field)))
    if field.kind == "STRUCT":
        return pa.struct([pa.field(child.name, arrow_type(child)) for child in field.fields])
    if field.kind == "RANGE":
        bound = _SCALARS[field.range_of][0]
        return pa.struct([pa.field("start", bound), pa.field("end", bound)])
    return _SCALARS[field.kind][0]


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of whole rows."""
    return pa.schema([pa.field(field.name, arrow_type(field)) for field in schema])


def duck_type(field: Field) -> str:
    """Return the DuckDB type of a column."""
    if field.mode == "REPEATED":
        return duck_type(element(field)) + "[]"
    if field.kind == "STRUCT":
        inner = ", ".join(f"{_quoted(child.name)} {duck_type(child)}" for child in field.fields)
        return f"STRUCT({inner})"
    if field.kind == "RANGE":
        bound = _SCALARS[field.range_of][1]
        return f'STRUCT("start" {bound}, "end" {bound})'
    return _SCALARS[field.kind][1]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
