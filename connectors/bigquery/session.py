"""What a process shares of a BigQuery server: the channel, schemas of tables, open connections."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery.connection import Connection
from connectors.bigquery.forms import Form
from connectors.bigquery.limits import STREAMS_MAX
from connectors.bigquery.table_types import arrow_schema
from connectors.clients import Endpoint, RawStub, bigquery_storage_endpoint, open_channel
from connectors.table_name import TableName

__all__ = ["AT_START", "OUTAGE", "Session", "session"]

WRITE_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
CALL_S = 60.0
NEW_S = 120.0
"""How long the Storage API may not know a table that was made by REST."""
OUTAGE = retry.Backoff(patience_s=300.0)
"""How long a server may be away before a step fails; the runner then tries the bundle again."""
AT_START = retry.Backoff(patience_s=5.0)
"""The same before anything has begun: a wrong address should be told soon."""


_sessions: dict[Endpoint, Session] = {}
_sessions_lock = threading.Lock()


def session() -> Session:
    """Return the session of this process with the server that the environment names."""
    endpoint = bigquery_storage_endpoint()
    with _sessions_lock:
        if endpoint not in _sessions:
            _sessions[endpoint] = Session(endpoint)
        return _sessions[endpoint]


class Session:
    """One server, for all threads of this process.

    A connection costs a round trip and two threads to open, and BigQuery counts them. So they
    outlive bundles: who needs one takes it out, and gives it back when nothing is under way.

    Args:
        endpoint: of the Storage API.
        streams_max: connections that are kept although nobody uses them.

    Attributes:
        channel: to the server.
    """

    def __init__(self, endpoint: Endpoint, streams_max: int = STREAMS_MAX) -> None:
        self.endpoint = endpoint
        self._streams_max = streams_max
        self._lock = threading.Lock()
        self.channel = open_channel(endpoint)
        self._schemas: dict[TableName, pa.Schema] = {}
        self._made_s: dict[TableName, float] = {}
        self._idle: OrderedDict[int, Connection] = OrderedDict()

    def subject(self, table: TableName) -> retry.Subject:
        """Return what a call about a table is about, for the text of its errors."""
        name = f"{table.project}:{table.dataset}.{table.table}"
        return retry.Subject(
            "table", str(table), f"Create it: bq mk --table {name} COLUMNS",
            self.endpoint.advice, "roles/bigquery.dataEditor", "BIGQUERY_STORAGE_EMULATOR_HOST",
        )  # fmt: skip

    def schema(self, table: TableName, outage: retry.Backoff = OUTAGE) -> pa.Schema:
        """Return the schema of a table as Arrow has it; asked for once.

        Args:
            table: of which.
            outage: how long the server may be away.

        Raises:
            ConfigError: there is no such table, or it has a column of a type that is not known.
            HeadraceError: the server did not tell.
        """
        with self._lock:
            known = self._schemas.get(table)
        return known if known is not None else self.fetch_schema(table, outage)

    def fetch_schema(self, table: TableName, outage: retry.Backoff = OUTAGE) -> pa.Schema:
        """Ask for the schema of a table anew; it may have got columns."""
        request = api.GetWriteStreamRequest.pb()(
            name=table.default_stream, view=api.WriteStreamView.FULL.value
        )
        routing = ("name", table.default_stream)
        answer = self.call("GetWriteStream", request, routing, self.subject(table), outage=outage)
        found = api.WriteStream.pb().FromString(answer)
        return self.learn(table, found.table_schema)

    def made(self, table: TableName, schema: pa.Schema) -> None:
        """Remember a table that was just made: for a while the service may not know it."""
        with self._lock:
            self._schemas[table] = schema
            self._made_s[table] = time.monotonic()

    def seen(self, table: TableName) -> None:
        """Note that the service knows a table: from now on NOT_FOUND means that it is gone."""
        if table in self._made_s:
            with self._lock:
                self._made_s.pop(table, None)

    def is_new(self, table: TableName) -> bool:
        """Tell whether a table was made so lately that NOT_FOUND may pass."""
        with self._lock:
            made_s = self._made_s.get(table)
        return made_s is not None and time.monotonic() - made_s < NEW_S

    def learn(self, table: TableName, told: Any) -> pa.Schema:
        """Remember the schema of a table, a ``TableSchema`` that the server has told."""
        schema = arrow_schema(told)
        with self._lock:
            self._schemas[table] = schema
        return schema

    def forget(self, table: TableName) -> None:
        """Ask for the schema of a table again when it is next needed."""
        with self._lock:
            self._schemas.pop(table, None)

    def call(
        self,
        method: str,
        request: Any,
        routing: tuple[str, str],
        subject: retry.Subject,
        *,
        outage: retry.Backoff = OUTAGE,
        service: str = WRITE_SERVICE,
    ) -> bytes:
        """Call a method of the service; transient errors are retried.

        Raises:
            HeadraceError: the error, translated.
        """
        stub = RawStub(self.channel, service, routing)
        encoded = request.SerializeToString()
        return retry.call(lambda: stub.call(method, encoded, CALL_S), subject, outage)

    def take(self, stream: str, form: Form) -> Connection:
        """Return a connection that nobody else uses, an open one if there is one."""
        with self._lock:
            for key, connection in reversed(self._idle.items()):
                if connection.stream == stream and connection.form == form:
                    del self._idle[key]
                    if connection.is_idle_and_open:
                        return connection
                    connection.close()
                    break
        return Connection(self.channel, stream, form)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection, on which nothing is under way, for whoever needs it next."""
        if connection.is_broken:
            return
        with self._lock:
            self._idle[id(connection)] = connection
            surplus = []
            while len(self._idle) > self._streams_max:
                surplus.append(self._idle.popitem(last=False)[1])
        for oldest in surplus:
            oldest.close()

    def close(self) -> None:
        """Close all connections and the channel; ``session`` then makes a new one."""
        with _sessions_lock:
            if _sessions.get(self.endpoint) is self:
                del _sessions[self.endpoint]
        with self._lock:
            idle = list(self._idle.values())
            self._idle.clear()
        for connection in idle:
            connection.close()
        self.channel.close()
