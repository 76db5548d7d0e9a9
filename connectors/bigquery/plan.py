"""What is to be written where, and which columns that makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.bigquery.casting import Faults
from connectors.bigquery.changes import Changes
from connectors.bigquery.create import Create
from connectors.bigquery.terms import Terms
from transforms.batch import Batch
from transforms.field import Field
from transforms.message import MESSAGE
from transforms.metrics import ROWS_WRITTEN, Counter
from transforms.project import project
from transforms.schema import BIGQUERY_TYPE

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """What is to be written where.

    Args:
        table: a table, or a template of ``Destination``.
        add: columns to add, with the fields that they are made of.
        changes: how to read rows as upserts and deletes; None for plain rows.
        create: how to make a table that is missing; None to refuse it.
        step: the name that dead letters carry.
        rows_written: the metric that counts the rows.
        terms: what errors call the arguments.
    """

    table: str
    add: Mapping[str, Field]
    changes: Changes | None
    create: Create | None
    step: str
    rows_written: Counter = ROWS_WRITTEN
    terms: Terms = field(default_factory=Terms)

    def columns(self, batch: Batch) -> tuple[Batch, Faults]:
        """Return what is to be written: no message, the added columns, those of changes."""
        gone = [MESSAGE] if MESSAGE in batch.schema.names else []
        rows = project(batch, drop=gone, add=self.add)
        if self.changes is None:
            return rows, {}
        marked = self.changes.mark(batch, rows)
        return marked.batch, marked.faults

    def told(self, rows: pa.Schema) -> pa.Schema:
        """Say of added maps that a new table shall have them as JSON, as BigQuery does it."""
        fields = [
            column.with_metadata({BIGQUERY_TYPE: "JSON"})
            if column.name in self.add and pa.types.is_map(column.type)
            else column
            for column in rows
        ]
        return pa.schema(fields)
