"""Write streams: which requests each state accepts, and what every refusal says."""

import pytest

from connectors.bigquery_local.errors import Code, Refusal, StorageCode
from connectors.bigquery_local.streams import (
    Kind,
    Stream,
    appended,
    commit_error,
    committed,
    finalized,
    flushed,
)


def stream(kind: Kind = Kind.COMMITTED, **fields: int | bool) -> Stream:
    """Return a stream in some state."""
    return Stream("projects/p/datasets/d/tables/t/streams/s", "uid", kind, 1, **fields)  # type: ignore[arg-type]


def refused(call: object, *arguments: object) -> Refusal:
    """Return the refusal that a call ends with."""
    with pytest.raises(Refusal) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("offset", [None, 5])
def test_append_at_the_end(offset: int | None) -> None:
    """Without an offset, or with that of the end, rows are added."""
    assert appended(stream(rows=5, visible=5), offset, 3) == stream(rows=8, visible=8)


@pytest.mark.parametrize("kind", [Kind.PENDING, Kind.BUFFERED])
def test_rows_stay_hidden(kind: Kind) -> None:
    """What is pending or buffered is not visible by its append."""
    assert appended(stream(kind, rows=5, visible=2), 5, 3) == stream(kind, rows=8, visible=2)


def test_offset_within_the_stream() -> None:
    """A repetition is told apart from every other error, by code and by text."""
    refusal = refused(appended, stream(rows=10), 0, 3)
    assert (refusal.code, refusal.storage) == (
        Code.ALREADY_EXISTS,
        StorageCode.OFFSET_ALREADY_EXISTS,
    )
    assert "The offset is within stream, expected offset 10, received 0" in str(refusal)


def test_repetition_that_reaches_beyond_the_end() -> None:
    """An offset that is in decides, even if the last rows of the request are not in."""
    assert refused(appended, stream(rows=10), 9, 5).code is Code.ALREADY_EXISTS


def test_offset_beyond_the_stream() -> None:
    """A gap is refused: rows before it are missing."""
    refusal = refused(appended, stream(rows=1), 100, 1)
    assert (refusal.code, refusal.storage) == (Code.OUT_OF_RANGE, StorageCode.OFFSET_OUT_OF_RANGE)
    assert "The offset is beyond stream, expected offset 1, received 100" in str(refusal)


@pytest.mark.parametrize("offset", [None, 0, 5, 9])
def test_finalized_stream_takes_nothing(offset: int | None) -> None:
    """Finalized comes before every word about the offset."""
    refusal = refused(appended, finalized(stream(rows=5)), offset, 1)
    assert (refusal.code, refusal.storage) == (
        Code.INVALID_ARGUMENT,
        StorageCode.STREAM_FINALIZED,
    )
    assert "Stream has been finalized" in str(refusal)


def test_finalize_twice() -> None:
    """A repeated finalize changes nothing."""
    once = finalized(stream(rows=5))
    assert finalized(once) == once


def test_flush_is_inclusive_and_idempotent() -> None:
    """The row at the offset becomes visible; an earlier offset takes nothing back."""
    once = flushed(stream(Kind.BUFFERED, rows=10), 4)
    assert once.visible == 5
    assert flushed(once, 4) == once
    assert flushed(once, 1) == once


@pytest.mark.parametrize("offset", [-1, 10, 11])
def test_flush_beyond_the_end(offset: int) -> None:
    """A row that is not there can't be shown."""
    assert refused(flushed, stream(Kind.BUFFERED, rows=10), offset).code is Code.OUT_OF_RANGE


@pytest.mark.parametrize("kind", [Kind.COMMITTED, Kind.PENDING])
def test_flush_of_another_type(kind: Kind) -> None:
    """Only BUFFERED streams are flushed."""
    refusal = refused(flushed, stream(kind, rows=1), 0)
    assert refusal.storage is StorageCode.INVALID_STREAM_TYPE


def test_commit_once() -> None:
    """A finalized pending stream is committed; all of its rows are visible."""
    ready = finalized(stream(Kind.PENDING, rows=7))
    assert commit_error(ready) is None
    assert committed(ready, 99) == stream(
        Kind.PENDING, rows=7, visible=7, closed=True, committed_us=99
    )


@pytest.mark.parametrize(("state", "code"), [
    (stream(Kind.PENDING), StorageCode.INVALID_STREAM_STATE),
    (stream(Kind.COMMITTED, closed=True), StorageCode.INVALID_STREAM_TYPE),
    (stream(Kind.BUFFERED, closed=True), StorageCode.INVALID_STREAM_TYPE),
    (stream(Kind.PENDING, closed=True, committed_us=5), StorageCode.STREAM_ALREADY_COMMITTED),
])  # fmt: skip
def test_commit_refused(state: Stream, code: StorageCode) -> None:
    """Each reason has a code of its own."""
    error = commit_error(state)
    assert error
    assert error[0] is code
