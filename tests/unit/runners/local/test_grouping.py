"""GroupByKey on the store: panes, late data, large values, expiry, rollback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from apache_beam.coders import BytesCoder, IterableCoder, StrUtf8Coder, TupleCoder
from apache_beam.coders.coders import LengthPrefixCoder
from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer
from apache_beam.transforms import trigger_test
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterAll,
    AfterAny,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    Always,
    DefaultTrigger,
    Repeatedly,
    TriggerFn,
    _Never,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    IntervalWindow,
    Sessions,
    SlidingWindows,
    TimestampCombiner,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue

from runners.local import group, grouping
from runners.local.panes import release, values_of
from runners.local.store import Chunk, Store
from tests.groupings import Feed, Pane, Shelf, Shelves

EARLY, ON_TIME, LATE = PaneInfoTiming.EARLY, PaneInfoTiming.ON_TIME, PaneInfoTiming.LATE
DISCARDING, ACCUMULATING = AccumulationMode.DISCARDING, AccumulationMode.ACCUMULATING
LARGE = b"x" * 1_000

Make = Callable[..., Feed]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    opened.begin()
    yield opened
    opened.close()


@pytest.fixture
def feed(store: Store) -> Make:
    """Make a grouping by the arguments of Windowing."""

    def make(*windowing: Any, value_coder: Any = None, **options: Any) -> Feed:
        return Feed(Windowing(*windowing, **options), store, value_coder)

    return make


@pytest.fixture
def small_limits() -> Iterator[None]:
    """Put the limits of what is kept inline far below what is tested."""
    with (
        mock.patch.object(group, "_INLINE_MAX", 10),
        mock.patch.object(group, "_PANE_INLINE_MAX", 500),
    ):
        yield


def values(panes: list[Pane]) -> list[tuple[Any, ...]]:
    return [pane.values for pane in panes]


def in_chunk(chunks: list[Chunk]) -> Chunk:
    (chunk,) = chunks
    return chunk


def numbers(info: PaneInfo) -> tuple[Any, ...]:
    return info.timing, info.index, info.nonspeculative_index, info.is_last


class TestTranscripts(trigger_test.TranscriptTest):
    """Beam's transcripts of triggers."""

    def _execute(self, *parameters: Any) -> None:
        *windowing, transcript, _ = parameters
        store = Store.open(None)
        store.begin()
        self.addCleanup(store.close)
        feed, panes = Feed(Windowing(*windowing), store), []
        for action, argument in transcript:
            if action != "expect":
                assert not panes, f"Unexpected output before {action}"
            if action == "input":
                panes = feed.add(*(("key", time, time) for time in argument)) + feed.advance()
            elif action == "watermark":
                panes = feed.watermark(argument)
            elif action == "expect":
                panes = self._unmatched([_described(pane) for pane in panes], argument)
        assert not panes, "Unexpected output at the end"

    def _unmatched(self, panes: list[Any], expected: list[Any]) -> list[Any]:
        for pane in expected:
            fits = [found for found in panes if all(found[name] == pane[name] for name in pane)]
            assert fits, f"Unmatched output {pane} in {panes}"
            panes.remove(fits[0])
        return panes


def _described(pane: Pane) -> dict[str, Any]:
    windowed = WindowedValue(pane.values, pane.timestamp, (pane.window,), pane.info)
    return dict(trigger_test._windowed_value_info(windowed))


TestTranscripts._create_tests(trigger_test.TRANSCRIPT_TEST_FILE)


def test_transcripts_are_there() -> None:
    """The tests that Beam's file gives are not silently none."""
    assert os.path.exists(trigger_test.TRANSCRIPT_TEST_FILE)
    assert len([name for name in dir(TestTranscripts) if name.startswith("test_")]) >= 15


