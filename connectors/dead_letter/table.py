"""Dead letters in a table of BigQuery: how they are written there, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue

from connectors import bigquery, retry
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.dead_letter.target import Table
from transforms.batch import Batch
from transforms.errors import PermanentError
from transforms.failure import FAILURE_SCHEMA, failed_at
from transforms.message import ATTRIBUTES
from transforms.metrics import FAILURES_WRITTEN, MESSAGES_READ

__all__ = ["ReadTable", "check_table", "write_table"]

OUTAGE = retry.Backoff(patience_s=60.0)
ROWS_MAX = 1_000
"""Failures of one answer, and so of one batch."""

_CREATE = bigquery.Create(partition_by="day(failed_at)", schema=FAILURE_SCHEMA)


def write_table(table: Table) -> bigquery.Write:
    """Return the step that appends failures; it makes the table if it is missing."""
    return bigquery.Write(
        table.dotted, create=_CREATE, step="dead_letter.Write", rows_written=FAILURES_WRITTEN
    )


def check_table(table: Table) -> None:
    """Look the table up, to fail before anything is started.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: nobody answers.
    """
    _open(table)


class ReadTable(beam.DoFn):
    """Tables to the failures in them, by the REST API: what is in a table when it is opened."""

    def process(self, table: Table) -> Iterator[TimestampedValue]:
        """Read a table, 1,000 rows at a time.

        Raises:
            PermanentError: the table has other columns than dead letters.
        """
        client, opened = _open(table)
        known = {column.name for column in opened.schema}
        missing = [name for name in FAILURE_SCHEMA.names if name not in known]
        if missing:
            raise PermanentError(
                f"table {table}: holds no dead letters, for it lacks {', '.join(missing)}. Give "
                "the table that --dead_letter names"
            )
        pages = iter(client.list_rows(opened, page_size=ROWS_MAX).pages)
        while (page := retry.call(lambda: next(pages, None), _subject(table), OUTAGE)) is not None:
            batch = Batch.from_pylist([_failure(dict(row)) for row in page], FAILURE_SCHEMA)
            MESSAGES_READ.inc(len(batch))
            yield TimestampedValue(batch, failed_at(batch))


def _failure(row: dict[str, Any]) -> dict[str, Any]:
    return row | {ATTRIBUTES: [(entry["key"], entry["value"]) for entry in row[ATTRIBUTES] or ()]}


def _open(table: Table) -> tuple[Any, Any]:
    """Return a client, and the table with its columns."""
    client = open_bigquery(bigquery_endpoint(), table.project)
    opened = retry.call(lambda: client.get_table(table.dotted), _subject(table), OUTAGE)
    return client, opened


def _subject(table: Table) -> retry.Subject:
    return retry.Subject(
        "table", str(table), "Give the table that a pipeline's --dead_letter names",
        bigquery_endpoint().advice, "roles/bigquery.dataViewer", "BIGQUERY_EMULATOR_HOST",
    )  # fmt: skip
