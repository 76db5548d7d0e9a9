"""Read sessions: the rows of a table at one moment, split into streams."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.bigquery_local import dialect, limits
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.projection import project_rows, selected
from connectors.bigquery_local.reading import Reading
from connectors.bigquery_local.state import State, new_uid

__all__ = ["Session", "Sessions"]


@dataclass(frozen=True)
class Session:
    """The rows that a client reads.

    Args:
        name: of the session.
        rows: as they were when it was made, in the types of the Storage Read API.
        streams: name -> the first row and the row after the last.
        expires_us: microseconds since the epoch.
    """

    name: str
    rows: pa.Table
    streams: dict[str, tuple[int, int]]
    expires_us: int


class Sessions:
    """The open sessions; they are in memory and do not outlive the server.

    Args:
        state: of the server.
        catalog: of its tables.
        reading: of its rows.
    """

    def __init__(self, state: State, catalog: Catalog, reading: Reading) -> None:
        self._state, self._catalog, self._reading = state, catalog, reading
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def create(
        self, parent: str, name: TableName, fields: Sequence[str], where: str, streams: int
    ) -> Session:
        """Open a session on the rows that a table has now.

        Args:
            parent: ``projects/P``.
            name: of the table.
            fields: to read, ``struct.field`` for inner ones; nothing is all.
            where: condition in BigQuery's SQL; empty is none.
            streams: at most; 0 leaves it to the server.

        Raises:
            Refusal: there is no such table or field, or the condition can't be read.
        """
        table = self._catalog.table(name)
        schema = selected(table.schema, fields)
        condition = dialect.condition(where) if where else ""
        found = self._reading.table(name, schema, condition) if schema else None
        rows = project_rows(found.table, schema) if found else pa.table({})
        session = f"{parent}/locations/us/sessions/{new_uid()}"
        count = min(max(streams, 1), limits.READ_STREAMS_MAX, max(rows.num_rows, 1))
        edges = [rows.num_rows * part // count for part in range(count + 1)]
        spans = {
            f"{session}/streams/{part}": (edges[part], edges[part + 1]) for part in range(count)
        }
        now = self._state.clock()
        opened = Session(session, rows, spans, now + limits.READ_SESSION_S * 1_000_000)
        with self._lock:
            self._open = {key: old for key, old in self._open.items() if old.expires_us > now}
            self._open[session] = opened
        return opened

    def rows(self, stream: str, offset: int) -> tuple[pa.Table, int]:
        """Return the rows of a stream from an offset on, and how many the stream has in all.

        Raises:
            Refusal: there is no such stream, or it ends before the offset.
        """
        with self._lock:
            session = self._open.get(stream.rpartition("/streams/")[0])
        span = session.streams.get(stream) if session else None
        if session is None or span is None or session.expires_us <= self._state.clock():
            raise Refusal(Code.NOT_FOUND, "Requested entity was not found.", entity=stream)
        first, end = span
        if not 0 <= offset <= end - first:
            raise Refusal(
                Code.OUT_OF_RANGE,
                f"The offset {offset} is beyond the end of the stream, which has {end - first} "
                "rows.",
                entity=stream,
            )
        return session.rows.slice(first + offset, end - first - offset), end - first