def test_one_pane_at_the_end_of_the_window(feed: Make) -> None:
    """By default a window fires once, when the watermark has passed it."""
    fixed = feed(FixedWindows(10))
    assert not fixed.add(("a", 1, 1), ("b", 2, 2), ("a", 3, 11)) + fixed.add(("a", 4, 4))
    assert not fixed.watermark(9.999)
    panes = fixed.watermark(10)
    assert [(pane.key, pane.window, pane.values) for pane in panes] == [
        ("a", IntervalWindow(0, 10), (1, 4)),
        ("b", IntervalWindow(0, 10), (2,)),
    ]
    assert {numbers(pane.info) for pane in panes} == {(ON_TIME, 0, 0, False)}
    assert {pane.timestamp for pane in panes} == {Timestamp(micros=9_999_000)}
    assert values(fixed.watermark(20)) == [(3,)]


def test_global_window_is_as_in_beams_batch_runner(feed: Make) -> None:
    """Without windows or triggers the bytes are those of FnApiRunner, at the end of the input."""
    whole = feed(GlobalWindows())
    data = whole.encode([("a", 1, 5), ("b", 2, MIN_TIMESTAMP), ("a", 3, 7)])
    pair_coder = whole.input_coder.wrapped_value_coder
    buffer = GroupingBuffer(pair_coder, whole.output_coder, whole.windowing)
    buffer._pre_grouped_coder = whole.input_coder
    buffer.append(data)
    whole.grouping.add(data, MIN_TIMESTAMP.micros)
    whole.grouping.advance(Timestamp(2**40).micros, 0)
    assert not whole.grouping.take()
    whole.grouping.advance(MAX_TIMESTAMP.micros, 0)
    assert in_chunk(whole.grouping.take()).data == b"".join(buffer)


@pytest.mark.parametrize("window_fn", [GlobalWindows(), FixedWindows(10), Sessions(5), Shelves()])
@pytest.mark.parametrize("mode", [DISCARDING, ACCUMULATING])
def test_panes_are_encoded_as_by_the_coder(feed: Make, window_fn: Any, mode: Any) -> None:
    """Byte for byte what the coder of the output writes, header, key and iterable."""
    windowed = feed(
        window_fn,
        AfterWatermark(early=AfterCount(2), late=AfterCount(1)),
        mode,
        allowed_lateness=100,
        value_coder=TupleCoder((StrUtf8Coder(), LengthPrefixCoder(BytesCoder()))),
    )
    encode = windowed.output_coder.get_impl().encode_nested
    windowed.grouping.add(
        windowed.encode(
            [("a", ("1", b""), 1), ("schlüssel", ("", b"x" * 200), 2), ("a", ("3", b"3"), 3)]
        ),
        windowed.watermark_us,
    )
    windowed.grouping.advance(Timestamp(20).micros, 0)
    windowed.grouping.add(windowed.encode([("a", ("4", b"4"), 4)]), Timestamp(20).micros)
    windowed.grouping.advance(MAX_TIMESTAMP.micros, 0)
    data = b"".join(chunk.data or b"" for chunk in windowed.grouping.take())
    panes = list(windowed.decode(Chunk(data, MIN_TIMESTAMP.micros)))
    assert len(panes) >= 3
    again = [
        WindowedValue((pane.key, pane.values), pane.timestamp, (pane.window,), pane.info)
        for pane in panes
    ]
    assert b"".join(map(encode, again)) == data


def test_element_in_several_windows(feed: Make) -> None:
    """Each of an element's windows has it; those that are over don't."""
    sliding = feed(SlidingWindows(20, 10))
    sliding.watermark(10)
    assert not sliding.add(("a", 1, 5), ("a", 2, 15))
    assert sliding.grouping.dropped == 1
    assert [(p.window.start, p.values) for p in sliding.watermark(40)] == [(0, (1, 2)), (10, (2,))]


