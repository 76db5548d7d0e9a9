"""The streams on a store: what is written together, and what a failure leaves."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.errors import Refusal, StorageCode
from connectors.bigquery_local.matching import Defaults
from connectors.bigquery_local.names import StreamName, TableName, stream_name
from connectors.bigquery_local.state import State
from connectors.bigquery_local.store import Store
from connectors.bigquery_local.streams import Kind
from connectors.bigquery_local.writes import Rows, Writes

T = TableName("p", "d", "t")


class Fixture:
    """A store in memory with one table."""

    def __init__(self) -> None:
        self.store = Store(None, "p")
        self.open()
        self.catalog.create_dataset("p", {"datasetReference": {"datasetId": "d"}})
        field = {"name": "id", "type": "INTEGER", "mode": "REQUIRED"}
        resource = {"tableReference": {"tableId": "t"}, "schema": {"fields": [field]}}
        self.catalog.create_table("p", "d", resource)

    def open(self) -> None:
        """Begin anew with what the store holds, as after a restart."""
        self.state = State(self.store)
        self.catalog = Catalog(self.state)
        self.writes = Writes(self.state, self.catalog)

    def stream(self, kind: Kind) -> StreamName:
        """Make a stream."""
        return stream_name(self.writes.create(T, kind).name)

    def ids(self) -> list[int]:
        """Return what readers see."""
        return [number for (number, *_) in self.rows()]

    def rows(self) -> list[Any]:
        """Return whole rows."""
        with closing(self.store.cursor()) as cursor:
            return list(cursor.execute("SELECT * FROM d.t ORDER BY id").fetchall())


@pytest.fixture
def local() -> Iterator[Fixture]:
    """A store of the test's own."""
    fixture = Fixture()
    yield fixture
    fixture.store.close()


def rows(*numbers: int | None) -> Rows:
    """Return rows of one column."""
    return Rows(
        pa.RecordBatch.from_pydict({"id": pa.array(numbers, pa.int64())}), "arrow", Defaults({})
    )


def test_refused_rows_leave_the_offset(local: Fixture) -> None:
    """Bad rows and a bad offset are told apart: the offset is looked at first."""
    name = local.stream(Kind.COMMITTED)
    assert local.writes.append(name, 0, rows(1)) == 0
    with pytest.raises(Refusal, match="row_errors"):
        local.writes.append(name, 1, rows(2, None))
    with pytest.raises(Refusal, match="within stream"):
        local.writes.append(name, 0, rows(None))
    assert local.writes.append(name, 1, rows(2)) == 1
    assert local.ids() == [1, 2]


def test_restart_knows_every_offset(local: Fixture) -> None:
    """Of appends, flushes and commits, in whatever order they were noted."""
    committed, pending, buffered = (local.stream(kind) for kind in Kind)
    for name in (committed, pending, buffered):
        local.writes.append(name, 0, rows(1))
        local.writes.append(name, 1, rows(2, 3))
    local.writes.flush(buffered, 1)
    local.writes.finalize(pending)
    assert isinstance(local.writes.commit(T, [pending]), int)
    before = dict(local.state.streams)
    for _ in range(2):
        local.open()
        assert local.state.streams == before
    assert local.ids() == [1, 1, 1, 2, 2, 2, 3, 3]
    local.writes.flush(buffered, 2)
    assert local.ids() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_failed_commit_shows_nothing(local: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second stream can't be written, the first is not visible either; then both are."""
    names = [local.stream(Kind.PENDING) for _ in range(2)]
    for number, name in enumerate(names):
        local.writes.append(name, 0, rows(number))
        local.writes.finalize(name)
    insert, calls = local.store.insert, []

    def failing(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("disk full")
        insert(*arguments)

    monkeypatch.setattr(local.store, "insert", failing)
    with pytest.raises(OSError, match="disk full"):
        local.writes.commit(T, names)
    assert local.ids() == []
    assert isinstance(local.writes.commit(T, names), int)
    assert local.ids() == [0, 1]


def test_failed_append_keeps_the_offset(local: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and offset are one commit."""
    name = local.stream(Kind.COMMITTED)
    monkeypatch.setattr(local.store, "advance", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        local.writes.append(name, 0, rows(1))
    monkeypatch.undo()
    assert local.ids() == []
    assert local.writes.append(name, 0, rows(1)) == 0


def test_commit_of_a_wrong_stream_commits_none(local: Fixture) -> None:
    """The good stream is not in the list of errors, and not committed."""
    good, other = local.stream(Kind.PENDING), local.stream(Kind.COMMITTED)
    local.writes.append(good, 0, rows(1))
    local.writes.finalize(good)
    missing = StreamName(T, "none")
    errors = local.writes.commit(T, [good, other, missing])
    assert [(error.code, error.stream) for error in errors] == [  # type: ignore[union-attr]
        (StorageCode.INVALID_STREAM_TYPE, str(other)),
        (StorageCode.STREAM_NOT_FOUND, str(missing)),
    ]
    assert local.ids() == []


def test_stream_named_twice_is_committed_once(local: Fixture) -> None:
    """Its rows are there once."""
    name = local.stream(Kind.PENDING)
    local.writes.append(name, 0, rows(1))
    local.writes.finalize(name)
    assert isinstance(local.writes.commit(T, [name, name]), int)
    assert local.ids() == [1]


def test_staged_rows_take_the_schema_of_their_commit(local: Fixture) -> None:
    """Columns that came since the append are NULL."""
    name = local.stream(Kind.PENDING)
    local.writes.append(name, 0, rows(1))
    local.writes.finalize(name)
    fields = [{"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
              {"name": "tags", "type": "STRING", "mode": "REPEATED"}]  # fmt: skip
    local.catalog.update_table(T, {"schema": {"fields": fields}})
    local.writes.commit(T, [name])
    assert local.rows() == [(1, [])]


@pytest.mark.parametrize("call", ["finalize", "flush"])
def test_default_stream_is_only_appended_to(local: Fixture, call: str) -> None:
    """It is never finalized nor flushed."""
    arguments = [0] if call == "flush" else []
    with pytest.raises(Refusal, match="not supported on the '_default' stream"):
        getattr(local.writes, call)(StreamName(T, "_default"), *arguments)
