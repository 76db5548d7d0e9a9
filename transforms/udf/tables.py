"""What a function of batches is given, and what is made of what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.batch import Batch
from transforms.fitting import forbidden_nulls
from transforms.message import ATTRIBUTES, DATA, MESSAGE, MESSAGE_SCHEMA, PART
from transforms.udf.dictionaries import dictionaries
from transforms.udf.makers import json_of
from transforms.udf.results import RESERVED, Plan, messages_of

__all__ = ["MisfitError", "Parts", "ShapeError", "given", "parts_of"]

_ROW = pa.field("_row", pa.int64())
"""Added to the messages that a function sees: the number of the row, so that ``PART`` is known."""


class MisfitError(Exception):
    """Some of the rows that a function returned don't fit; others may."""


class ShapeError(Exception):
    """What a function returned is no result, whatever its rows are."""


class Parts(NamedTuple):
    """What a function has made of rows: those of the main output, and messages by output."""

    main: Batch
    routed: Mapping[str, Batch]


def given(batch: Batch, plan: Plan) -> pa.RecordBatch:
    """Return the rows that a function sees: with their messages under ``MESSAGE``."""
    names = [name for name in batch.schema.names if name not in RESERVED]
    came = messages_of(batch)
    if came is None:
        return batch.select(names).rows
    if plan.part:
        came = _numbered(came)
    elif batch.schema.names == [*names, MESSAGE]:
        return batch.rows
    return batch.select(names).with_column(MESSAGE, came).rows


def parts_of(result: Any, batch: Batch, plan: Plan) -> Parts:
    """Sort and check what a function returned for a batch.

    Raises:
        ShapeError: it is no result.
        MisfitError: it has rows that don't fit the schema.
    """
    by_name = result if isinstance(result, dict) else {"": result}
    made = {name: _rows(name, rows, plan) for name, rows in by_name.items() if rows is not None}
    main = made.pop("", None)
    return Parts(
        _main(main, batch, plan) if main is not None else batch.slice(0, 0),
        {name: _routed(rows, batch, plan) for name, rows in made.items() if rows.num_rows},
    )


def _rows(name: Any, rows: Any, plan: Plan) -> pa.RecordBatch:
    if name not in ("", *plan.outputs):
        declared = ", ".join(plan.outputs) or "none"
        raise ShapeError(f"There is no output {name!r}; declared are: {declared}")
    if isinstance(rows, pa.Table):
        columns = [column.combine_chunks() for column in rows.columns]
        rows = pa.RecordBatch.from_arrays(columns, schema=rows.schema)
    if not isinstance(rows, pa.RecordBatch):
        raise ShapeError(
            f"The function returned {type(rows).__name__}, and not a RecordBatch, a Table, None or"
            " a dict of these by the name of the output"
        )
    for each in rows.schema.names:
        if rows.schema.names.count(each) > 1:
            raise ShapeError(f"The column {each} is there more than once")
    return rows


def _main(rows: pa.RecordBatch, batch: Batch, plan: Plan) -> Batch:
    came = _came(rows, batch, plan)
    typed = None if plan.gives_messages else plan.schema_for(batch)
    made = _messages(rows, came) if typed is None else _fitted(rows, typed)
    if came is not None and (plan.keep_message or not plan.gives_messages):
        made = made.with_column(MESSAGE, _without_number(came) if plan.part else came)
    if plan.part:
        made = made.with_column(PART, pa.array(_parts(came, len(batch)), pa.int32()))
    return made


def _routed(rows: pa.RecordBatch, batch: Batch, plan: Plan) -> Batch:
    came = _came(rows, batch, plan)
    if plan.gives_messages:
        return _messages(rows, came)
    names = [name for name in rows.schema.names if name not in RESERVED]
    try:
        made = dictionaries([rows.column(name) for name in names], names)
        payloads = pa.array([json_of(row) for row in made], pa.binary())
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise MisfitError(f"A row for an output can't be written as JSON: {error}") from error
    return _whole(came, len(rows)).with_column(DATA, payloads)


