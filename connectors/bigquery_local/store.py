"""The rows and the server's own records in one DuckDB file, so that one commit covers both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.bigquery_local.database import locked, open_database, quoted
from connectors.bigquery_local.errors import OtherProject
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.schema import Field, Schema, arrow_schema, duck_type

__all__ = ["Store"]


class Store:
    """One DuckDB database; the caller sees to it that one thread at a time changes it.

    Args:
        directory: of the file, made if it is missing; None keeps everything in memory.
        project: whose datasets are schemas of their own name; those of other projects are
            ``project.dataset``.

    Raises:
        MissingExtra: DuckDB is not installed.
        OtherProject: the file is of another project.
        StoreInUse: another server has the file open.
    """

    def __init__(self, directory: Path | None, project: str) -> None:
        self._project = project
        self._depth = 0
        self._lock = locked(directory) if directory else None
        try:
            self._base = open_database(directory)
            self._claim()
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Write everything to the file and close it."""
        self._base.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock:
            self._lock.close()

    def _claim(self) -> None:
        """Note whose the file is: the names of its schemas depend on it."""
        owner = next(iter(self.records("project")), None)
        if owner is None:
            self.save("project", self._project, {})
        elif owner != self._project:
            self._base.close()
            raise OtherProject(
                f"The data directory belongs to the project {owner}: start with that --project, "
                f"or use another --data_dir for {self._project}."
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is durable at the end, or nothing is; inner ones join it."""
        if self._depth:
            yield  # part of the one around it
            return
        self._base.execute("BEGIN TRANSACTION")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0
        self._base.execute("COMMIT")

    def records(self, kind: str) -> dict[str, Any]:
        """Return every record of a kind: name -> body."""
        sql = "SELECT name, body FROM _server.records WHERE kind = ?"
        rows = self._base.execute(sql, [kind]).fetchall()
        return {name: json.loads(body) for name, body in rows}

    def save(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Write a record in place of the one before it."""
        self.forget(kind, name)
        self._base.execute(
            "INSERT INTO _server.records VALUES (?, ?, ?)", [kind, name, json.dumps(body)]
        )

    def forget(self, kind: str, name: str) -> None:
        """Delete a record."""
        self._base.execute("DELETE FROM _server.records WHERE kind = ? AND name = ?", [kind, name])

    def advance(self, stream: str, total: int, visible: int) -> None:
        """Note how far a stream is: a row more, since to change one would slow every append."""
        self._base.execute(
            "INSERT INTO _server.progress VALUES (?, ?, ?)", [stream, total, visible]
        )

    def progress(self) -> dict[str, tuple[int, int]]:
        """Return how far each stream is: rows, and visible rows."""
        sql = "SELECT stream, max(total), max(visible) FROM _server.progress GROUP BY stream"
        rows = self._base.execute(sql).fetchall()
        return {stream: (total, visible) for stream, total, visible in rows}

    def forget_progress(self) -> None:
        """Delete the notes; the records of the streams have what they say."""
        self._base.execute("DELETE FROM _server.progress")

    def schema_name(self, project: str, dataset: str) -> str:
        """Return the name of the DuckDB schema of a dataset."""
        return dataset if project == self._project else f"{project}.{dataset}"

    def relation(self, name: TableName) -> str:
        """Return the table's name in SQL."""
        return f"{quoted(self.schema_name(name.project, name.dataset))}.{quoted(name.table)}"

    def create_schema(self, project: str, dataset: str) -> None:
        """Make room for the tables of a dataset."""
        name = quoted(self.schema_name(project, dataset))
        self._base.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")

    def drop_schema(self, project: str, dataset: str) -> None:
        """Drop a dataset and its tables."""
        name = quoted(self.schema_name(project, dataset))
        self._base.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")

    def create(self, name: TableName, schema: Schema) -> None:
        """Make a table; one without columns begins with a hidden one."""
        columns = [f"{quoted(field.name)} {duck_type(field)}" for field in schema]
        listed = ", ".join(columns or [f"{_HOLD} BOOLEAN"])
        self._base.execute(f"CREATE TABLE {self.relation(name)} ({listed})")

    def drop(self, name: TableName) -> None:
        """Drop a table with its rows."""
        self._base.execute(f"DROP TABLE IF EXISTS {self.relation(name)}")

    def add(self, name: TableName, path: tuple[str, ...], field: Field) -> None:
        """Add a column, or a field of a struct.

        Args:
            name: of the table.
            path: of the struct; empty for a column.
            field: the new one.
        """
        column = ".".join(quoted(part) for part in (*path, field.name))
        initial = " DEFAULT []" if field.mode == "REPEATED" and not path else ""
        self._base.execute(
            f"ALTER TABLE {self.relation(name)} ADD COLUMN {column} {duck_type(field)}{initial}"
        )

    def retype(self, name: TableName, field: Field) -> None:
        """Give a column the type of the field, where it gained inner fields inside arrays."""
        self._base.execute(
            f"ALTER TABLE {self.relation(name)} ALTER COLUMN {quoted(field.name)} "
            f"SET DATA TYPE {duck_type(field)}"
        )

    def insert(self, name: TableName, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows, matched by column name."""
        if not rows.num_columns:
            return
        with self._registered(rows):
            sql = f"INSERT INTO {self.relation(name)} BY NAME SELECT * FROM _rows"  # noqa: S608 - quoted
            self._base.execute(sql)

    def clear(self, name: TableName) -> None:
        """Delete all rows of a table."""
        self._base.execute(f"DELETE FROM {self.relation(name)}")  # noqa: S608 - quoted

    def fill(self, rows: pa.RecordBatch, filled: Mapping[str, str], schema: Schema) -> pa.Table:
        """Return the rows with expressions in place of NULL.

        Args:
            rows: of a table.
            filled: column -> expression of DuckDB's SQL.
            schema: of the table.
        """
        picked = [
            f"coalesce({quoted(field.name)}, ({filled[field.name]})::{duck_type(field)}) "
            f"AS {quoted(field.name)}"
            if field.name in filled
            else quoted(field.name)
            for field in schema
        ]
        with self._registered(rows):
            sql = f"SELECT {', '.join(picked)} FROM _rows"  # noqa: S608 - quoted
            result = self._base.sql(sql).to_arrow_table()
        return result.cast(arrow_schema(schema))

    def stage(self, stream: str, first: int, rows: pa.Table) -> None:
        """Keep the rows of a stream out of sight until ``staged`` takes them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write(rows)
        blob = sink.getvalue().to_pybytes()
        self._base.execute("INSERT INTO _server.staged VALUES (?, ?, ?)", [stream, first, blob])

    def staged(self, stream: str, first: int, until: int) -> Iterator[pa.Table]:
        """Return the staged rows with offsets from ``first`` to before ``until``, in order."""
        sql = "SELECT first, rows FROM _server.staged WHERE stream = ? AND first < ? ORDER BY first"
        for start, blob in self._base.execute(sql, [stream, until]).fetchall():
            rows = pa.ipc.open_stream(pa.py_buffer(blob)).read_all()
            low, high = max(first - start, 0), min(until - start, rows.num_rows)
            if low < high:
                yield rows.slice(low, high - low)

    def unstage(self, stream: str) -> None:
        """Forget the staged rows of a stream."""
        self._base.execute("DELETE FROM _server.staged WHERE stream = ?", [stream])

    def sequences(self, owner: str, keys: list[str]) -> dict[str, str]:
        """Return the change sequence of each key that has one.

        Args:
            owner: uid of the table.
            keys: of rows, as text.
        """
        sql = (
            "SELECT key, sequence FROM _server.changes SEMI JOIN _rows USING (key) WHERE owner = ?"
        )
        with self._registered(pa.table({"key": pa.array(keys, pa.string())})):
            return dict(self._base.execute(sql, [owner]).fetchall())

    def save_sequences(self, owner: str, sequences: Mapping[str, str]) -> None:
        """Write the change sequences of keys."""
        columns = {"key": list(sequences), "sequence": list(sequences.values())}
        kinds = pa.schema([("key", pa.string()), ("sequence", pa.string())])
        with self._registered(pa.table(columns, kinds)):
            self._base.execute(
                "DELETE FROM _server.changes c USING _rows r WHERE c.key = r.key AND owner = ?",
                [owner],
            )
            self._base.execute(
                "INSERT INTO _server.changes SELECT ?, key, sequence FROM _rows", [owner]
            )

    def delete_keys(self, name: TableName, keys: pa.Table) -> None:
        """Delete the rows of a table that have one of the keys.

        Args:
            name: of the table.
            keys: one column for each of the primary key's.
        """
        same = " AND ".join(
            f"t.{quoted(column)} IS NOT DISTINCT FROM k.{quoted(column)}"
            for column in keys.column_names
        )
        with self._registered(keys):
            relation = self.relation(name)
            self._base.execute(f"DELETE FROM {relation} t USING _rows k WHERE {same}")  # noqa: S608

    def cursor(self) -> Any:
        """Return a connection of its own for reading; the caller closes it."""
        return self._base.cursor()

    @contextmanager
    def _registered(self, rows: pa.RecordBatch | pa.Table) -> Iterator[None]:
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        self._base.register("_rows", table)
        try:
            yield
        finally:
            self._base.unregister("_rows")


_HOLD = '"_no_column_yet"'
