"""From batches as they come to the rows of tables, and the dead letters of what can't be a row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from connectors.bigquery.casting import Faults
from connectors.bigquery.destination import Destination
from connectors.bigquery.plan import Plan
from connectors.bigquery.rows import Fitted, Shape
from connectors.bigquery.session import Session
from connectors.bigquery.tables import schema_of
from connectors.table_name import TableName
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.failure import failures
from transforms.message import MESSAGE, MESSAGE_SCHEMA
from transforms.rows import dead_letters

__all__ = ["Parcel", "Preparer", "Sorted", "sort_out"]


class Sorted(NamedTuple):
    """Rows that were taken, as they came, and the dead letters of the others."""

    ok: Batch
    dead: Batch | None


def sort_out(batch: Batch, faults: Faults, step: str) -> Sorted:
    """Part a batch into the rows without a fault, and dead letters of those with one."""
    if not faults:
        return Sorted(batch, None)
    bad = sorted(faults)
    rejected = batch.take(pa.array(bad, pa.int64()))
    reasons = [faults[row] for row in bad]
    names = set(batch.schema.names)
    if MESSAGE in names or names.issuperset(MESSAGE_SCHEMA.names):
        dead = failures(rejected, step, reasons)
    else:
        dead = dead_letters(_dictionaries(rejected), step, dict(enumerate(reasons)))
    metrics.DEAD_LETTERS.inc(len(bad))
    keep = np.ones(len(batch), np.bool_)
    keep[bad] = False
    return Sorted(batch.filter(pa.array(keep)), dead)


def _dictionaries(rows: Batch) -> list[dict[str, Any]]:
    """Return the rows, with times as numbers where Python has no time for them."""
    try:
        return rows.to_pylist()
    except (OverflowError, ValueError):
        for field in rows.schema:
            if pa.types.is_timestamp(field.type):
                rows = rows.with_column(field.name, rows.column(field.name).view(pa.int64()))
            elif pa.types.is_date32(field.type):
                rows = rows.with_column(field.name, rows.column(field.name).view(pa.int32()))
        return rows.to_pylist()


class Parcel(NamedTuple):
    """Rows of a batch that go to one table, as they came."""

    table: TableName
    batch: Batch


class Preparer:
    """Prepares batches by a plan; what it compiles is kept for the next ones of their schema."""

    def __init__(self, plan: Plan, session: Session) -> None:
        self._plan, self._session = plan, session
        self._destination = Destination(plan.table)
        self._optional = plan.changes.columns if plan.changes else frozenset()
        self._shapes: dict[tuple[pa.Schema, TableName], tuple[pa.Schema, Shape]] = {}

    def route(self, batch: Batch) -> tuple[list[Parcel], Batch | None]:
        """Return the rows of each table, and the dead letters of rows that name none."""
        groups, faults = self._destination.route(batch)
        dead = sort_out(batch, faults, self._plan.step).dead if faults else None
        return [
            Parcel(table, batch if rows is None else batch.take(pa.array(rows)))
            for table, rows in groups
        ], dead

    def fit(self, parcel: Parcel) -> Fitted:
        """Return the rows as the table takes them.

        Raises:
            ConfigError: the rows don't fit the table, or it is missing and can't be made.
        """
        table, plan = parcel.table, self._plan
        rows, faults = plan.columns(parcel.batch)
        told = plan.told(rows.schema)
        schema = schema_of(self._session, table, plan.create, told, plan.terms)
        try:
            shape = self._shape(rows.schema, table, schema)
        except ConfigError:
            # Perhaps the table was altered since we looked.
            anew = self._session.fetch_schema(table)
            if anew.equals(schema, check_metadata=True):
                raise
            shape = self._shape(rows.schema, table, anew)
        fitted = shape.fit(rows.rows)
        if not faults:
            return fitted
        kept = np.flatnonzero(~np.isin(fitted.origin, list(faults)))
        return Fitted(fitted.rows.take(pa.array(kept)), fitted.origin[kept], fitted.faults | faults)

    def _shape(self, given: pa.Schema, table: TableName, schema: pa.Schema) -> Shape:
        # A schema is read anew only when the table has changed: the same one is the same object.
        known, shape = self._shapes.get((given, table), (None, None))
        if shape is None or known is not schema:
            shape = Shape(given, schema, self._optional)
            self._shapes[given, table] = (schema, shape)
        return shape