def test_windows_of_an_unknown_kind(feed: Make) -> None:
    """A window function of somebody's own, with a coder of its own."""
    shelves = feed(Shelves())
    assert not shelves.add(("a", 1, 1), ("a", 2, 2))
    found = {pane.window: pane.values for pane in shelves.watermark(10)}
    assert found == {Shelf("left", 10): (1, 2), Shelf("right", 10): (1,)}
    assert not shelves.rows()


def test_late_elements_fire_until_the_window_expires(feed: Make) -> None:
    """Late panes are numbered on; from the end of the allowed lateness on elements are dropped."""
    fixed = feed(FixedWindows(10), allowed_lateness=5)
    fixed.add(("a", 1, 1))
    assert [numbers(p.info) for p in fixed.watermark(12)] == [(ON_TIME, 0, 0, False)]
    late = fixed.add(("a", 2, 2))
    assert [(p.values, numbers(p.info)) for p in late] == [((2,), (LATE, 1, 1, False))]
    assert fixed.rows()
    assert not fixed.watermark(15)
    assert not fixed.rows()
    assert not fixed.add(("a", 3, 3), ("b", 4, 4))
    assert fixed.grouping.dropped == 2
    assert not fixed.rows()


def test_early_on_time_and_late_panes(feed: Make) -> None:
    """Panes accumulate, and say where they stand; the last one comes with the expiry."""
    around = feed(
        FixedWindows(10),
        AfterWatermark(early=AfterCount(2), late=AfterCount(3)),
        ACCUMULATING,
        allowed_lateness=10,
    )
    panes = around.add(("a", 1, 1), ("a", 2, 2)) + around.add(("a", 3, 3))
    panes += around.watermark(10) + around.add(("a", 4, 4)) + around.watermark(20)
    assert [(p.values, numbers(p.info)) for p in panes] == [
        ((1, 2), (EARLY, 0, -1, False)),
        ((1, 2, 3), (ON_TIME, 1, 0, False)),
        ((1, 2, 3, 4), (LATE, 2, 1, True)),
    ]
    assert not around.rows()


def test_sessions_become_one(feed: Make) -> None:
    """An element between two sessions makes one of them, with the values of both."""
    sessions = feed(Sessions(5))
    assert not sessions.add(("a", 1, 0), ("b", 9, 0)) + sessions.add(("a", 2, 8))
    assert not sessions.add(("a", 3, 4))
    panes = {pane.key: (pane.window, sorted(pane.values)) for pane in sessions.watermark(13)}
    assert panes == {
        "a": (IntervalWindow(0, 13), [1, 2, 3]),
        "b": (IntervalWindow(0, 5), [9]),
    }
    assert not sessions.rows()


def test_what_no_trigger_fires_comes_when_the_window_expires(feed: Make) -> None:
    """A trigger that waits for more elements than there are loses none."""
    counting = feed(FixedWindows(10), Repeatedly(AfterCount(3)), DISCARDING)
    counting.add(("a", 1, 1))
    never = feed(FixedWindows(10), _Never(), DISCARDING)
    never.grouping._groups._owner = "group:other"
    never.add(("a", 2, 1))
    for waiting in (counting, never):
        (pane,) = waiting.watermark(10)
        assert numbers(pane.info) == (ON_TIME, 0, 0, True)
        assert not waiting.watermark(MAX_TIMESTAMP)
    assert not counting.rows()


def test_last_pane_behind_the_allowed_lateness_is_late(feed: Make) -> None:
    """It is on time only if the window expires at its end."""
    counting = feed(FixedWindows(10), Repeatedly(AfterCount(3)), DISCARDING, allowed_lateness=5)
    counting.add(("a", 1, 1))
    assert not counting.watermark(14)
    (pane,) = counting.watermark(15)
    assert numbers(pane.info) == (LATE, 0, 0, True)


