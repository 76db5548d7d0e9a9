"""Batches meet the same windows as their rows would one by one: Beam's own functions judge."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from apache_beam.runners.direct import clock
from apache_beam.transforms.core import Windowing as BeamWindowing
from apache_beam.transforms.trigger import (
    AccumulationMode,
    InMemoryUnmergedState,
    create_trigger_driver,
)
from apache_beam.transforms.window import IntervalWindow, WindowFn
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue
from hypothesis import given
from hypothesis import strategies as st

from transforms.batch import Batch
from transforms.field import column
from transforms.sessions import AssignSpan
from transforms.triggers import at_watermark
from transforms.windows import Fixed, Session, Sliding, Windows, split

MILLIS = st.integers(1, 5_000).map(lambda millis: millis / 1_000)
# Near window edges, before and after 1970, to the microsecond.
TIMES = st.integers(-20_000_000, 20_000_000) | st.integers(-20, 20).map(lambda n: n * 1_000_000)
ROWS = st.lists(st.tuples(st.none() | st.sampled_from("ab"), TIMES), min_size=1, max_size=40)


@st.composite
def fixed(draw: st.DrawFn) -> Fixed:
    """Draw fixed windows with an offset."""
    size = draw(st.integers(1, 5_000))
    return Fixed(size / 1_000, draw(st.integers(0, size - 1)) / 1_000)


@st.composite
def sliding(draw: st.DrawFn) -> Sliding:
    """Draw sliding windows; the size is seldom a multiple of the period."""
    period = draw(st.integers(100, 5_000))
    size = draw(st.integers(period, 4 * period))
    return Sliding(size / 1_000, period / 1_000, draw(st.integers(0, period - 1)) / 1_000)


def batch(rows: Sequence[tuple[str | None, int]]) -> Batch:
    """Return rows of a key, an event time in microseconds and their own number."""
    keys, times = zip(*rows, strict=True)
    at = pa.array(times, pa.timestamp("us", tz="UTC"))
    return Batch(
        pa.record_batch({"key": pa.array(keys, pa.string()), "at": at, "row": range(len(rows))})
    )


def micros(rows: Batch) -> Any:
    """Return the event times of rows."""
    return rows.column("at").cast(pa.int64()).to_numpy()


def parts(windows: Windows, rows: Batch, sizes: Sequence[int]) -> Iterator[tuple[Batch, int]]:
    """Split the rows as batches of these sizes, repeated until none is left."""
    rest = rows
    for size in itertools.cycle(sizes):
        if not len(rest):
            return
        head, rest = rest.slice(0, size), rest.slice(size)
        yield from split(windows, head, micros(head))


def assigned(function: WindowFn, at: int) -> set[IntervalWindow]:
    """Return the windows that Beam assigns to one timestamp."""
    return set(function.assign(WindowFn.AssignContext(Timestamp(micros=at))))


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(fixed() | sliding(), ROWS, SIZES)
def test_split_equals_assignment_of_each_row(
    windows: Fixed | Sliding, rows: list[tuple[str | None, int]], sizes: list[int]
) -> None:
    """Each row comes out once; its windows are those of its batch's timestamp."""
    function, seen = windows.window_fn(), []
    for part, first in parts(windows, batch(rows), sizes):
        expected = assigned(function, first)
        assert expected, "no window"
        # Runners round timestamps down to milliseconds.
        assert assigned(function, first // 1_000 * 1_000) == expected
        assert all(assigned(function, at) == expected for at in micros(part).tolist())
        assert first == micros(part).min()
        seen += part.column("row").to_pylist()
    assert sorted(seen) == list(range(len(rows)))


@given(fixed() | sliding(), st.lists(TIMES, min_size=1, max_size=40))
def test_rows_of_one_part_keep_their_order(windows: Fixed | Sliding, times: list[int]) -> None:
    """A window's rows come in one part per batch, in order of arrival."""
    rows = batch([(None, at) for at in times])
    found = [part.column("row").to_pylist() for part, _ in split(windows, rows, micros(rows))]
    assert all(numbers == sorted(numbers) for numbers in found)
    windows_of_parts = [
        frozenset(assigned(windows.window_fn(), times[numbers[0]])) for numbers in found
    ]
    assert len(set(windows_of_parts)) == len(found)


class Merging(WindowFn.MergeContext):
    """Collects what a window function merges."""

    def __init__(self, windows: Sequence[IntervalWindow]) -> None:
        super().__init__(windows)
        self.result = set(windows)

    def merge(self, to_be_merged: Any, merge_result: IntervalWindow) -> None:
        self.result = self.result - set(to_be_merged) | {merge_result}


def sessions(
    function: WindowFn, spans: Sequence[tuple[IntervalWindow, list[int]]]
) -> dict[IntervalWindow, list[int]]:
    """Merge the windows as Beam does; return the rows of each session."""
    merging = Merging([window for window, _ in spans])
    function.merge(merging)
    found: dict[IntervalWindow, list[int]] = {window: [] for window in merging.result}
    for window, numbers in spans:
        home = next(s for s in merging.result if s.start <= window.start and window.end <= s.end)
        found[home] = sorted(found[home] + numbers)
    return found


@given(MILLIS, ROWS, SIZES)
def test_sessions_of_batches_equal_sessions_of_rows(
    gap_s: float, rows: list[tuple[str | None, int]], sizes: list[int]
) -> None:
    """Merging the spans of batches gives the sessions that merging single rows gives, per key."""
    windows = Session(gap_s, (column("key"),))
    function = windows.window_fn()
    assign = AssignSpan(column("at"), function.gap_size)
    spans: dict[str | None, list[tuple[IntervalWindow, list[int]]]] = {}
    for part, first in parts(windows, batch(rows), sizes):
        (key,) = set(part.column("key").to_pylist())
        (value,) = assign.process(part, Timestamp(micros=first))
        (window,) = value.windows
        spans.setdefault(key, []).append((window, part.column("row").to_pylist()))
    for key in {key for key, _ in rows}:
        single = [
            (window, [number])
            for number, (own, at) in enumerate(rows)
            if own == key
            for window in assigned(function, at // 1_000 * 1_000)
        ]
        assert sessions(function, spans.pop(key)) == sessions(function, single)
    assert not spans


@given(MILLIS, ROWS)
def test_a_part_is_one_session_of_its_batch(
    gap_s: float, rows: list[tuple[str | None, int]]
) -> None:
    """Within a batch, neighbours of a part are closer than the gap, parts of a key are not."""
    whole = batch(rows)
    spans: dict[str | None, list[tuple[int, int]]] = {}
    for part, first in split(Session(gap_s, (column("key"),)), whole, micros(whole)):
        millis = np.sort(micros(part)) // 1_000
        assert (np.diff(millis) < round(gap_s * 1_000)).all()
        spans.setdefault(part.column("key")[0].as_py(), []).append((first // 1_000, millis[-1]))
    for own in spans.values():
        for (_, end), (start, _) in itertools.pairwise(sorted(own)):
            assert start - end >= round(gap_s * 1_000)


def kept(windows: Session, steps: Sequence[tuple[int, list[WindowedValue]]]) -> set[int]:
    """Return the rows that Beam's own triggers let through, in the steps' order of watermarks.

    The driver is what the runners group with. The runner itself stalls when late sessions merge.
    """
    lateness = Duration(micros=2_000_000)
    windowing = BeamWindowing(
        windows.window_fn(), at_watermark(), AccumulationMode.DISCARDING, allowed_lateness=lateness
    )
    driver = create_trigger_driver(windowing, clock=clock.TestClock())
    state, found = InMemoryUnmergedState(), []
    for micros_now, values in [*steps, (10**12, [])]:
        now = Timestamp(micros=micros_now)
        found += driver.process_elements(state, values, now, now)
        for window, (name, domain, at, _) in state.get_and_clear_timers(now):
            found += driver.process_timer(window, name, domain, at, state, now)
    return {number for pane in found for numbers in pane.value for number in numbers}


LATE_STEPS = st.lists(
    st.tuples(st.integers(0, 5_000_000), st.lists(st.integers(-9_000_000, 9_000_000), min_size=1)),
    min_size=1,
    max_size=5,
)


@given(MILLIS, LATE_STEPS)
def test_late_sessions_keep_no_less_than_single_rows(
    gap_s: float, steps: list[tuple[int, list[int]]]
) -> None:
    """A row that would be in time alone is kept, and so are the rows that it bridges to."""
    windows, watermark, number = Session(gap_s), 0, 0
    assign = AssignSpan(column("at"), windows.window_fn().gap_size)
    whole, single = [], []
    for forward, times in steps:
        watermark += forward
        rows = batch([(None, at) for at in times])
        rows = rows.with_column("row", pa.array(range(number, number + len(rows))))
        number += len(rows)
        for size, collected in ((len(rows), whole), (1, single)):
            values = [
                value.with_value(part.column("row").to_pylist())
                for part, first in parts(windows, rows, [size])
                for value in assign.process(part, Timestamp(micros=first))
            ]
            collected.append((watermark, values))
    assert kept(windows, whole) >= kept(windows, single)
