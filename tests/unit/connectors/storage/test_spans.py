"""An archive in the order of publishing."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.storage.spans import Extent, Span, extent, merged, spans
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def file(times: Sequence[int | None], name: str = "") -> Batch:
    """Return messages that were published at these microseconds, with telling payloads."""
    rows = [
        {
            "data": f"{name}{number}".encode(),
            "publish_time": None if us is None else EPOCH + dt.timedelta(microseconds=us),
        }
        for number, us in enumerate(times)
    ]
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


def cut(*extents: tuple[int, int], bytes_max: int = 1_000) -> list[tuple[int, int, str]]:
    """Return the spans of files of 10 bytes, with the letters of the files in each."""
    files = [Extent("abcdefgh"[n], 10, *times) for n, times in enumerate(extents)]
    return [(span.start_us, span.stop_us, "".join(span.paths)) for span in spans(files, bytes_max)]


def test_files_that_do_not_overlap_are_read_one_by_one() -> None:
    """Their order is that of time, not that of names."""
    assert cut((20, 29), (10, 19), (30, 30)) == [(10, 20, "b"), (20, 30, "a"), (30, 31, "c")]


def test_files_that_overlap_are_read_together() -> None:
    """Shards of a window, and a late pane of it, are one span."""
    assert cut((10, 19), (11, 18), (19, 25), (30, 35)) == [(10, 30, "abc"), (30, 36, "d")]


def test_too_many_bytes_are_cut_through() -> None:
    """A chain of files that overlap is read piece by piece; a file may be in two."""
    assert cut((10, 20), (15, 30), (25, 40), bytes_max=15) == [
        (10, 15, "a"), (15, 25, "ab"), (25, 41, "bc"),
    ]  # fmt: skip


def test_files_that_begin_together_can_not_be_cut() -> None:
    """There is no time between them."""
    assert cut((10, 20), (10, 20), (10, 20), bytes_max=1) == [(10, 21, "abc")]


def test_no_file_is_no_span() -> None:
    """An archive of empty files is nothing to read."""
    assert spans([], 1) == []
    assert extent("x", [file([])]) is None
    assert extent("x", []) is None


def test_span_is_clipped() -> None:
    """Only what lies between two times is left, or nothing."""
    span = Span(10, 20, ("a",))
    assert span.within(None, None) == span
    assert span.within(5, 15) == Span(10, 15, ("a",))
    assert span.within(15, 25) == Span(15, 20, ("a",))
    assert span.within(20, None) is None
    assert span.within(None, 10) is None


FILES = st.lists(st.lists(st.none() | st.integers(1, 40), min_size=1, max_size=12), max_size=6)


@given(FILES, st.integers(1, 3_000))
def test_each_message_comes_once_in_order(times: list[list[int | None]], bytes_max: int) -> None:
    """However files overlap, and wherever time is cut."""
    files = {f"{n:02d}-": file(each, f"{n:02d}-") for n, each in enumerate(times)}
    extents = [extent(name, [batch]) for name, batch in files.items()]
    found: list[dict[str, Any]] = []
    for span in spans([each for each in extents if each is not None], bytes_max):
        for batch in merged(span, ([files[path]] for path in span.paths)):
            assert batch.schema == MESSAGE_SCHEMA
            found += batch.to_pylist()
    assert sorted(row["data"] for row in found) == sorted(
        data for batch in files.values() for data in batch.column("data").to_pylist()
    )
    known = [row["publish_time"] for row in found if row["publish_time"] is not None]
    assert known == sorted(known)


def test_one_time_keeps_the_order_of_rows() -> None:
    """Messages that were published in one request stay as they were."""
    (batch,) = merged(Span(0, 10, ()), [[file([5, 5, 3, 5])], [file([5, 3], "x")]])
    assert batch.column("data").to_pylist() == [b"2", b"x1", b"0", b"1", b"3", b"x0"]


def test_rows_outside_of_the_span_are_left_out() -> None:
    """They belong to the spans beside it."""
    (batch,) = merged(Span(3, 5, ()), [[file([1, 3, 4, 5])]])
    assert batch.column("data").to_pylist() == [b"1", b"2"]