def test_trigger_that_may_finish_loses_the_rest(feed: Make) -> None:
    """As in Beam's Python runners; the user has allowed it, and it is counted."""
    once = feed(FixedWindows(10), AfterCount(2), DISCARDING)
    assert values(once.add(("a", 1, 1), ("a", 2, 1), ("b", 3, 1))) == [(1, 2)]
    assert not once.add(("a", 4, 1))
    assert once.grouping.dropped == 1
    assert not once.watermark(10)
    assert once.grouping.dropped == 2
    assert not once.rows()


def test_pane_that_waits_for_a_time_comes_with_the_end_of_its_window(feed: Make) -> None:
    """The time would come, the window can't wait for it; what waits for elements too is lost."""
    delayed = feed(FixedWindows(10), AfterProcessingTime(60), DISCARDING)
    delayed.add(("a", 1, 1), ("a", 2, 1))
    assert values(delayed.watermark(10)) == [(1, 2)]
    assert not delayed.rows()
    both = feed(FixedWindows(10), AfterAll(AfterCount(2), AfterProcessingTime(60)), DISCARDING)
    both.grouping._groups._owner = "group:other"
    both.add(("a", 1, 1), ("b", 2, 1), ("b", 3, 1))
    assert values(both.watermark(10)) == [(2, 3)]
    assert both.grouping.dropped == 1


def test_wall_clock_does_not_close_a_window(feed: Make) -> None:
    """Early firings in processing time, far after the window's own time, leave it open."""
    early = feed(FixedWindows(10), AfterWatermark(early=AfterProcessingTime(5)), DISCARDING)
    early.clock(1_000_000)
    early.add(("a", 1, 1))
    assert early.grouping.next_time_us() == 1_000_005_000_000
    assert not early.clock(1_000_004)
    assert [(p.values, numbers(p.info)) for p in early.clock(1_000_005)] == [
        ((1,), (EARLY, 0, -1, False))
    ]
    assert early.grouping.next_time_us() is None
    early.add(("a", 2, 2))
    assert [(p.values, numbers(p.info)) for p in early.watermark(10)] == [
        ((2,), (ON_TIME, 1, 0, True))
    ]
    assert early.grouping.next_time_us() is None
    assert not early.rows()


def test_count_or_delay_begins_anew_after_either(feed: Make) -> None:
    """The usual trigger of an unwindowed stream goes on firing by time after it has fired by it."""
    either = feed(
        GlobalWindows(), Repeatedly(AfterAny(AfterCount(3), AfterProcessingTime(5))), DISCARDING
    )
    for second, value in ((0, 1), (10, 2), (20, 3)):
        assert not either.clock(second) + either.add(("a", value, 1))
        assert values(either.clock(second + 5)) == [(value,)]
    either.add(("a", 4, 1))
    assert values(either.add(("a", 5, 1), ("a", 6, 1))) == [(4, 5, 6)]
    assert either.grouping.next_time_us() is None


def test_delay_and_count_together(feed: Make) -> None:
    """A delay that has passed counts when the elements have come, long after its time."""
    both = feed(
        GlobalWindows(), Repeatedly(AfterAll(AfterCount(2), AfterProcessingTime(5))), DISCARDING
    )
    both.add(("a", 1, 1))
    assert not both.clock(5)
    assert both.grouping.next_time_us() is None
    assert not both.clock(9)
    assert values(both.add(("a", 2, 1))) == [(1, 2)]
    assert not both.add(("a", 3, 1), ("a", 4, 1))
    assert values(both.clock(14)) == [(3, 4)]


def test_delay_of_sessions_that_merge(feed: Make) -> None:
    """The earliest delay of the parts counts; those of the parts are gone."""
    sessions = feed(Sessions(5), Repeatedly(AfterProcessingTime(10)), DISCARDING)
    sessions.add(("a", 1, 0))
    sessions.clock(2)
    sessions.add(("a", 2, 8))
    sessions.clock(4)
    sessions.add(("a", 3, 4))
    assert sessions.grouping.next_time_us() == 10_000_000
    assert [sorted(pane) for pane in values(sessions.clock(10))] == [[1, 2, 3]]
    assert sessions.grouping.next_time_us() is None
    assert not sessions.clock(20)


