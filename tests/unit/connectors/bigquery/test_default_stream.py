"""Rows to the default stream: each at least once, bad ones apart, through every kind of fault."""

from __future__ import annotations

from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery import default_stream, limits, rows
from connectors.bigquery.default_stream import DefaultStream
from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.line import Line
from connectors.bigquery.session import Session
from connectors.table_name import TableName
from tests.fake_bigquery import TABLE, FakeTable, HangupError, error, row_errors
from transforms.errors import ConfigError, PermanentError, TransientError

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
FORM = ArrowForm(SCHEMA)
FAST = retry.Backoff(first_s=0.001, limit_s=0.01, patience_s=5.0)


def batch(first: int, count: int, text: str = "x") -> pa.RecordBatch:
    numbers = list(range(first, first + count))
    return pa.RecordBatch.from_arrays([pa.array(numbers), pa.array([text] * count)], schema=SCHEMA)


@pytest.fixture
def stream(bigquery_session: Session) -> DefaultStream:
    return DefaultStream(Line(bigquery_session, TableName.parse(TABLE), FAST), FORM)


def once(answer: Any) -> Any:
    """Return a hook that answers so once, and then lets things go their way."""
    left = iter([answer])
    return lambda *_: next(left, None)


def write(stream: DefaultStream, *batches: pa.RecordBatch) -> list[dict[int, Any]]:
    tickets = [stream.send(rows) for rows in batches]
    for ticket in tickets:
        stream.settle(ticket)
    stream.close()
    return [ticket.refused for ticket in tickets]


def test_rows_are_appended_in_one_connection(table: FakeTable, stream: DefaultStream) -> None:
    """Many batches go over one connection; the first request alone names stream and schema."""
    assert write(stream, *(batch(10 * n, 10) for n in range(20))) == [{}] * 20
    assert table.ids() == list(range(200))
    assert table.connections == 1


def test_requests_are_under_way_together(table: FakeTable, stream: DefaultStream) -> None:
    """The second request is sent before the first one is answered."""
    seen = []

    def wait(_name: str, _offset: int | None, rows: pa.RecordBatch) -> None:
        seen.append(len(rows))

    table.before = wait
    tickets = [stream.send(batch(n, 1)) for n in range(10)]
    assert sum(ticket.requests for ticket in tickets) == 10
    for ticket in tickets:
        stream.settle(ticket)
    assert seen == [1] * 10


def test_connection_is_used_again(table: FakeTable, bigquery_session: Session) -> None:
    """Bundle after bundle uses the same connection."""
    for bundle in range(5):
        line = Line(bigquery_session, TableName.parse(TABLE), FAST)
        write(DefaultStream(line, FORM), batch(bundle, 1))
    assert table.ids() == [0, 1, 2, 3, 4]
    assert table.connections == 1


def test_bad_rows_are_named_and_good_ones_appended_once(
    table: FakeTable, stream: DefaultStream
) -> None:
    """Of a request with bad rows nothing is in; the good ones follow, the bad ones are named."""
    table.before = once(row_errors({1: "id 101 is cursed", 3: "so is 103"}))
    (refused,) = write(stream, batch(100, 5))
    assert refused == {
        1: ("refused_by_bigquery", "id 101 is cursed"),
        3: ("refused_by_bigquery", "so is 103"),
    }
    assert table.ids() == [100, 102, 104]


def test_bad_rows_are_found_when_nobody_names_them(table: FakeTable, stream: DefaultStream) -> None:
    """A request that is refused as a whole is halved until the bad rows stand alone."""

    def refuse(_name: str, _offset: int | None, rows: pa.RecordBatch) -> Any:
        bad = {7, 30} & set(rows["id"].to_pylist())
        return error(grpc.StatusCode.INVALID_ARGUMENT, f"bad {sorted(bad)}") if bad else None

    table.before = refuse
    (refused,) = write(stream, batch(0, 40))
    assert {row: text for row, (_, text) in refused.items()} == {7: "bad [7]", 30: "bad [30]"}
    assert table.ids() == [n for n in range(40) if n not in (7, 30)]


def test_table_that_takes_nothing_is_an_error(table: FakeTable, stream: DefaultStream) -> None:
    """Where every row is refused the rows are not the reason: it stops, and few were tried."""
    table.before = lambda *_: error(grpc.StatusCode.INVALID_ARGUMENT, "wrong schema")
    with pytest.raises(PermanentError, match=r"takes no row at all.*wrong schema"):
        write(stream, batch(0, 1_000))
    assert len(table.requests) < 1_000


@pytest.mark.parametrize(
    "code",
    [code for code, kind in retry.KINDS.items() if kind is TransientError],
    ids=lambda code: code.name,
)
def test_transient_answer_is_tried_again(
    table: FakeTable, stream: DefaultStream, code: grpc.StatusCode
) -> None:
    """What may pass is tried again, and nothing is lost or repeated by it."""
    table.before = once(error(code, "later"))
    assert write(stream, batch(0, 3), batch(3, 3)) == [{}, {}]
    assert table.ids() == list(range(6))


