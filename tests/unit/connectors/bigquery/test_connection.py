"""One AppendRows call."""

from __future__ import annotations

import threading

import grpc
import numpy as np
import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery.connection import Connection, encode_request
from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.rows import Part, parts
from connectors.bigquery.session import Session
from connectors.table_name import TableName
from tests.fake_bigquery import TABLE, FakeTable, HangupError, error
from tests.processes import wait_until
from transforms.errors import TransientError

STREAM = TableName.parse(TABLE).default_stream
FORM = ArrowForm(pa.schema([("id", pa.int64())]))


def part(*ids: int) -> Part:
    rows = pa.RecordBatch.from_pydict({"id": list(ids)}, FORM.schema)
    (made,) = parts(rows, np.arange(len(rows)), FORM)
    return made


@pytest.fixture
def connection(bigquery_session: Session) -> Connection:
    return bigquery_session.take(STREAM, FORM)


def test_request_says_what_the_server_does_not_know_yet() -> None:
    """Stream, schema and our name until rows were taken; then rows alone."""
    first = api.AppendRowsRequest.deserialize(encode_request(part(1), stream=STREAM, offset=0))
    assert first.write_stream == STREAM
    assert first.trace_id == "headrace"
    assert first.arrow_rows.writer_schema.serialized_schema
    assert first.offset == 0
    later = api.AppendRowsRequest.deserialize(encode_request(part(1)))
    assert not later.write_stream
    assert not later.arrow_rows.writer_schema.serialized_schema
    assert later.offset is None
    assert later.arrow_rows.rows == first.arrow_rows.rows


def test_answers_come_in_order(table: FakeTable, connection: Connection) -> None:
    """The first answer is to the first request."""
    table.before = lambda _name, _offset, rows: (
        error(grpc.StatusCode.ABORTED, str(rows["id"][0])) if rows["id"][0].as_py() % 2 else None
    )
    for number in range(10):
        connection.send(part(number))
    answers = [connection.receive(10) for _ in range(10)]
    assert [answer.error.message for answer in answers] == [
        str(number) if number % 2 else "" for number in range(10)
    ]


def test_schema_goes_with_every_request_until_rows_were_taken(
    table: FakeTable, connection: Connection
) -> None:
    """A server may have forgotten what came with a request that it refused."""
    table.before = lambda *_: error(grpc.StatusCode.ABORTED, "later")
    connection.send(part(1))
    assert connection.receive(10).error.code
    table.before = lambda *_: None
    for number in range(3):
        connection.send(part(number))
        assert connection.receive(10).HasField("append_result")
    assert table.ids() == [0, 1, 2]


def test_end_of_the_call_is_an_error(table: FakeTable, connection: Connection) -> None:
    """What was not answered may be in or not; the caller is told the server's status."""

    def hang_up(*_: object) -> None:
        raise HangupError

    table.after = hang_up
    connection.send(part(1))
    with pytest.raises(grpc.RpcError):
        connection.receive(10)
    assert connection.is_broken
    assert not connection.is_idle_and_open


def test_silence_is_an_error(connection: Connection) -> None:
    """Nobody waits for ever."""
    with pytest.raises(TransientError, match=r"no answer.*0\.01 s"):
        connection.receive(0.01)
    assert connection.is_broken


def test_closing_twice_is_well(connection: Connection) -> None:
    """Whoever cleans up need not know who did before."""
    connection.close()
    connection.close()
    assert not connection.is_idle_and_open


def test_call_that_has_ended_leaves_no_thread(table: FakeTable, connection: Connection) -> None:
    """Also if nobody closes the connection: neither ours nor the one by which gRPC sends."""
    sending = [thread for thread in threading.enumerate() if "(_run)" in thread.name]
    assert sending

    def hang_up(*_: object) -> None:
        raise HangupError

    table.before = hang_up
    connection.send(part(1))
    wait_until(lambda: not any(thread.is_alive() for thread in sending), 10)
    wait_until(
        lambda: "bigquery-answers" not in [thread.name for thread in threading.enumerate()], 10
    )
    assert not connection.is_idle_and_open