def test_batch_sees_all_elements_of_a_key_together(feed: Make, store: Store) -> None:
    """A count that every bundle alone would reach fires once, at the end of the window."""
    windowing = Windowing(FixedWindows(10), AfterCount(2), DISCARDING)
    batch = Feed(windowing, store, batch=True)
    assert not batch.add(("a", 1, 1), ("a", 2, 2)) + batch.add(("a", 3, 3), ("b", 4, 4))
    assert [(p.values, numbers(p.info)) for p in batch.watermark(MAX_TIMESTAMP)] == [
        ((1, 2, 3), (EARLY, 0, -1, True))
    ]
    assert batch.grouping.dropped == 1
    assert not batch.rows()


@pytest.mark.parametrize(
    "trigger",
    [
        AfterProcessingTime(10),
        Repeatedly(AfterProcessingTime(10)),
        AfterWatermark(early=AfterProcessingTime(10)),
        AfterAll(AfterCount(3), AfterProcessingTime(10)),
    ],
)
def test_batch_awaits_no_clock(trigger: Any, store: Store) -> None:
    """A delay has passed when the window ends, not before: there is one pane, and nothing lost."""
    batch = Feed(Windowing(FixedWindows(10), trigger, DISCARDING), store, batch=True)
    batch.clock(1_000)
    batch.add(("a", 1, 1), ("a", 2, 2), ("b", 3, 11), ("b", 4, 12))
    assert batch.grouping.next_time_us() is None
    assert not batch.clock(1_050) + batch.add(("a", 3, 3), ("b", 5, 13))
    panes = batch.watermark(MAX_TIMESTAMP)
    assert sorted(pane.values for pane in panes) == [(1, 2, 3), (3, 4, 5)]
    assert {pane.info.timing for pane in panes} == {ON_TIME}
    assert batch.grouping.dropped == 0
    assert not batch.rows()


def test_batch_loses_what_a_count_never_fires(store: Store) -> None:
    """A trigger that waits for more elements than there are loses them, as Beam says."""
    trigger = AfterAll(AfterCount(3), AfterProcessingTime(10))
    batch = Feed(Windowing(FixedWindows(10), trigger, DISCARDING), store, batch=True)
    batch.add(("a", 1, 1), ("a", 2, 2))
    assert not batch.watermark(MAX_TIMESTAMP)
    assert batch.grouping.dropped == 2


def test_watermark_waits_for_the_pane(feed: Make) -> None:
    """The hold lies before the timestamp of the pane as the next stage will read it."""
    fixed = feed(FixedWindows(10), allowed_lateness=100)
    assert fixed.grouping.hold_us() is None
    fixed.add(("a", 1, 1), ("b", 1, 11))
    assert fixed.grouping.hold_us() == 9_998_999
    fixed.watermark(10)
    assert fixed.grouping.hold_us() == 19_998_999


def test_merged_window_holds_what_its_parts_held(feed: Make) -> None:
    """One part is late and holds nothing, another does, and so does what they become."""
    sessions = feed(
        Sessions(5),
        timestamp_combiner=TimestampCombiner.OUTPUT_AT_EARLIEST,
        allowed_lateness=100,
    )
    sessions.watermark(3)
    sessions.add(("a", 1, 0))
    assert sessions.grouping.hold_us() is None
    sessions.add(("a", 2, 6))
    assert sessions.grouping.hold_us() == 5_999_999
    sessions.add(("a", 3, 2))
    assert sessions.grouping.hold_us() == 5_999_999
    (pane,) = sessions.watermark(11)
    assert (pane.window, pane.timestamp) == (IntervalWindow(0, 11), Timestamp(6))