def test_dropped_connection_is_opened_again(table: FakeTable, stream: DefaultStream) -> None:
    """What was not answered is sent again: every row is in, those in doubt perhaps twice."""
    calls = iter(range(100))

    def drop(*_: Any) -> None:
        if next(calls) == 3:
            raise HangupError

    table.after = drop
    assert write(stream, *(batch(n, 1) for n in range(10))) == [{}] * 10
    assert sorted(set(table.ids())) == list(range(10))
    assert table.connections == 2


def test_outage_ends_with_the_patience(table: FakeTable, bigquery_session: Session) -> None:
    """A server that stays away is an error, which says what is not answered and by whom."""

    def drop(*_: Any) -> None:
        raise HangupError

    table.before = drop
    line = Line(
        bigquery_session, TableName.parse(TABLE), retry.Backoff(0.001, 0.01, patience_s=0.1)
    )
    with pytest.raises(TransientError, match=r"project-1\.data\.rows.*dropped.*bigquery_local"):
        write(DefaultStream(line, FORM), batch(0, 1))


def test_silent_server_is_given_up(
    table: FakeTable, bigquery_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come in time counts as a connection that broke."""
    monkeypatch.setattr(default_stream, "ANSWER_S", 0.05)
    monkeypatch.setattr(bigquery_session, "take", lambda *_: Silent())
    line = Line(
        bigquery_session, TableName.parse(TABLE), retry.Backoff(0.001, 0.01, patience_s=0.01)
    )
    with pytest.raises(TransientError, match="no answer"):
        write(DefaultStream(line, FORM), batch(0, 1))


class Silent:
    """A connection to nobody."""

    stream, form = TableName.parse(TABLE).default_stream, FORM

    def send(self, part: rows.Part) -> None:
        """Say nothing."""

    def receive(self, timeout_s: float) -> Any:
        """Wait in vain."""
        raise TransientError(f"no answer for {timeout_s:g} s")

    def close(self) -> None:
        """Nothing is open."""


def test_missing_table_says_what_to_do(table: FakeTable, stream: DefaultStream) -> None:
    """A table that is gone stops the step at once, with the way to make it."""
    table.before = lambda *_: error(grpc.StatusCode.NOT_FOUND, "no such table")
    with pytest.raises(ConfigError, match=r"table='project-1\.data\.rows'.*Create"):
        write(stream, batch(0, 1))


def test_denied_access_names_the_role(table: FakeTable, stream: DefaultStream) -> None:
    """Who may not write is told which role it takes."""
    table.before = lambda *_: error(grpc.StatusCode.PERMISSION_DENIED, "no")
    with pytest.raises(ConfigError, match=r"roles/bigquery\.dataEditor"):
        write(stream, batch(0, 1))


def test_altered_table_is_looked_at_again(
    table: FakeTable, stream: DefaultStream, bigquery_session: Session
) -> None:
    """Columns that the table lacks make the step fail for now, and ask for the schema anew."""
    name = TableName.parse(TABLE)
    known = bigquery_session.schema(name)
    detail = api.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS
    table.before = lambda *_: error(grpc.StatusCode.INVALID_ARGUMENT, "extra", detail)
    with pytest.raises(TransientError, match="read anew"):
        write(stream, batch(0, 1))
    assert bigquery_session.schema(name) is not known


def test_updated_schema_is_learnt(
    table: FakeTable, stream: DefaultStream, bigquery_session: Session
) -> None:
    """A schema that comes with an answer is the one that the next rows are made for."""

    def tell(_name: str, _offset: int | None, _rows: pa.RecordBatch) -> Any:
        table.columns = (*table.columns, ("more", "DATE", "NULLABLE"))
        answer = api.AppendRowsResponse.pb()()
        answer.append_result.SetInParent()
        answer.updated_schema.CopyFrom(table.schema())
        return answer

    table.after = tell
    write(stream, batch(0, 1))
    assert bigquery_session.schema(TableName.parse(TABLE)).names == ["id", "text", "more"]


def test_large_rows_are_cut_into_requests(
    table: FakeTable, stream: DefaultStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is above the limit, and a row that can't be in any is refused."""
    monkeypatch.setattr(rows.parts, "__defaults__", (10_000,))
    small, large = batch(0, 100, "x" * 1_000), batch(100, 1, "x" * 20_000)
    refused = write(stream, small, large)
    assert refused[0] == {}
    assert refused[1][0][0] == "row_too_large"
    assert table.ids() == list(range(100))
    assert len(table.requests) >= 11


def test_bytes_under_way_are_bounded(
    table: FakeTable, stream: DefaultStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before more is sent than may be under way, answers are awaited."""
    monkeypatch.setattr(limits, "IN_FLIGHT_BYTES_MAX", 10_000)
    tickets = [stream.send(batch(n, 1, "x" * 4_000)) for n in range(20)]
    assert sum(ticket.requests for ticket in tickets) <= 2
    for ticket in tickets:
        stream.settle(ticket)
    assert table.ids() == list(range(20))
