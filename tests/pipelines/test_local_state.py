"""State and timers on the local runner: every kind, in both time domains, to their end."""

# ruff: noqa: PLR0917 - Beam wants state and timers as default arguments

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import trigger, userstate
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    Sessions,
    TimestampedValue,
    WindowFn,
)
from apache_beam.utils.timestamp import Duration, Timestamp

from runners.local import LocalRunner

PipelineOf = Callable[..., Pipeline]
KV = tuple[str, int]


@pytest.fixture(params=["memory", "disk", "workers"])
def pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> PipelineOf:
    """Makes pipelines: with temporary state, with a state folder, with two worker processes."""
    argv = {
        "memory": [],
        "disk": [f"--state_dir={tmp_path / 'state'}"],
        "workers": ["--workers=2"],
    }[request.param]
    return lambda *more: Pipeline(runner=LocalRunner(), options=PipelineOptions([*argv, *more]))


@pytest.fixture
def streaming() -> Pipeline:
    """A streaming pipeline with temporary state."""
    return Pipeline(runner=LocalRunner(), options=PipelineOptions(["--streaming"]))


# --- state --------------------------------------------------------------------------------------

BAG = userstate.BagStateSpec("bag", coders.VarIntCoder())
VALUE = userstate.ReadModifyWriteStateSpec("value", coders.VarIntCoder())
TOTAL = userstate.CombiningValueStateSpec("total", combine_fn=sum)
SET = userstate.SetStateSpec("set", coders.VarIntCoder())
LIST = userstate.OrderedListStateSpec("list", coders.VarIntCoder())


class Remember(beam.DoFn):
    """Yields what each kind of state has become by each element."""

    def process(
        self,
        element: KV,
        bag: Any = beam.DoFn.StateParam(BAG),
        value: Any = beam.DoFn.StateParam(VALUE),
        total: Any = beam.DoFn.StateParam(TOTAL),
        distinct: Any = beam.DoFn.StateParam(SET),
        ordered: Any = beam.DoFn.StateParam(LIST),
    ) -> Iterator[Any]:
        key, number = element
        before = value.read()
        bag.add(number)
        value.write(number)
        total.add(number)
        distinct.add(number % 3)
        ordered.add((Timestamp(-number), number))
        if number % 10 == 9:
            bag.clear()
            ordered.clear_range(Timestamp(-8), Timestamp(-5))
        entries = [entry for _, entry in ordered.read_range(Timestamp(-100), Timestamp(0))]
        yield (
            key,
            number,
            (sorted(bag.read()), before, total.read(), sorted(distinct.read()), entries),
        )


def remembered(key: str, numbers: Iterable[int]) -> Iterator[Any]:
    """Yield what `Remember` should yield for the numbers of a key in a window, in this order."""
    bag: list[int] = []
    entries: list[int] = []
    seen: set[int] = set()
    before, total = None, 0
    for number in numbers:
        total += number
        bag.append(number)
        seen.add(number % 3)
        entries.append(number)
        if number % 10 == 9:
            bag = []
            entries = [entry for entry in entries if not 5 < entry <= 8]
        positive = sorted((entry for entry in entries if entry), reverse=True)
        yield key, number, (sorted(bag), before, total, sorted(seen), positive)
        before = number


def test_every_kind_of_state(pipeline: PipelineOf) -> None:
    """Bag, value, accumulator, set and ordered list of each key and window go their own way.

    The elements come one by one, so that each is a bundle, and state must outlive bundles.
    """
    numbers = [0, 1, 5, 6, 7, 8, 9, 12, 19, 4]
    stream = Stream(coder=coders.FastPrimitivesCoder())
    for number in numbers:
        for start in (0, 60):
            stream.add_elements([TimestampedValue((key, number), start) for key in "ab"])
    expected = [row for key in "ab" for _ in range(2) for row in remembered(key, numbers)]
    with pipeline("--streaming") as p:
        rows = (
            p
            | stream.advance_watermark_to_infinity()
            | beam.WindowInto(FixedWindows(60))
            | beam.ParDo(Remember())
        )
        assert_that(rows | beam.Map(repr), equal_to([repr(row) for row in expected]))


