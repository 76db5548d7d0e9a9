"""Rows at known offsets: each once, whatever attempt failed wherever before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pytest

from connectors import retry
from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.line import Line
from connectors.bigquery.offset_stream import OffsetStream, Place
from connectors.bigquery.rows import Part, parts
from connectors.bigquery.session import Session
from connectors.table_name import TableName
from tests.fake_bigquery import TABLE, FakeTable, HangupError, error, row_errors
from transforms.errors import HeadraceError, TransientError

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
FORM = ArrowForm(SCHEMA)
FAST = retry.Backoff(first_s=0.001, limit_s=0.01, patience_s=5.0)
NAME = TableName.parse(TABLE)


def requests(first: int, count: int, each: int = 2) -> list[Part]:
    """Return parts of ``each`` rows with consecutive ids."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    text = pa.array(["x"] * count)
    rows = pa.RecordBatch.from_arrays([pa.array(numbers), text], schema=SCHEMA)
    index = np.arange(count, dtype=np.int64)
    return [
        part
        for start in range(0, count, each)
        for part in parts(rows.slice(start, each), index[start : start + each], FORM)
    ]


class Attempts:
    """A bundle that is tried: what it commits is the place and the flushes, as Beam would."""

    def __init__(self, session: Session, table: FakeTable) -> None:
        self._session, self._table = session, table
        self.place: Place | None = None

    def fail(self, rows: list[Part]) -> None:
        """Append, and forget it."""
        self._stream().append(rows)

    def commit(self, rows: list[Part]) -> dict[int, Any]:
        """Append, keep the place, and flush."""
        stream = self._stream()
        stream.append(rows)
        self.place = stream.place
        for name, last in stream.ends:
            self._table.streams[name].visible = max(self._table.streams[name].visible, last + 1)
        return stream.refused

    def _stream(self) -> OffsetStream:
        return OffsetStream(Line(self._session, NAME, FAST), FORM, self.place)


@pytest.fixture
def attempts(bigquery_session: Session, table: FakeTable) -> Attempts:
    return Attempts(bigquery_session, table)


def test_rows_follow_each_other_in_one_stream(table: FakeTable, attempts: Attempts) -> None:
    """Bundle after bundle goes on where the last one has ended, on one connection."""
    for first in range(0, 50, 10):
        assert attempts.commit(requests(first, 10)) == {}
    assert [row["id"] for row in table.visible()] == list(range(50))
    assert len(table.streams) == 2
    assert table.connections == 1


def test_nothing_is_visible_before_the_flush(table: FakeTable, attempts: Attempts) -> None:
    """An attempt that failed after all its appends has shown nobody a row."""
    attempts.fail(requests(0, 10))
    assert table.visible() == []


@pytest.mark.parametrize("failures", [1, 3])
def test_failed_attempt_is_left_behind(table: FakeTable, attempts: Attempts, failures: int) -> None:
    """Rows of an attempt that failed are never seen, even if the next one has others."""
    attempts.commit(requests(0, 4))
    for failure in range(failures):
        attempts.fail(requests(100 * (failure + 1), 7))
    attempts.commit(requests(4, 10))
    attempts.commit(requests(14, 2))
    assert table.ids() == list(range(16))


def test_lost_answer_on_our_stream_is_no_repetition(table: FakeTable, attempts: Attempts) -> None:
    """Appended, but not answered: what is sent again is there already, and that is well."""
    table.after = hang_up_at({2, 5})
    attempts.commit(requests(0, 20))
    assert [row["id"] for row in table.visible()] == list(range(20))
    assert len(table.streams) == 2


def test_lost_answer_to_the_first_append_is_not_trusted(
    table: FakeTable, attempts: Attempts
) -> None:
    """On a stream from the state it can't be told whose rows are there: a new one is begun."""
    attempts.commit(requests(0, 4))
    attempts.fail(requests(500, 2))  # other rows of an attempt before
    table.before = hang_up_at({0})
    attempts.commit(requests(4, 4))
    assert table.ids() == list(range(8))
    assert len(table.streams) == 3


def test_error_that_hides_a_success_is_no_repetition(table: FakeTable, attempts: Attempts) -> None:
    """INTERNAL may come although the rows are in; the requests behind it were taken then too."""
    calls = iter(range(1_000))

    def lie(_name: str, _offset: int | None, _rows: pa.RecordBatch) -> Any:
        return error(grpc.StatusCode.INTERNAL, "who knows") if next(calls) == 3 else None

    table.after = lie
    attempts.commit(requests(0, 20))
    assert [row["id"] for row in table.visible()] == list(range(20))