def test_late_elements_hold_nothing(feed: Make) -> None:
    """What is behind the watermark can't hold it, though it waits for others."""
    late = feed(
        FixedWindows(10),
        AfterWatermark(late=AfterCount(2)),
        DISCARDING,
        allowed_lateness=100,
    )
    late.watermark(20)
    assert values(late.add(("a", 1, 1))) == [(1,)]
    assert not late.add(("a", 2, 1))
    assert late.grouping.hold_us() is None
    assert [pane.timestamp.micros for pane in late.add(("a", 3, 1))] == [9_999_000]


@pytest.mark.usefixtures("small_limits")
def test_large_pane_stays_in_the_store(feed: Make) -> None:
    """Its chunk ends before the values, which are one row for each call, and go when released."""
    fixed = feed(FixedWindows(10), DefaultTrigger(), DISCARDING, 0, 5, value_coder=BytesCoder())
    fixed.add(("a", LARGE, 1), ("a", b"y", 1))
    fixed.add(("a", LARGE, 2))
    fixed.watermark_us = Timestamp(10).micros
    fixed.grouping.advance(fixed.watermark_us, 0)
    chunk = in_chunk(fixed.grouping.take())
    assert chunk.bag is not None
    assert (chunk.bag.count, chunk.bag.owned) == (3, True)
    encoded = BytesCoder().get_impl().encode_nested
    assert list(values_of(fixed.store, chunk.bag)) == [
        encoded(LARGE) + encoded(b"y"),
        encoded(LARGE),
    ]
    # A late element has nothing to do with the rows that were handed over.
    late = fixed.add(("a", LARGE, 3))
    assert values(late) == [(LARGE,)]
    assert values(list(fixed.decode(chunk))) == [(LARGE, b"y", LARGE)]
    assert not fixed.watermark(MAX_TIMESTAMP)
    assert not fixed.rows()


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("end", [10, 11], ids=["expires with a pane", "expires after its panes"])
def test_accumulating_panes_share_their_values(feed: Make, end: int) -> None:
    """Panes that wait keep the values readable, beyond the end of their window."""
    growing = feed(
        FixedWindows(10),
        Repeatedly(AfterCount(1)),
        ACCUMULATING,
        value_coder=BytesCoder(),
    )
    growing.grouping.add(growing.encode([("a", LARGE, 1)]), 0)
    first = growing.grouping.take()
    growing.grouping.add(growing.encode([("a", b"y", 2)]), 0)
    second = growing.grouping.take()
    assert [in_chunk(chunks).bag.owned for chunks in (first, second)] == [False, False]  # type: ignore[union-attr]
    growing.watermark(end)
    assert values(list(growing.decode(in_chunk(second)))) == [(LARGE, b"y")]
    assert values(list(growing.decode(in_chunk(first)))) == [(LARGE,)]
    assert not growing.rows()


@pytest.mark.usefixtures("small_limits")
def test_last_pane_shares_its_values_too(feed: Make) -> None:
    """A trigger that finishes doesn't take the values from the panes before."""
    early = feed(
        FixedWindows(10),
        AfterWatermark(early=AfterCount(1)),
        ACCUMULATING,
        value_coder=BytesCoder(),
    )
    early.grouping.add(early.encode([("a", LARGE, 1)]), 0)
    first = early.grouping.take()
    early.grouping.advance(Timestamp(10).micros, 0)
    last = early.grouping.take()
    assert values(list(early.decode(in_chunk(last)))) == [(LARGE,)]
    assert values(list(early.decode(in_chunk(first)))) == [(LARGE,)]
    assert not early.rows()


def test_many_rows_move_when_sessions_merge(feed: Make) -> None:
    """The smaller part is copied page by page, whole."""
    sessions = feed(Sessions(5), value_coder=BytesCoder())
    parts = [bytes([65 + i]) * 600_000 for i in range(7)]
    for i, part in enumerate(parts):
        assert not sessions.add(("a", part, 0 if i < 3 else 8))
    assert not sessions.add(("a", b"between", 4))
    (pane,) = sessions.watermark(13)
    assert sorted(pane.values) == sorted([*parts, b"between"])
    assert not sessions.rows()


