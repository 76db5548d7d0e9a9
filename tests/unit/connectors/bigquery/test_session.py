"""What a process shares: schemas and connections."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.rows import parts
from connectors.bigquery.session import Session, session
from connectors.clients import bigquery_storage_endpoint
from connectors.table_name import TableName
from tests.fake_bigquery import TABLE, FakeTable

NAME = TableName.parse(TABLE)
SCHEMA = pa.schema([("id", pa.int64())])
FORM = ArrowForm(SCHEMA)


def test_one_session_for_each_server(
    bigquery_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps of a process share connections; another server has a session of its own."""
    assert session() is bigquery_session
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", "127.0.0.1:1")
    assert session() is not bigquery_session


def test_schema_is_asked_for_once(bigquery_session: Session, table: FakeTable) -> None:
    """Then it is remembered, until it is asked for anew or forgotten."""
    first = bigquery_session.schema(NAME)
    table.columns = (("other", "DATE", "NULLABLE"),)
    assert bigquery_session.schema(NAME) is first
    assert bigquery_session.fetch_schema(NAME).names == ["other"]
    table.columns = (("third", "DATE", "NULLABLE"),)
    bigquery_session.forget(NAME)
    assert bigquery_session.schema(NAME).names == ["third"]


def test_connection_is_used_by_one_at_a_time(bigquery_session: Session) -> None:
    """Who takes one has it alone; given back, the next one gets it."""
    stream = NAME.default_stream
    one, two = (bigquery_session.take(stream, FORM) for _ in range(2))
    assert one is not two
    bigquery_session.give_back(one)
    assert bigquery_session.take(stream, FORM) is one
    other = ArrowForm(pa.schema([("id", pa.int32())]))
    bigquery_session.give_back(two)
    assert bigquery_session.take(stream, other) is not two


def test_connection_that_has_ended_is_not_given_out(
    bigquery_session: Session, table: FakeTable
) -> None:
    """A server closes idle connections; nobody shall notice."""
    stream = NAME.default_stream
    one = bigquery_session.take(stream, FORM)
    bigquery_session.give_back(one)
    one.close()
    two = bigquery_session.take(stream, FORM)
    (part,) = parts(pa.RecordBatch.from_pydict({"id": [1]}, SCHEMA), np.arange(1), FORM)
    two.send(part)
    assert two.receive(10).HasField("append_result")
    assert len(table.visible()) == 1


def test_idle_connections_are_bounded(bigquery_session: Session) -> None:
    """The one that was idle longest is closed."""
    opened = Session(bigquery_storage_endpoint(), streams_max=2)
    connections = [opened.take(f"{NAME.path}/streams/s{n}", FORM) for n in range(4)]
    for connection in connections:
        opened.give_back(connection)
    assert [connection.is_broken for connection in connections] == [True, True, False, False]
    opened.close()
    assert all(connection.is_broken for connection in connections)


def test_new_table_is_known_at_once(bigquery_session: Session) -> None:
    """Who has made a table need not ask for its schema, which the server may not know yet."""
    name = TableName.parse("my-project.data.made")
    assert not bigquery_session.is_new(name)
    bigquery_session.made(name, SCHEMA)
    assert bigquery_session.is_new(name)
    assert bigquery_session.schema(name) is SCHEMA
    bigquery_session.seen(name)
    assert not bigquery_session.is_new(name)