class Gather(beam.DoFn):
    """Keeps large values in a bag, and tells about them when the last has come."""

    BAG = userstate.BagStateSpec("bag", coders.BytesCoder())

    def process(
        self, element: tuple[str, int], bag: Any = beam.DoFn.StateParam(BAG)
    ) -> Iterator[Any]:
        key, number = element
        if number < 12:
            bag.add(bytes([number]) * (3 << 20))
            return
        values = bag.read()
        yield key, [value[0] for value in values], sum(map(len, values))


def test_large_bags_are_read_whole(pipeline: PipelineOf) -> None:
    """A bag larger than a page, and than a message of gRPC, comes back in order, twice if asked."""
    stream = Stream(coder=coders.FastPrimitivesCoder()).advance_watermark_to(0)
    for number in range(13):
        stream.add_elements([("a", number)])
    with pipeline("--streaming") as p:
        told = p | stream.advance_watermark_to_infinity() | beam.ParDo(Gather())
        assert_that(told, equal_to([("a", list(range(12)), 36 << 20)]))


class Count(beam.DoFn):
    """Counts the elements of a key."""

    COUNT = userstate.CombiningValueStateSpec("count", combine_fn=sum)

    def process(self, element: KV, count: Any = beam.DoFn.StateParam(COUNT)) -> Iterator[KV]:
        count.add(1)
        yield element[0], count.read()


def test_state_of_many_keys(pipeline: PipelineOf) -> None:
    """Keys don't mix, whichever worker each of them is on."""
    with pipeline() as p:
        counts = (
            p
            | beam.Create([(f"k{number % 700}", number) for number in range(7_000)])
            | beam.Reshuffle()
            | beam.ParDo(Count())
            | beam.CombinePerKey(max)
        )
        assert_that(counts, equal_to([(f"k{number}", 10) for number in range(700)]))


# --- timers in event time -----------------------------------------------------------------------


class Alarms(beam.DoFn):
    """Sets and clears timers as its elements say, and tells what a callback is given."""

    TIMER = userstate.TimerSpec("timer", TimeDomain.WATERMARK)
    OTHER = userstate.TimerSpec("other", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, list[tuple[str, Any]]],
        timer: Any = beam.DoFn.TimerParam(TIMER),
        other: Any = beam.DoFn.TimerParam(OTHER),
    ) -> Iterator[Any]:
        key, orders = element
        for tag, at in orders:
            chosen, name = (other, tag[1:]) if tag.startswith("/") else (timer, tag)
            if at is None:
                chosen.clear(dynamic_timer_tag=name)
            else:
                chosen.set(at, dynamic_timer_tag=name)
        yield key, "process", [tag for tag, _ in orders]

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        key: Any = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        tag: Any = beam.DoFn.DynamicTimerTagParam,
        other: Any = beam.DoFn.TimerParam(OTHER),
    ) -> Iterator[Any]:
        if tag == "clears":
            other.clear(dynamic_timer_tag="cleared")
        yield key, tag, float(at), end_of(window)

    @userstate.on_timer(OTHER)
    def on_other(
        self,
        key: Any = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        tag: Any = beam.DoFn.DynamicTimerTagParam,
    ) -> Iterator[Any]:
        yield key, "/" + tag, float(at), end_of(window)


def end_of(window: Any) -> Any:
    """Return when a window ends; the global one has no end."""
    return "global" if isinstance(window, GlobalWindow) else float(window.end)


