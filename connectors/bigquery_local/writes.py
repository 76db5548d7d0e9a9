"""Write streams on a store: each decision is a pure function's, each answer is durable first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from connectors.bigquery_local import changes, dialect, streams
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.columns import conform_rows
from connectors.bigquery_local.errors import Code, Refusal, StorageCode
from connectors.bigquery_local.matching import Defaults, Matched, match
from connectors.bigquery_local.names import DEFAULT, StreamName, TableName
from connectors.bigquery_local.state import State, new_uid
from connectors.bigquery_local.streams import Kind, Stream
from connectors.bigquery_local.tables import Table

__all__ = ["Rows", "StreamError", "Writes"]


class Rows(NamedTuple):
    """The rows of one append, as the writer sent them.

    Args:
        batch: its columns.
        format: ``arrow`` or ``proto``.
        defaults: for missing values.
    """

    batch: pa.RecordBatch
    format: str
    defaults: Defaults


class StreamError(NamedTuple):
    """Why a stream was not committed."""

    code: StorageCode
    stream: str
    text: str


class Writes:
    """The methods of the Storage Write API, without the protocol.

    Args:
        state: of the server.
        catalog: of its tables.
    """

    def __init__(self, state: State, catalog: Catalog) -> None:
        self._state, self._catalog = state, catalog

    def create(self, parent: TableName, kind: Kind) -> Stream:
        """Make a stream of a table."""
        state = self._state
        with state.lock:
            table = self._table(parent)
            name = str(StreamName(parent, new_uid()))
            stream = Stream(name, table.uid, kind, state.clock())
            self._save(stream)
            return stream

    def get(self, name: StreamName) -> tuple[Stream, Table]:
        """Return a stream and its table; ``_default`` is one of type COMMITTED.

        Raises:
            Refusal: the table or the stream does not exist.
        """
        with self._state.lock:
            table = self._table(name.table)
            if name.stream == DEFAULT:
                return Stream(str(name), table.uid, Kind.COMMITTED, table.created_us), table
            return self._stream(name), table

    def append(self, name: StreamName, offset: int | None, rows: Rows) -> int | None:
        """Add rows to a stream.

        Args:
            name: of the stream.
            offset: of the first row; None is the end of the stream.
            rows: all of them are added, or none is.

        Returns:
            The offset of the first row; None for the default stream.

        Raises:
            Refusal: see ``streams.appended`` and ``matching.match``.
        """
        with self._state.lock:
            if name.stream == DEFAULT:
                self._append_default(name, offset, rows)
                return None
            return self._append(name, offset, rows)

    def finalize(self, name: StreamName) -> int:
        """Close a stream for good and return its number of rows."""
        if name.stream == DEFAULT:
            raise _not_default("FinalizeWriteStream", name)
        with self._state.lock:
            self._table(name.table)
            stream = streams.finalized(self._stream(name))
            self._save(stream)
            return stream.rows

    def flush(self, name: StreamName, offset: int) -> int:
        """Show the rows up to and with the one at ``offset``; return the last offset shown."""
        if name.stream == DEFAULT:
            raise _not_default("FlushRows", name)
        state = self._state
        with state.lock:
            table = self._table(name.table)
            before = self._stream(name)
            after = streams.flushed(before, offset)
            with state.store.transaction():
                self._show(table, before, after)
                state.advance(after)
            state.streams[after.name] = after
            return after.visible - 1

    def commit(self, parent: TableName, names: Sequence[StreamName]) -> int | list[StreamError]:
        """Show the rows of streams, of all or of none.

        Returns:
            The commit's time in microseconds since the epoch, or what is wrong with the streams.
        """
        state = self._state
        with state.lock:
            table = self._table(parent)
            for name in names:
                if name.table != parent:
                    raise Refusal(
                        Code.INVALID_ARGUMENT, f"Stream {name} is not of the table {parent}."
                    )
            errors = [error for name in names if (error := self._commit_error(name))]
            if errors:
                return errors
            now = state.clock()
            before = [state.streams[text] for text in dict.fromkeys(map(str, names))]
            after = [streams.committed(stream, now) for stream in before]
            with state.store.transaction():
                for old, new in zip(before, after, strict=True):
                    self._show(table, old, new)
                    state.save_stream(new)
            state.streams |= {stream.name: stream for stream in after}
            return now

    def _append_default(self, name: StreamName, offset: int | None, rows: Rows) -> None:
        if offset is not None:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "Offset must not be set when appending to the default stream.",
                entity=str(name),
            )
        state = self._state
        table = self._table(name.table)
        matched = _match(rows, table, name)
        with state.store.transaction():
            if matched.change_types is None:
                state.store.insert(table.name, self._filled(matched, table))
            else:
                changes.apply(state.store, table, matched, self._filled(matched, table), str(name))

    def _append(self, name: StreamName, offset: int | None, rows: Rows) -> int:
        state = self._state
        table = self._table(name.table)
        before = self._stream(name)
        # The offset goes first: a retry of rows that are in must learn that, whatever they hold.
        after = streams.appended(before, offset, rows.batch.num_rows)
        matched = _match(rows, table, name)
        if matched.change_types is not None:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "Change data capture (_CHANGE_TYPE) needs the default stream.",
                entity=str(name),
            )
        filled = self._filled(matched, table)
        with state.store.transaction():
            if after.kind is Kind.COMMITTED:
                state.store.insert(table.name, filled)
            else:
                state.store.stage(after.name, before.rows, filled)
            state.advance(after)
        state.streams[after.name] = after
        return before.rows

    def _filled(self, matched: Matched, table: Table) -> pa.Table:
        if not matched.filled:
            return pa.Table.from_batches([matched.rows])
        filled = {name: dialect.expression(sql) for name, sql in matched.filled.items()}
        return self._state.store.fill(matched.rows, filled, table.schema)

    def _show(self, table: Table, before: Stream, after: Stream) -> None:
        store = self._state.store
        for rows in store.staged(before.name, before.visible, after.visible):
            store.insert(table.name, conform_rows(rows, table.schema))
        if after.visible == after.rows:
            store.unstage(before.name)

    def _commit_error(self, name: StreamName) -> StreamError | None:
        stream = self._state.streams.get(str(name))
        if stream is None:
            text = "The stream does not exist."
            return StreamError(StorageCode.STREAM_NOT_FOUND, str(name), text)
        error = streams.commit_error(stream)
        return StreamError(error[0], stream.name, error[1]) if error else None

    def _save(self, stream: Stream) -> None:
        with self._state.store.transaction():
            self._state.save_stream(stream)
        self._state.streams[stream.name] = stream

    def _table(self, name: TableName) -> Table:
        try:
            return self._catalog.table(name)
        except Refusal as error:
            raise Refusal(error.code, str(error), storage=error.storage, entity=str(name)) from None

    def _stream(self, name: StreamName) -> Stream:
        stream = self._state.streams.get(str(name))
        if stream is None:
            raise Refusal(
                Code.NOT_FOUND,
                "Requested entity was not found.",
                storage=StorageCode.STREAM_NOT_FOUND,
                entity=str(name),
            )
        return stream


def _match(rows: Rows, table: Table, name: StreamName) -> Matched:
    return match(rows.batch, table.schema, rows.defaults, rows.format, str(name))


def _not_default(method: str, name: StreamName) -> Refusal:
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"{method} is not supported on the '_default' stream.",
        storage=StorageCode.INVALID_STREAM_TYPE,
        entity=str(name),
    )
