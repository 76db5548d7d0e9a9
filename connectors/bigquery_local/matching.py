"""A writer's batch against the schema of a table: by name, without case, every rule checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from connectors.bigquery_local import accepted, columns
from connectors.bigquery_local.errors import Code, Refusal, RowsRefused
from connectors.bigquery_local.schema import Field, Schema, arrow_schema, arrow_type, by_name

__all__ = ["CHANGE_SEQUENCE", "CHANGE_TYPE", "Defaults", "Matched", "match"]

CHANGE_TYPE, CHANGE_SEQUENCE = "_change_type", "_change_sequence_number"
"""The pseudo columns of change data capture, in lower case."""


@dataclass(frozen=True)
class Defaults:
    """How a value that a row lacks is understood.

    Args:
        named: column in lower case -> True for the column's default value, False for NULL.
        others: the same for every other column.
    """

    named: Mapping[str, bool]
    others: bool = False

    def apply(self, name: str) -> bool:
        """Tell whether the column's default value stands in for a missing one."""
        return self.named.get(name.lower(), self.others)


@dataclass(frozen=True)
class Matched:
    """Rows that fit their table.

    Args:
        rows: every column of the table, in its order.
        filled: column -> SQL expression that stands in where the value is NULL.
        change_types: ``_CHANGE_TYPE`` of each row; None where the writer sends none.
        sequences: ``_CHANGE_SEQUENCE_NUMBER`` of each row, or None.
    """

    rows: pa.RecordBatch
    filled: Mapping[str, str]
    change_types: list[str | None] | None = None
    sequences: list[str | None] | None = None


def match(
    batch: pa.RecordBatch, schema: Schema, defaults: Defaults, rows_format: str, entity: str
) -> Matched:
    """Return the rows as the table keeps them.

    A column that the writer's schema lacks takes its default value. One that it has, and a row
    has not, is NULL unless ``defaults`` says otherwise.

    Args:
        batch: of the writer.
        schema: of the table.
        defaults: for missing values.
        rows_format: ``arrow`` or ``proto``.
        entity: the stream, for messages.

    Raises:
        Refusal: the schemas do not fit.
        RowsRefused: some rows do not.
    """
    given = {name.lower(): index for index, name in enumerate(batch.schema.names)}
    pseudo = {key: batch.column(given.pop(key)) for key in _pseudo(given)}
    if pseudo and rows_format != accepted.PROTO:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "Change data capture (_CHANGE_TYPE) needs proto_rows: Arrow is not supported for it.",
            entity=entity,
        )
    _check_names(given, batch, schema, entity)
    errors: dict[int, str] = {}
    filled: dict[str, str] = {}
    arrays = []
    for field in schema:
        at = given.get(field.name.lower())
        if field.default and (at is None or defaults.apply(field.name)):
            filled[field.name] = field.default
        if at is None:
            arrays.append(_absent(field, batch.num_rows))
            continue
        accepted.check(field, batch.schema.field(at).type, rows_format, field.name, entity)
        wanted = replace(field, mode="NULLABLE") if _optional(field, filled) else field
        arrays.append(columns.conform(batch.column(at), wanted, field.name, errors.setdefault))
    if errors:
        raise RowsRefused(dict(sorted(errors.items())), entity)
    rows = pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema))
    return Matched(
        rows, filled, *(_texts(pseudo.get(key)) for key in (CHANGE_TYPE, CHANGE_SEQUENCE))
    )


def _pseudo(given: Mapping[str, int]) -> list[str]:
    return [key for key in (CHANGE_TYPE, CHANGE_SEQUENCE) if key in given]


def _check_names(
    given: Mapping[str, int], batch: pa.RecordBatch, schema: Schema, entity: str
) -> None:
    known = by_name(schema)
    extra = [batch.schema.names[at] for key, at in given.items() if key not in known]
    if extra:
        raise accepted.extra_fields(extra, entity)
    lacking = [
        field.name
        for key, field in known.items()
        if field.mode == "REQUIRED" and not field.default and key not in given
    ]
    if lacking:
        raise accepted.missing_required(lacking, entity)


def _absent(field: Field, count: int) -> pa.Array:
    # Not the empty array of a REPEATED column: its default value must see what is missing.
    return pa.nulls(count, arrow_type(field)) if field.default else columns.nulls(field, count)


def _optional(field: Field, filled: Mapping[str, str]) -> bool:
    return field.mode == "REQUIRED" and field.name in filled


def _texts(column: pa.Array | None) -> list[str | None] | None:
    return None if column is None else column.to_pylist()