class WithTime(beam.DoFn):
    """Puts the element time and the window's end beside each element."""

    def process(
        self,
        element: Any,
        at: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        yield element, float(at), end_of(window)


def fired(alarms: Any) -> Any:
    """Return what callbacks have yielded, with time and window."""
    return alarms | beam.ParDo(WithTime()) | beam.Filter(lambda row: row[0][1] != "process")


def test_callbacks_are_given_time_tag_and_window(pipeline: PipelineOf) -> None:
    """A callback knows its key, time, tag and window, and its output has that time and window."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements(
            [
                TimestampedValue(("a", [("", 15), ("x", 25.5), ("/x", 35)]), 10),
                TimestampedValue(("b", [("", 90)]), 70),
            ]
        )
        .advance_watermark_to_infinity()
    )
    with pipeline("--streaming") as p:
        rows = p | stream | beam.WindowInto(FixedWindows(60)) | beam.ParDo(Alarms())
        assert_that(
            fired(rows),
            equal_to(
                [
                    (("a", "", 15.0, 60.0), 15.0, 60.0),
                    (("a", "x", 25.5, 60.0), 25.5, 60.0),
                    (("a", "/x", 35.0, 60.0), 35.0, 60.0),
                    (("b", "", 90.0, 120.0), 90.0, 120.0),
                ]
            ),
        )


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([("", 5), ("", 15)], [("", 15.0)]),
        ([("", 15), ("", 5)], [("", 5.0)]),
        ([("", 5), ("", None)], []),
        ([("", None), ("", 5)], [("", 5.0)]),
        ([("a", 5), ("b", 6), ("a", None)], [("b", 6.0)]),
        ([("clears", 5), ("/cleared", 7), ("/stays", 7)], [("clears", 5.0), ("/stays", 7.0)]),
        ([("clears", 8), ("/cleared", 7)], [("/cleared", 7.0), ("clears", 8.0)]),
    ],
)
def test_timers_are_reset_and_cleared(streaming: Pipeline, orders: Any, expected: Any) -> None:
    """The last setting counts; a callback clears the timers that are later than its own.

    All of them are due at once when the watermark jumps.
    """
    stream = Stream(coder=coders.FastPrimitivesCoder()).advance_watermark_to(0)
    stream.add_elements([("a", orders)]).advance_watermark_to(50).advance_watermark_to_infinity()
    with streaming as p:
        alarms = p | stream | beam.ParDo(Alarms())
        seen = fired(alarms) | beam.Map(lambda row: (row[0][1], row[0][2]))
        assert_that(seen, equal_to(expected))


class Journal(beam.DoFn):
    """Keeps in order what a key lives through: elements, and timers set for their times."""

    SEEN = userstate.BagStateSpec("seen", coders.StrUtf8Coder())
    TIMER = userstate.TimerSpec("timer", TimeDomain.WATERMARK)
    END = userstate.TimerSpec("end", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, int],
        seen: Any = beam.DoFn.StateParam(SEEN),
        timer: Any = beam.DoFn.TimerParam(TIMER),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        seen.add(f"element {element[1]}")
        timer.set(element[1], dynamic_timer_tag=str(element[1]))
        end.set(1_000)

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        at: Any = beam.DoFn.TimestampParam,
        seen: Any = beam.DoFn.StateParam(SEEN),
    ) -> None:
        seen.add(f"timer {int(at)}")

    @userstate.on_timer(END)
    def on_end(self, seen: Any = beam.DoFn.StateParam(SEEN)) -> Iterator[list[str]]:
        yield list(seen.read())


def test_timers_fire_when_the_watermark_has_come(streaming: Pipeline) -> None:
    """A timer fires between the elements that come before and after its time has passed."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements([("a", 10), ("a", 20), ("a", 30)])
        .advance_watermark_to(9)
        .add_elements([("a", 5)])
        .advance_watermark_to(20)
        .add_elements([("a", 25)])
        .advance_watermark_to(29.999)
        .add_elements([("a", 40)])
        .advance_watermark_to_infinity()
    )
    expected = [
        *("element 10", "element 20", "element 30"),
        *("element 5", "timer 5", "timer 10", "timer 20"),
        *("element 25", "timer 25"),
        *("element 40", "timer 30", "timer 40"),
    ]
    with streaming as p:
        assert_that(p | stream | beam.ParDo(Journal()), equal_to([expected]))


