"""What can be found out before anything is read: whether a table takes the rows."""

from __future__ import annotations

import pyarrow as pa

from connectors.bigquery.destination import Destination
from connectors.bigquery.plan import Plan
from connectors.bigquery.rows import Shape
from connectors.bigquery.session import AT_START, session
from connectors.bigquery.tables import known_schema, new_columns, require_dataset
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import MESSAGE, MESSAGE_SCHEMA

__all__ = ["require_columns", "require_table"]


def require_columns(plan: Plan, rows: pa.Schema) -> None:
    """Refuse tables that BigQuery would not make of such rows. Pure.

    Args:
        plan: what is to be written where.
        rows: the schema of the rows, without the message that they come from.

    Raises:
        ConfigError: a column is missing that the plan names, or can't be used as it says.
    """
    if plan.create is not None:
        new_columns(plan.create, plan.told(_columns(plan, rows)), plan.terms)


def require_table(plan: Plan, rows: pa.Schema | None) -> None:
    """Ask the server whether the table is there, or can be made, and takes the rows.

    Args:
        plan: what is to be written where. Of a template only the dataset of tables that are to be
            made can be told yet.
        rows: as of ``require_columns``; None if it is not known.

    Raises:
        ConfigError: the table is missing, or its dataset, or access is denied, or it has no place
            for a column.
        TransientError: nobody answers.
    """
    destination = Destination(plan.table)
    table = destination.table
    if table is None:
        if plan.create is not None and destination.example is not None:
            require_dataset(destination.example)
        return
    schema = known_schema(session(), table, plan.create, plan.terms, AT_START)
    if schema is None:
        require_dataset(table)
    elif rows is not None:
        _require_fit(plan, _columns(plan, rows), schema)


def _require_fit(plan: Plan, rows: pa.Schema, schema: pa.Schema) -> None:
    try:
        Shape(rows, schema, plan.changes.columns if plan.changes else ())
    except ConfigError as error:
        column = error.name if error.value is None else f"{error.name} ({error.value})"
        raise ConfigError(
            plan.terms.table, plan.table, f"can't take the rows: {column} {error.rule}", error.fix
        ) from error


def _columns(plan: Plan, rows: pa.Schema) -> pa.Schema:
    """Return the columns that are written, by way of a batch without rows."""
    if MESSAGE not in rows.names and not set(rows.names).issuperset(MESSAGE_SCHEMA.names):
        rows = rows.append(pa.field(MESSAGE, pa.struct(list(MESSAGE_SCHEMA))))
    return plan.columns(Batch.from_pylist([], rows))[0].schema
