"""Dead letters in a table of BigQuery: how they are written there, and read again."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue

from connectors import bigquery
from connectors.bigquery.tables import table_columns
from connectors.table_name import TableName
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.failure import FAILURE_SCHEMA, failed_at
from transforms.metrics import FAILURES_WRITTEN, MESSAGES_READ

__all__ = ["ReadTable", "write_table"]

_CREATE = bigquery.Create(partition_by="day(failed_at)", schema=FAILURE_SCHEMA)


def write_table(table: TableName) -> bigquery.Write:
    """Return the step that appends failures; it makes the table if it is missing."""
    return bigquery.Write(
        str(table),
        create=_CREATE,
        step="dead_letter.Write",
        rows_written=FAILURES_WRITTEN,
        rows=FAILURE_SCHEMA,
        terms=bigquery.Terms("dead letter"),
    )


class ReadTable(beam.PTransform):
    """Read the failures that are in a table when the step begins, as ``bigquery.Read`` does.

    Raises:
        ConfigError: there is no table of this name, it has other columns than dead letters, or
            access is denied.
        TransientError: nobody answers.
    """

    def __init__(self, table: TableName) -> None:
        super().__init__()
        self._table = table

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """Look at the table, to fail before anything is started; then read."""
        known = {column.casefold() for column in table_columns(self._table)}
        missing = [name for name in FAILURE_SCHEMA.names if name not in known]
        if missing:
            raise ConfigError(
                "table", str(self._table),
                f"holds no dead letters, for it lacks {', '.join(missing)}",
                "Give the table that a pipeline's --dead_letter names",
            )  # fmt: skip
        rows = begin | "Rows" >> bigquery.Read(str(self._table), columns=FAILURE_SCHEMA.names)
        return rows | "Failures" >> beam.ParDo(_Failures(self._table)).with_output_types(Batch)


class _Failures(beam.DoFn):
    """Rows of a table to failures, each batch at the time of its first one."""

    def __init__(self, table: TableName) -> None:
        self._table = table

    def process(self, rows: Batch) -> Iterator[TimestampedValue]:
        batch = failures_of(rows, self._table)
        MESSAGES_READ.inc(len(batch))
        yield TimestampedValue(batch, failed_at(batch))


def failures_of(rows: Batch, table: TableName) -> Batch:
    """Return rows of a table as failures.

    Args:
        rows: as BigQuery has them: integers of 64 bits, and a map as entries of key and value.
        table: for the text of errors.

    Raises:
        PermanentError: a column has a type that a dead letter's is not.
    """
    columns = []
    for field in FAILURE_SCHEMA:
        column = rows.column(field.name)
        try:
            is_map = pa.types.is_map(field.type)
            columns.append(_as_map(column) if is_map else column.cast(field.type))
        except (pa.ArrowException, KeyError) as error:
            raise PermanentError(
                f"table {table}: holds no dead letters, for {field.name} is {column.type} and not "
                f"{field.type}. Give the table that a pipeline's --dead_letter names"
            ) from error
    return Batch(pa.RecordBatch.from_arrays(columns, schema=FAILURE_SCHEMA))


def _as_map(lists: pa.Array) -> pa.MapArray:
    """Return entries as maps, for which Arrow has no cast; no list of BigQuery is null."""
    if not pa.types.is_list(lists.type):
        raise pa.ArrowTypeError(f"{lists.type} is no list of entries")
    entries = lists.values
    return pa.MapArray.from_arrays(lists.offsets, entries.field("key"), entries.field("value"))