class Tick(beam.DoFn):
    """A looping timer: from the first element of a key on it fires every ten seconds."""

    LEFT = userstate.ReadModifyWriteStateSpec("left", coders.VarIntCoder())
    TIMER = userstate.TimerSpec("timer", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, int],
        at: Any = beam.DoFn.TimestampParam,
        left: Any = beam.DoFn.StateParam(LEFT),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None:
        left.write(element[1])
        timer.set(at + 10)

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        key: Any = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        left: Any = beam.DoFn.StateParam(LEFT),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> Iterator[KV]:
        ticks = left.read() - 1
        left.write(ticks)
        if ticks:
            timer.set(at + 10)
        yield key, int(at)


@pytest.mark.parametrize("steps", [[1_000], [15, 16, 30, 47, 1_000], []])
def test_looping_timer_holds_the_watermark_at_each_step(
    pipeline: PipelineOf, steps: list[int]
) -> None:
    """Every tick comes at its time, however the watermark jumps, and is in time downstream."""
    stream = Stream(coder=coders.FastPrimitivesCoder()).advance_watermark_to(0)
    stream.add_elements([TimestampedValue(("a", 5), 3), TimestampedValue(("b", 2), 7)])
    for step in steps:
        stream.advance_watermark_to(step)
    stream.advance_watermark_to_infinity()
    with pipeline("--streaming") as p:
        minutes = (
            p
            | stream
            | beam.ParDo(Tick())
            | beam.WindowInto(
                FixedWindows(20), accumulation_mode=trigger.AccumulationMode.DISCARDING
            )
            | beam.GroupByKey()
            | beam.MapTuple(lambda key, ticks: (key, sorted(ticks)))
        )
        assert_that(
            minutes,
            equal_to([("a", [13]), ("a", [23, 33]), ("a", [43, 53]), ("b", [17]), ("b", [27])]),
        )


class EndOfWindow(beam.DoFn):
    """Sums what a key has in a window, and yields it when the window ends."""

    TOTAL = userstate.CombiningValueStateSpec("total", combine_fn=sum)
    END = userstate.TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s

    def process(
        self,
        element: KV,
        window: Any = beam.DoFn.WindowParam,
        total: Any = beam.DoFn.StateParam(TOTAL),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        total.add(element[1])
        end.set(window.end + self._after_s)

    @userstate.on_timer(END)
    def on_end(
        self, key: Any = beam.DoFn.KeyParam, total: Any = beam.DoFn.StateParam(TOTAL)
    ) -> Iterator[KV]:
        yield key, total.read()


@pytest.mark.parametrize("after_s", [-1, 0, 25])
def test_state_is_there_when_the_end_of_the_window_fires(
    pipeline: PipelineOf, after_s: int
) -> None:
    """A timer at the end of its window, or beyond it, still finds the window's state."""
    stream = Stream(coder=coders.FastPrimitivesCoder()).advance_watermark_to(0)
    for start in (0, 60, 120):
        stream.add_elements([TimestampedValue(("a", start + n), start + n) for n in range(3)])
        stream.advance_watermark_to(start + 59)
        stream.advance_watermark_to(start + 60)
    stream.advance_watermark_to_infinity()
    with pipeline("--streaming") as p:
        sums = p | stream | beam.WindowInto(FixedWindows(60)) | beam.ParDo(EndOfWindow(after_s))
        assert_that(sums, equal_to([("a", 3), ("a", 183), ("a", 363)]))


def test_timers_in_sessions(streaming: Pipeline) -> None:
    """Behind a grouping by sessions, state and timers are of the merged session."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements([TimestampedValue(("a", at), at) for at in (1, 5, 8, 30, 33)])
        .advance_watermark_to_infinity()
    )
    with streaming as p:
        rows = (
            p
            | stream
            | beam.WindowInto(Sessions(10))
            | beam.GroupByKey()
            | beam.MapTuple(lambda key, at: (key, [("", max(at) + 1)]))
            | beam.ParDo(Alarms())
        )
        expected = [
            (("a", "", 9.0, 18.0), 9.0, 18.0),
            (("a", "", 34.0, 43.0), 34.0, 43.0),
        ]
        assert_that(fired(rows), equal_to(expected))


def test_late_elements_meet_the_state_within_the_lateness(streaming: Pipeline) -> None:
    """Within the allowed lateness a window has its state; what comes later is dropped."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements([TimestampedValue(("a", 1), 5)])
        .advance_watermark_to(80)
        .add_elements([TimestampedValue(("a", 2), 6)])
        .advance_watermark_to(95)
        .add_elements([TimestampedValue(("a", 3), 7)])
        .advance_watermark_to_infinity()
    )
    with streaming as p:
        counts = (
            p
            | stream
            | beam.WindowInto(FixedWindows(60), allowed_lateness=Duration(30))
            | beam.ParDo(Count())
        )
        assert_that(counts, equal_to([("a", 1), ("a", 2)]))