def _came(rows: pa.RecordBatch, batch: Batch, plan: Plan) -> pa.StructArray | None:
    """Return the messages of the rows that a function returned, numbered if parts are wanted."""
    source = messages_of(batch)
    if source is None:
        return None
    source = _numbered(source) if plan.part else source
    at = rows.schema.get_field_index(MESSAGE)
    if at >= 0:
        came = rows.column(at)
        if came.type != source.type:
            raise ShapeError(f"{MESSAGE} was changed; it must be kept as it is")
        if came.null_count:
            raise MisfitError(f"{MESSAGE} is null: a row must be of a message")
        return came
    if rows.num_rows != len(batch):
        raise ShapeError(
            f"The function returned {rows.num_rows} rows for {len(batch)} and no column {MESSAGE}:"
            " nobody can tell which message each is of. Keep that column"
        )
    return source


def _messages(rows: pa.RecordBatch, came: pa.StructArray | None) -> Batch:
    """Return rows as messages: of their columns, only data and attributes can have changed."""
    extra = set(rows.schema.names) - {*MESSAGE_SCHEMA.names, *RESERVED}
    if extra:
        raise ShapeError(
            f"A message has no {', '.join(sorted(extra))}; for typed rows, declare their schema"
        )
    made = _whole(came, rows.num_rows)
    for name in (DATA, ATTRIBUTES):
        at = rows.schema.get_field_index(name)
        if at >= 0:
            made = made.with_column(name, _cast(rows.column(at), MESSAGE_SCHEMA.field(name)))
    return made


def _fitted(rows: pa.RecordBatch, schema: pa.Schema) -> Batch:
    extra = set(rows.schema.names) - {*schema.names, *RESERVED}
    if extra:
        raise ShapeError(f"The schema has no column for: {', '.join(sorted(extra))}")
    columns = [_column(rows, field) for field in schema]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _column(rows: pa.RecordBatch, field: pa.Field) -> pa.Array:
    at = rows.schema.get_field_index(field.name)
    if at >= 0:
        return _cast(rows.column(at), field)
    if not field.nullable:
        raise ShapeError(f"The column {field.name} is missing, and may not be null")
    return pa.nulls(rows.num_rows, field.type)


def _cast(column: pa.Array, field: pa.Field) -> pa.Array:
    if column.type != field.type:
        try:
            column = column.cast(field.type)
        except pa.ArrowNotImplementedError as error:
            raise ShapeError(f"{error} - at `$.{field.name}`") from error
        except pa.ArrowException as error:
            raise MisfitError(f"{error} - at `$.{field.name}`") from error
    if (column.null_count and not field.nullable) or pa.types.is_nested(field.type):
        for _, path in forbidden_nulls(column, field)[:1]:
            raise MisfitError(f"A value is missing - at `$.{path}`")
    return column


def _whole(came: pa.StructArray | None, rows: int) -> Batch:
    """Return messages as a batch, empty ones for rows that have lost theirs."""
    if came is None:
        nulls = [pa.nulls(rows, field.type) for field in MESSAGE_SCHEMA]
        return Batch(pa.RecordBatch.from_arrays(nulls, schema=MESSAGE_SCHEMA))
    return Batch(pa.RecordBatch.from_struct_array(came)).select(MESSAGE_SCHEMA.names)


def _numbered(came: pa.StructArray) -> pa.StructArray:
    fields = [*came.type, _ROW]
    columns = [*came.flatten(), pa.array(np.arange(len(came)))]
    return pa.StructArray.from_arrays(columns, fields=fields)


def _without_number(came: pa.StructArray) -> pa.StructArray:
    return pa.StructArray.from_arrays(came.flatten()[:-1], fields=list(came.type)[:-1])


def _parts(came: pa.StructArray | None, rows: int) -> npt.NDArray[np.int64]:
    """Return for each row which of its message's it is, in whatever order they are."""
    if came is None:
        return np.zeros(rows, np.int64)
    numbers = came.flatten()[-1].to_numpy()
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    parts = np.empty(len(numbers), np.int64)
    parts[order] = np.arange(len(numbers)) - np.searchsorted(ranked, ranked)
    return parts
