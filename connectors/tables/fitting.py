"""Rows and tables: whether the columns of one fit into the other. Pure functions."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

__all__ = ["check", "fit", "missing", "plain", "storable"]

_DIGITS_MAX = 38
_SAME: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_boolean, pa.types.is_signed_integer, pa.types.is_float32, pa.types.is_float64,
)  # fmt: skip
_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}


def storable(schema: pa.Schema, *, times: bool, bytes_min: int) -> pa.Schema:
    """Return the schema of a table that can hold such rows.

    Args:
        schema: of the rows.
        times: the format has times of day.
        bytes_min: of the format's smallest integer.

    Raises:
        ConfigError: a column has a type that the format lacks.
    """
    fields = []
    for field in schema:
        found = plain(field.type)
        if found is None or (_holds_time(found) and not times):
            raise ConfigError(
                "schema", f"{field.name}: {field.type}", "is a type that the table's format lacks",
                "Convert the column before the write, for example to STRING, or leave it out",
            )  # fmt: skip
        if pa.types.is_signed_integer(found) and found.bit_width < 8 * bytes_min:
            found = pa.int32()
        fields.append(pa.field(field.name, found, field.nullable))
    return pa.schema(fields)


def plain(kind: pa.DataType) -> pa.DataType | None:  # noqa: PLR0911 (a table of types)
    """Return the type in which tables hold what a type of Arrow holds; None if there is none."""
    types = pa.types
    if any(test(kind) for test in _SAME) or types.is_date32(kind):
        return kind
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_time(kind):
        return pa.time64("us")
    if types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= _DIGITS_MAX else None
    if types.is_dictionary(kind):
        return plain(kind.value_type)
    if types.is_date64(kind):
        return pa.date32()
    return _nested(kind) if types.is_nested(kind) else _WIDER.get(kind)


def _nested(kind: pa.DataType) -> pa.DataType | None:
    fields = [_plain_field(kind.field(number)) for number in range(kind.num_fields)]
    if any(field is None for field in fields):
        return None
    if pa.types.is_struct(kind):
        return pa.struct(fields)
    if pa.types.is_map(kind):
        key, item = _plain_field(kind.key_field), _plain_field(kind.item_field)
        return None if key is None or item is None else pa.map_(key, item)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return pa.list_(fields[0]) if is_list else None


def _plain_field(field: pa.Field) -> pa.Field | None:
    found = plain(field.type)
    return None if found is None else field.with_type(found)


def _holds_time(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_time(kind.field(number).type) for number in range(kind.num_fields))
    return bool(pa.types.is_time(kind))


def missing(rows: pa.Schema, table: pa.Schema) -> list[pa.Field]:
    """Return the columns of rows that a table lacks."""
    return [field for field in rows if field.name not in table.names]


def check(rows: pa.Schema, table: pa.Schema, place: str, *, add_columns: bool) -> None:
    """Refuse rows that don't fit into a table.

    Args:
        rows: their schema.
        table: its columns.
        place: names the table.
        add_columns: columns that the table lacks are no reason.

    Raises:
        ConfigError: naming the column, its types and what to do.
    """
    for field in rows:
        if field.name not in table.names:
            if add_columns:
                continue
            raise ConfigError(
                "schema", f"{field.name}: {field.type}", f"is no column of the table {place}",
                "Allow new columns (add_columns=true), add it to the table, or leave it out",
            )  # fmt: skip
        there = table.field(field.name)
        if not _fits(field.type, there.type):
            raise ConfigError(
                "schema", f"{field.name}: {field.type}", f"has the type {there.type} in {place}",
                f"Give the column the type {there.type}, or write to another table",
            )  # fmt: skip
    for field in table:
        if not field.nullable and field.name not in rows.names:
            raise ConfigError(
                "schema", f"{field.name}: {field.type}", f"is required by {place} and not in the "
                "rows", "Add it to the rows, or make it nullable in the table",
            )  # fmt: skip


def _fits(rows: pa.DataType, table: pa.DataType) -> bool:
    """Tell whether a table's type holds every value of the rows'."""
    kind, there = plain(rows), plain(table)
    if kind is None or there is None:
        return False
    if pa.types.is_integer(kind) != pa.types.is_integer(there):
        return False  # a float does not hold every integer
    try:
        both = pa.unify_schemas(
            [pa.schema([("", there)]), pa.schema([("", kind)])], promote_options="permissive"
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return bool(_nameless(both.field(0).type).equals(_nameless(there)))


def _nameless(kind: pa.DataType) -> pa.DataType:
    """Return a type whose lists name their values alike, which formats name as they like."""
    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", _nameless(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _nameless(field.type)) for field in kind])
    return kind


def fit(batch: Batch, schema: pa.Schema) -> Batch:
    """Return rows with the columns of a table, in its types; what they lack is null.

    Raises:
        PermanentError: a value is null where none may be, or does not fit.
    """
    rows = batch.rows
    columns = []
    for field in schema:
        if field.name in rows.schema.names:
            values = rows.column(field.name)
        else:
            values = pa.nulls(rows.num_rows, field.type)
        columns.append(_cast(values, field))
    return Batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _cast(values: pa.Array, field: pa.Field) -> pa.Array:
    if not field.nullable and values.null_count:
        raise PermanentError(
            f"{field.name} is null in {values.null_count} rows, but the table requires it. Make "
            "it nullable in the table, or REQUIRED in the schema of what is read, so that such "
            "rows go to the dead letter"
        )
    if values.type.equals(field.type, check_metadata=True):
        return values
    try:
        return values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise PermanentError(
            f"{field.name}: a value is no {field.type} of the table ({error})"
        ) from (error)