# --- timers in processing time ------------------------------------------------------------------


class Later(beam.DoFn):
    """Keeps elements until some seconds of processing time after the first."""

    KEPT = userstate.BagStateSpec("kept", coders.VarIntCoder())
    TIMER = userstate.TimerSpec("timer", TimeDomain.REAL_TIME)

    def __init__(self, delay_s: float, now: Callable[[], float] = time.time) -> None:
        self._delay_s, self._now = delay_s, now

    def process(
        self,
        element: KV,
        kept: Any = beam.DoFn.StateParam(KEPT),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None:
        if not any(True for _ in kept.read()):
            timer.set(Timestamp.of(self._now() + self._delay_s))
        kept.add(element[1])

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        key: Any = beam.DoFn.KeyParam,
        kept: Any = beam.DoFn.StateParam(KEPT),
    ) -> Iterator[Any]:
        numbers = sorted(kept.read())
        kept.clear()
        yield key, numbers


def test_simulated_clock_fires_timers(streaming: Pipeline) -> None:
    """Timers of the clock fire by the clock of the TestStream, whatever the watermark does."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements([("a", 1)])
        .advance_processing_time(5)
        .add_elements([("a", 2)])
        .advance_watermark_to(1_000)
        .add_elements([("a", 3)])
        .advance_processing_time(5)
        .add_elements([("a", 4)])
        .advance_processing_time(20)
        .advance_watermark_to_infinity()
    )
    with streaming as p:
        batches = p | stream | beam.ParDo(Later(10, lambda: 0))
        assert_that(batches, equal_to([("a", [1, 2, 3]), ("a", [4])]))


@pytest.mark.parametrize("windows", [None, FixedWindows(60)])
def test_bounded_input_waits_for_the_clock(pipeline: PipelineOf, windows: Any) -> None:
    """A pipeline whose input is over ends after its timers of the clock, not before."""
    started_s = time.time()
    with pipeline() as p:
        numbers = p | beam.Create([("a", 1), ("a", 2), ("b", 3)])
        if windows:
            numbers = numbers | beam.WindowInto(windows)
        assert_that(numbers | beam.ParDo(Later(2)), equal_to([("a", [1, 2]), ("b", [3])]))
    assert time.time() - started_s >= 2


class Heartbeat(beam.DoFn):
    """A looping timer of the clock that an element of zero stops."""

    BEATS = userstate.CombiningValueStateSpec("beats", combine_fn=sum)
    TIMER = userstate.TimerSpec("timer", TimeDomain.REAL_TIME)

    def process(
        self,
        element: KV,
        beats: Any = beam.DoFn.StateParam(BEATS),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> Iterator[KV]:
        if element[1]:
            timer.set(Timestamp(element[1]))
        else:
            timer.clear()
            yield element[0], beats.read()

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        at: Any = beam.DoFn.TimestampParam,
        beats: Any = beam.DoFn.StateParam(BEATS),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None:
        beats.add(1)
        timer.set(at + 10)


def test_looping_timer_of_the_clock_is_stopped(streaming: Pipeline) -> None:
    """It beats at each of its times, at all that a jump of the clock passes, until stopped."""
    stream = (
        Stream(coder=coders.FastPrimitivesCoder())
        .advance_watermark_to(0)
        .add_elements([("a", 10)])
        .advance_processing_time(25)
        .advance_processing_time(20)
        .add_elements([("a", 0)])
        .advance_processing_time(100)
        .advance_watermark_to_infinity()
    )
    with streaming as p:
        assert_that(p | stream | beam.ParDo(Heartbeat()), equal_to([("a", 4)]))


# --- failure ------------------------------------------------------------------------------------


class FailOnce(beam.DoFn):
    """Counts elements in state, and fails the first time that an element, or a timer, says so."""

    COUNT = userstate.CombiningValueStateSpec("count", combine_fn=sum)
    TIMER = userstate.TimerSpec("timer", TimeDomain.REAL_TIME)

    def __init__(self, flag: str, *, in_timer: bool) -> None:
        self._flag, self._in_timer = flag, in_timer

    def process(
        self,
        element: KV,
        count: Any = beam.DoFn.StateParam(COUNT),
        timer: Any = beam.DoFn.TimerParam(TIMER),
    ) -> None:
        count.add(1)
        timer.set(Timestamp.now())
        if not self._in_timer and element[1] == 70:
            self._fail()

    @userstate.on_timer(TIMER)
    def on_timer(
        self,
        key: Any = beam.DoFn.KeyParam,
        count: Any = beam.DoFn.StateParam(COUNT),
    ) -> Iterator[KV]:
        if self._in_timer:
            self._fail()
        yield key, count.read()

    def _fail(self) -> None:
        if not Path(self._flag).exists():
            Path(self._flag).touch()
            raise RuntimeError("the first time")


@pytest.mark.parametrize("in_timer", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_failed_epoch_leaves_nothing_in_state(tmp_path: Path, in_timer: bool, workers: int) -> None:
    """What a failed epoch has written, harnesses forget too: each element is counted once."""
    argv = [f"--state_dir={tmp_path / 'state'}", "--max_attempts=2", f"--workers={workers}"]
    with Pipeline(runner=LocalRunner(), options=PipelineOptions(argv)) as p:
        counts = (
            p
            | beam.Create([(f"k{number % 7}", number) for number in range(140)])
            | beam.Reshuffle()
            | beam.ParDo(FailOnce(str(tmp_path / "failed"), in_timer=in_timer))
            | beam.CombinePerKey(max)
        )
        assert_that(counts, equal_to([(f"k{number}", 20) for number in range(7)]))
    assert (tmp_path / "failed").exists()


def test_next_start_finds_state_and_timers(tmp_path: Path) -> None:
    """A job that failed in a timer's callback goes on from the timer, with the state behind it."""
    argv = [f"--state_dir={tmp_path / 'state'}", "--max_attempts=1", "--job_name=again"]
    out = tmp_path / "out"

    def run() -> None:
        with beam.Pipeline(runner=LocalRunner(), options=PipelineOptions(argv)) as p:
            _ = (
                p
                | beam.Create([("a", number) for number in range(10)])
                | beam.Reshuffle()
                | beam.ParDo(FailOnce(str(tmp_path / "failed"), in_timer=True))
                | beam.Map(lambda row: out.write_text(repr(row)))
            )

    with pytest.raises(RuntimeError, match="the first time"):
        run()
    assert not out.exists()
    run()
    assert out.read_text() == "('a', 10)"


@pytest.mark.parametrize("window", [FixedWindows(10), GlobalWindows()])
def test_what_a_timer_gives_at_the_end_of_its_window_is_in_time(window: WindowFn) -> None:
    """A GroupByKey of the same window waits for the rest of a batch, which comes at its end."""
    with Pipeline(runner=LocalRunner()) as pipeline:
        batches = (
            pipeline
            | beam.Create([TimestampedValue(("k", n), n) for n in range(5)]).with_output_types(KV)
            | beam.WindowInto(window)
            | beam.GroupIntoBatches(3)
            | beam.MapTuple(lambda key, batch: (key, len(batch))).with_output_types(KV)
            | beam.GroupByKey()
        )
        assert_that(batches, equal_to([("k", [3, 2])]))
