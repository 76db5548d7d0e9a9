"""What the server knows, in memory, with the lock that every change takes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.schema_json import fields_from_json, fields_to_json
from connectors.bigquery_local.store import Store
from connectors.bigquery_local.streams import Kind, Stream
from connectors.bigquery_local.tables import Table

__all__ = ["State", "new_uid"]


def _now_us() -> int:
    return time.time_ns() // 1_000


def new_uid() -> str:
    """Return an id that was not used before."""
    return secrets.token_urlsafe(18)


class State:
    """The datasets, tables and streams of one store.

    ``save_*`` write to the store and must be called inside its transaction; the caller puts the
    value into the dictionary when the transaction is through.

    Args:
        store: of rows and records.
        clock: microseconds since the epoch.
    """

    def __init__(self, store: Store, clock: Callable[[], int] = _now_us) -> None:
        self.lock = threading.RLock()
        self.store, self.clock = store, clock
        self.datasets: dict[tuple[str, str], dict[str, Any]] = {}
        for body in store.records("dataset").values():
            reference = body["datasetReference"]
            self.datasets[reference["projectId"], reference["datasetId"]] = body
        tables = map(_table, store.records("table").values())
        self.tables: dict[TableName, Table] = {table.name: table for table in tables}
        streams = map(_stream, store.records("stream").values())
        self.streams: dict[str, Stream] = {stream.name: stream for stream in streams}
        self._catch_up()

    def _catch_up(self) -> None:
        """Bring the streams' records to where the last run came."""
        with self.store.transaction():
            for name, (rows, visible) in self.store.progress().items():
                if name in self.streams:
                    known = self.streams[name]  # a commit may have made all of it visible since
                    stream = replace(
                        known, rows=max(known.rows, rows), visible=max(known.visible, visible)
                    )
                    self.streams[name] = stream
                    self.save_stream(stream)
            self.store.forget_progress()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock and one transaction; if it fails, memory is as it was, too."""
        with self.lock:
            before = dict(self.datasets), dict(self.tables), dict(self.streams)
            try:
                with self.store.transaction():
                    yield
            except BaseException:
                self.datasets, self.tables, self.streams = before
                raise

    def save_table(self, table: Table) -> None:
        """Write a table's record."""
        body = asdict(table) | {"schema": fields_to_json(table.schema)}
        self.store.save("table", str(table.name), body)

    def advance(self, stream: Stream) -> None:
        """Write how far a stream is, after an append or a flush."""
        self.store.advance(stream.name, stream.rows, stream.visible)

    def save_stream(self, stream: Stream) -> None:
        """Write a stream's record."""
        self.store.save("stream", stream.name, asdict(stream) | {"kind": stream.kind.name})


def _table(body: dict[str, Any]) -> Table:
    name = TableName(*body.pop("name"))
    return Table(name=name, schema=fields_from_json(body.pop("schema")), **body)


def _stream(body: dict[str, Any]) -> Stream:
    return Stream(kind=Kind[body.pop("kind")], **body)
