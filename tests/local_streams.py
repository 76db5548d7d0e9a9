"""Runs TestStreams on the local runner, and keeps what comes out, for tests against a model."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders.coders import IntervalWindowCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    Sessions,
    SlidingWindows,
    TimestampedValue,
    WindowFn,
)

from runners.local import LocalRunner
from tests import local_model as model

GLOBAL = model.Window(-1e9, 1e9)
GAP_S = 4

_observed: dict[int, dict[str, list[Observed]]] = defaultdict(lambda: defaultdict(list))
_runs = itertools.count()


class Day(NonMergingWindowFn):
    """A window function of our own: three seconds of night, then seven of day."""

    def assign(self, assign_context: WindowFn.AssignContext) -> list[IntervalWindow]:
        """Return the one window of the time."""
        (window,) = _days(float(assign_context.timestamp))
        return [IntervalWindow(*window)]

    def get_window_coder(self) -> IntervalWindowCoder:
        """Return Beam's coder: the windows are its intervals."""
        return IntervalWindowCoder()


def _fixed(time: float) -> list[model.Window]:
    return [model.Window(time // 10 * 10, time // 10 * 10 + 10)]


def _days(time: float) -> list[model.Window]:
    start = time // 10 * 10
    night = time < start + 3
    return [model.Window(start, start + 3) if night else model.Window(start + 3, start + 10)]


def _sliding(time: float) -> list[model.Window]:
    last = time // 4 * 4
    starts = (last, last - 4, last - 8)
    return [model.Window(start, start + 10) for start in starts if start > time - 10]


class Kind(NamedTuple):
    """A window function of Beam, and what it does in the words of the model."""

    windowfn: WindowFn
    assign: Callable[[float], list[model.Window]]
    merges: bool = False


KINDS = {
    "fixed": Kind(FixedWindows(10), _fixed),
    "sliding": Kind(SlidingWindows(10, 4), _sliding),
    "session": Kind(Sessions(GAP_S), lambda t: [model.Window(t, t + GAP_S)], merges=True),
    "global": Kind(GlobalWindows(), lambda _: [GLOBAL]),
    "custom": Kind(Day(), _days),
}


class Observed(NamedTuple):
    """An element, and what comes with it."""

    element: Any
    time: float
    window: Any
    pane: Any


class Observe(beam.DoFn):
    """Keeps what arrives, and passes it on.

    Args:
        run: the number of the run.
        name: under which it is kept.
    """

    def __init__(self, run: int, name: str) -> None:
        self._run, self._name = run, name

    def process(  # type: ignore[override]
        self,
        element: Any,
        time: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[Any]:
        """Keep an element."""
        found = Observed(element, time.micros / 1e6, window, pane)
        _observed[self._run][self._name].append(found)
        yield element


Steps = Callable[[beam.PCollection, Callable[[str], beam.PTransform]], object]
"""Adds steps to the stream; what is to be kept goes through what its second argument returns."""


def run(
    events: Sequence[Any], steps: Steps, argv: Sequence[str] = ()
) -> Mapping[str, list[Observed]]:
    """Run steps on a stream, and return what was kept, by name.

    With a state folder, a run that fails of ``Crash`` is started again, until none does. What is
    kept then is what all of them have seen, also of epochs that were taken back.

    Args:
        events: movements of clocks, and tuples of what has ``key`` and ``time``, which become
            pairs of the key and all of it as a tuple.
        steps: adds the steps.
        argv: more options.
    """
    number = next(_runs)
    try:
        while not _has_ended(number, events, steps, argv):
            assert argv, "a run without a state folder has crashed"
        return _observed[number]
    finally:
        _observed.pop(number, None)


def _has_ended(number: int, events: Sequence[Any], steps: Steps, argv: Sequence[str]) -> bool:
    options = PipelineOptions(list(argv), streaming=True, allow_unsafe_triggers=True)
    try:
        with beam.Pipeline(runner=LocalRunner(), options=options) as pipeline:
            steps(
                pipeline | "Events" >> _stream(events),
                lambda name: f"Observe {name}" >> beam.ParDo(Observe(number, name)),
            )
    except RuntimeError as error:
        if CrashError.__name__ not in str(error):
            raise
        return False
    return True


class CrashError(Exception):
    """Raised by a test within a step."""


def _stream(events: Sequence[Any]) -> TestStream:
    stream, watermark = TestStream(), -model.FOREVER
    for event in events:
        if isinstance(event, model.Later):
            stream = stream.advance_processing_time(event.seconds)
        elif not isinstance(event, model.Watermark):
            stream = stream.add_elements(
                [TimestampedValue((each.key, tuple(each)), each.time) for each in event]
            )
        elif event.time > watermark:  # A TestStream takes no other.
            stream, watermark = stream.advance_watermark_to(event.time), event.time
    return stream.advance_watermark_to_infinity()


def seen(observed: Observed) -> model.Pane:
    """Return a pane of numbers in the words of the model."""
    key, values = observed.element
    span, time, info = GLOBAL, observed.time, observed.pane
    if not isinstance(observed.window, GlobalWindow):
        span = model.Window(float(observed.window.start), float(observed.window.end))
    elif time > GLOBAL.end:
        time = GLOBAL.end - 0.001
    timing = ("EARLY", "ON_TIME", "LATE", "UNKNOWN")[info.timing]
    return model.Pane(
        key, span, tuple(sorted(values)), timing, info.index, info.nonspeculative_index, time
    )