@pytest.mark.usefixtures("small_limits")
def test_sessions_merge_while_their_panes_wait(feed: Make) -> None:
    """What was fired before the merge reads as it was fired."""
    sessions = feed(
        Sessions(5),
        AfterWatermark(early=AfterCount(1)),
        ACCUMULATING,
        value_coder=BytesCoder(),
    )
    waiting = []
    for value, time in ((LARGE, 0), (LARGE + b"8", 8), (b"4", 4)):
        sessions.grouping.add(sessions.encode([("a", value, time)]), 0)
        waiting += sessions.grouping.take()
    sessions.grouping.advance(MAX_TIMESTAMP.micros, 0)
    waiting += sessions.grouping.take()
    panes = [sorted(pane.values) for chunk in waiting for pane in sessions.decode(chunk)]
    merged = sorted([LARGE, LARGE + b"8", b"4"])
    assert panes == [[LARGE], [LARGE + b"8"], merged, merged]
    assert not sessions.rows()


def test_large_values_are_written_from_where_they_lie(feed: Make) -> None:
    """One large value in a bundle is handed to the store without a copy."""
    fixed = feed(FixedWindows(10), value_coder=BytesCoder())
    data = fixed.encode([("a", b"z" * 5_000, 1)])
    with mock.patch.object(fixed.store, "append", wraps=fixed.store.append) as append:
        fixed.grouping.add(data, 0)
    ((_, row), _) = append.call_args
    assert isinstance(row, memoryview)
    assert row.obj is data


def test_small_panes_lie_together(feed: Make) -> None:
    """Many panes make few chunks, of about a MiB, each held by its earliest pane."""
    fixed = feed(FixedWindows(10), value_coder=BytesCoder())
    fixed.add(*((f"{i}", b"v" * 2_000, 25 - i % 20) for i in range(1_000)))
    fixed.grouping.advance(MAX_TIMESTAMP.micros, 0)
    chunks = fixed.grouping.take()
    assert 2 <= len(chunks) <= 3
    assert all(len(chunk.data or b"") < (1 << 20) + 3_000 for chunk in chunks)
    assert chunks[0].hold_us == 9_999_000
    assert len([pane for chunk in chunks for pane in fixed.decode(chunk)]) == 1_000


def test_advance_is_bounded(feed: Make, store: Store) -> None:
    """With many panes due it returns after some, the rest holds the watermark and comes next."""
    fixed = feed(FixedWindows(10), value_coder=BytesCoder())
    fixed.add(*((f"{i}", b"v" * 500_000, 1) for i in range(6)))
    found = 0
    with (
        mock.patch.object(grouping, "_CHUNKS_MAX", 1),
        mock.patch.object(group, "_PANE_INLINE_MAX", 1 << 20),
    ):
        while more := fixed.grouping.advance(Timestamp(10).micros, 0):
            assert fixed.grouping.hold_us() == 9_998_999
            chunks = fixed.grouping.take()
            assert len(chunks) == 1
            found += len(list(fixed.decode(chunks[0])))
    assert not more
    assert 0 < found < 6
    assert found + len(fixed.take()) == 6
    assert fixed.grouping.hold_us() is None


def test_rollback_returns_to_the_commit(feed: Make, store: Store) -> None:
    """After `reload` nothing is known of what was taken back, panes included."""
    counting = feed(FixedWindows(10), Repeatedly(AfterCount(2)), ACCUMULATING)
    counting.add(("a", 1, 1))
    store.commit()
    store.begin()
    counting.grouping.add(counting.encode([("a", 2, 1), ("b", 3, 1), ("b", 4, 1)]), 0)
    counting.grouping.add(counting.encode([("a", 5, 1)]), Timestamp(10).micros)
    assert counting.grouping.dropped == 1
    store.rollback()
    counting.grouping.reload()
    store.begin()
    assert counting.grouping.dropped == 0
    assert not counting.take()
    assert values(counting.add(("a", 6, 1), ("b", 7, 1))) == [(1, 6)]
    assert values(counting.watermark(10)) == [(7,)]