def test_bad_rows_move_the_offsets_of_the_rest(table: FakeTable, attempts: Attempts) -> None:
    """The good rows of a request and all behind it close the gap that bad rows leave."""

    def refuse(_name: str, _offset: int | None, rows: pa.RecordBatch) -> Any:
        bad = [n for n, id_ in enumerate(rows["id"].to_pylist()) if id_ in (0, 5, 6, 7, 19)]
        return row_errors({n: f"bad {rows['id'][n]}" for n in bad}) if bad else None

    table.before = refuse
    refused = attempts.commit(requests(0, 20, each=4))
    assert {row: text for row, (_, text) in refused.items()} == {
        n: f"bad {n}" for n in (0, 5, 6, 7, 19)
    }
    assert [row["id"] for row in table.visible()] == [
        n for n in range(20) if n not in (0, 5, 6, 7, 19)
    ]


def test_request_refused_without_reasons_is_halved(table: FakeTable, attempts: Attempts) -> None:
    """The bad row is found although nobody names it, and offsets stay without gaps."""

    def refuse(_name: str, _offset: int | None, rows: pa.RecordBatch) -> Any:
        bad = 9 in rows["id"].to_pylist()
        return error(grpc.StatusCode.INVALID_ARGUMENT, "no") if bad else None

    table.before = refuse
    assert attempts.commit(requests(0, 30, each=10)) == {9: ("refused_by_bigquery", "no")}
    assert table.ids() == [n for n in range(30) if n != 9]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION], ids=lambda c: c.name
)
def test_stream_that_is_gone_is_replaced(
    table: FakeTable, attempts: Attempts, code: grpc.StatusCode
) -> None:
    """BigQuery removes streams that were idle for days; the next rows go to a new one."""
    attempts.commit(requests(0, 2))
    old = attempts.place
    assert old is not None

    def gone(name: str, _offset: int | None, _rows: pa.RecordBatch) -> Any:
        return error(code, "gone") if name == old.stream else None

    table.before = gone
    attempts.commit(requests(2, 2))
    assert table.ids() == [0, 1, 2, 3]
    assert attempts.place is not None
    assert attempts.place.stream != old.stream


def test_streams_without_end_are_an_error(table: FakeTable, attempts: Attempts) -> None:
    """A server that takes rows on no stream is not asked for streams for ever."""
    table.before = lambda *_: error(grpc.StatusCode.OUT_OF_RANGE, "never")
    with pytest.raises(TransientError, match="streams in a row"):
        attempts.commit(requests(0, 2))
    assert len(table.streams) < 10


def hang_up_at(calls: set[int]) -> Callable[..., None]:
    """Return a hook that ends the connection at some of its calls."""
    numbers = iter(range(10**9))

    def hang_up(*_: Any) -> None:
        if next(numbers) in calls:
            raise HangupError

    return hang_up


@pytest.mark.parametrize("seed", range(40))
def test_any_faults_leave_each_row_once(table: FakeTable, attempts: Attempts, seed: int) -> None:
    """Random faults before and after appends, and attempts that fail: each row is seen once."""
    chance = random.Random(seed)

    def fault(*_: Any) -> Any:
        drawn = chance.random()
        if drawn < 0.08:
            raise HangupError
        return error(chance.choice(TRANSIENT), "later") if drawn < 0.16 else None

    table.before = table.after = fault
    row = 0
    while row < 200:
        count = chance.randrange(1, 30)
        each = chance.randrange(1, 8)
        if chance.random() < 0.3:
            attempts.fail(requests(1_000 + row, chance.randrange(1, 30), each))
        attempts.commit(requests(row, count, each))
        row += count
    assert table.ids() == list(range(row)), f"seed {seed}"


TRANSIENT = [code for code, kind in retry.KINDS.items() if kind is TransientError]


def test_zombie_can_not_repeat(table: FakeTable, attempts: Attempts) -> None:
    """An old worker that still appends at the committed offset changes nothing that is seen."""
    attempts.commit(requests(0, 4))
    place = attempts.place
    assert place is not None
    line = Line(attempts._session, NAME, FAST)
    zombie = OffsetStream(line, FORM, place)
    attempts.commit(requests(4, 4))
    zombie.append(requests(4, 4))
    attempts.commit(requests(8, 4))
    assert table.ids() == list(range(12))


def test_error_leaves_the_place_alone(table: FakeTable, attempts: Attempts) -> None:
    """What fails for good raises, and the committed place is still the one to go on from."""
    attempts.commit(requests(0, 2))
    table.before = lambda *_: error(grpc.StatusCode.PERMISSION_DENIED, "no")
    with pytest.raises(HeadraceError):
        attempts.commit(requests(2, 2))
    table.before = lambda *_: None
    attempts.commit(requests(2, 2))
    assert table.ids() == [0, 1, 2, 3]
