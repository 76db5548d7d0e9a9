"""What is read: queries, pages of tables, snapshots; never more than one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.bigquery_local import dialect
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.database import quoted
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.results import result_fields
from connectors.bigquery_local.schema import Field, Schema, arrow_schema, by_name
from connectors.bigquery_local.state import State

__all__ = ["Reading", "Rows"]


class Rows(NamedTuple):
    """Rows that were read.

    Args:
        table: in the types of the schema.
        schema: its columns.
    """

    table: pa.Table
    schema: Schema


class Reading:
    """Reads from the store; a read sees what was committed before it began.

    Args:
        state: of the server.
        catalog: of its tables.
    """

    def __init__(self, state: State, catalog: Catalog) -> None:
        self._state, self._catalog = state, catalog

    def query(
        self, sql: str, project: str, dataset: str, parameters: Sequence[Any] | dict[str, Any]
    ) -> Rows:
        """Return the result of a SELECT of BigQuery's SQL.

        Args:
            sql: the statement.
            project: of tables without one.
            dataset: of tables without one; empty is none.
            parameters: by position or by name.

        Raises:
            Refusal: INVALID_ARGUMENT or NOT_FOUND, with the engine's words.
        """
        with self._state.lock:
            found = dialect.select(sql, project, dataset, self._relation)
            known = by_name(self._catalog.table(found.plain).schema) if found.plain else {}
        return self._run(found.sql, parameters, known)

    def table(
        self, name: TableName, fields: Schema, where: str = "", start: int = 0, limit: int = -1
    ) -> Rows:
        """Return rows of a table in the order in which they came.

        Args:
            name: of the table.
            fields: top-level columns to read.
            where: condition in DuckDB's SQL; empty is none.
            start: rows to leave out at the beginning.
            limit: of rows; negative is none.
        """
        picked = ", ".join(quoted(field.name) for field in fields)
        sql = f"SELECT {picked} FROM {self._state.store.relation(name)}"  # noqa: S608 - quoted
        sql += f" WHERE {where}" if where else ""
        sql += f" LIMIT {limit}" if limit >= 0 else ""
        return self._run(f"{sql} OFFSET {start}", [], by_name(fields))

    def _relation(self, name: TableName) -> tuple[str, str]:
        self._catalog.table(name)
        return self._state.store.schema_name(name.project, name.dataset), name.table

    def _run(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any], known: dict[str, Field]
    ) -> Rows:
        cursor = self._state.store.cursor()
        try:
            relation = cursor.sql(sql, params=parameters)
            schema = result_fields(relation.columns, relation.types, known)
            table = relation.to_arrow_table()
        except cursor_error() as error:
            raise Refusal(Code.INVALID_ARGUMENT, f"{error}; in DuckDB's SQL: {sql}") from None
        finally:
            cursor.close()
        try:
            return Rows(_cast(table, schema), schema)
        except pa.ArrowInvalid as error:
            raise Refusal(Code.INVALID_ARGUMENT, f"A result is out of range: {error}") from None


def _cast(table: pa.Table, schema: Schema) -> pa.Table:
    # Columns may share a name: by position.
    wanted = arrow_schema(schema)
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(table.columns, wanted, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def cursor_error() -> Any:
    """Return the class of DuckDB's errors."""
    import duckdb  # noqa: PLC0415 - an extra; the store has it

    return duckdb.Error