@pytest.mark.usefixtures("small_limits")
def test_cells_are_never_used_twice(feed: Make, store: Store) -> None:
    """A restart goes on with new cells: an old one may belong to a pane that waits."""
    fixed = feed(FixedWindows(10), value_coder=BytesCoder())
    cells = set()
    for start in range(0, 30, 10):
        fixed.grouping.add(fixed.encode([("a", LARGE, start)]), fixed.watermark_us)
        fixed.watermark_us = Timestamp(start + 10).micros
        fixed.grouping.advance(fixed.watermark_us, 0)
        cells.add(in_chunk(fixed.grouping.take()).bag.cell)  # type: ignore[union-attr]
        store.commit()
        store.begin()
        fixed.open(store)
    assert len(cells) == 3


def test_groupings_keep_apart(store: Store) -> None:
    """Two groupings of one store don't see each other's elements."""
    first, second = (Feed(Windowing(FixedWindows(10)), store) for _ in range(2))
    second.grouping = grouping.Grouping(
        "step/group2", second.windowing, second.input_coder, second.output_coder, store, Timestamp
    )
    first.add(("a", 1, 1))
    second.add(("a", 2, 1))
    assert values(first.watermark(10)) == [(1,)]
    assert values(second.watermark(10)) == [(2,)]


def test_unwindowed_firings_leave_nothing_but_their_numbers(feed: Make, store: Store) -> None:
    """In a global window that never ends, discarded values take no room."""
    always = feed(GlobalWindows(), Repeatedly(AfterCount(1)), DISCARDING, value_coder=BytesCoder())
    for i in range(20):
        assert [p.info.index for p in always.add(("a", b"v" * 3_000, i))] == [i]
    (timer,) = store.timers("group:step/group", b"")
    assert len(timer.data) < 50
    assert always.rows() == 1


def test_release_of_a_shared_bag_takes_all_who_read_it(feed: Make, store: Store) -> None:
    """A cell that is done with goes with the last of its bags, not before."""
    with (
        mock.patch.object(group, "_INLINE_MAX", 0),
        mock.patch.object(group, "_PANE_INLINE_MAX", 0),
    ):
        always = feed(GlobalWindows(), Always(), ACCUMULATING)
        bags = []
        for value in (1, 2, 3):
            always.grouping.add(always.encode([("a", value, 1)]), 0)
            bags.append(in_chunk(always.grouping.take()).bag)
        always.grouping.advance(MAX_TIMESTAMP.micros, 0)
    for bag in (bags[1], bags[0]):
        assert bag is not None
        release(store, bag)
        assert store.read(bag.cell)
    assert bags[2] is not None
    release(store, bags[2])
    assert not store.read(bags[2].cell)
    assert not always.rows()


def test_trigger_of_another_kind_is_refused(feed: Make) -> None:
    """What the model does not have can't be executed; it says which."""

    class Whim(TriggerFn):
        def __repr__(self) -> str:
            return "Whim"

    Whim.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="Whim is no trigger"):
        feed(GlobalWindows(), Repeatedly(Whim()), DISCARDING)


def test_iterable_of_any_length_is_readable(feed: Make) -> None:
    """A pane of nothing is an empty iterable."""
    early = feed(FixedWindows(10), AfterWatermark(early=AfterCount(1)), DISCARDING)
    assert values(early.add(("a", 1, 1))) == [(1,)]
    assert values(early.watermark(10)) == [()]
    assert isinstance(early.output_coder.wrapped_value_coder.coders()[1], IterableCoder)
