"""State and timers on the local runner, with simulated time, against Beam's documented model."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.userstate import (
    CombiningValueStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import FixedWindows, GlobalWindow, GlobalWindows
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests import local_model as model
from tests.local_streams import GLOBAL, KINDS, CrashError, Observed, run, seen
from tests.timer_model import EVENT, PROCESSING, Fired, Order, TimerModel
from transforms.triggers import at_watermark

KEYS = "abcdef"
TAGS = "xyz"
LATENESS_S = 5
# Shrinking would run a pipeline for each of a thousand attempts; the failing example is printed.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


class Timers(beam.DoFn):
    """Sets timers as its elements say, and yields what fires."""

    EVENT_TIMER = TimerSpec(EVENT, TimeDomain.WATERMARK)
    PROCESSING_TIMER = TimerSpec(PROCESSING, TimeDomain.REAL_TIME)
    ORDERS = ReadModifyWriteStateSpec("orders", PickleCoder())
    SEEN = CombiningValueStateSpec("seen", sum)

    def process(  # type: ignore[override]
        self,
        element: Any,
        event: Any = beam.DoFn.TimerParam(EVENT_TIMER),
        processing: Any = beam.DoFn.TimerParam(PROCESSING_TIMER),
        orders: Any = beam.DoFn.StateParam(ORDERS),
        seen: Any = beam.DoFn.StateParam(SEEN),
    ) -> None:
        """Set or clear a timer."""
        order = Order(*element[1])
        seen.add(1)
        orders.write({**(orders.read() or {}), (order.domain, order.tag): order})
        timer = event if order.domain == EVENT else processing
        if order.to is None:
            timer.clear(dynamic_timer_tag=order.tag)
        else:
            timer.set(order.to, dynamic_timer_tag=order.tag)

    @on_timer(EVENT_TIMER)
    def on_event_time(
        self,
        tag: Any = beam.DoFn.DynamicTimerTagParam,
        time: Any = beam.DoFn.TimestampParam,
        timer: Any = beam.DoFn.TimerParam(EVENT_TIMER),
        orders: Any = beam.DoFn.StateParam(ORDERS),
        seen: Any = beam.DoFn.StateParam(SEEN),
    ) -> Iterator[Any]:
        """Yield what fires in event time."""
        order = _follow((EVENT, tag), timer, orders)
        if float(time) != order.to:
            raise AssertionError(f"the timer of {order} has fired at {time}")
        yield order.key, (order, seen.read())

    @on_timer(PROCESSING_TIMER)
    def on_processing_time(
        self,
        tag: Any = beam.DoFn.DynamicTimerTagParam,
        timer: Any = beam.DoFn.TimerParam(PROCESSING_TIMER),
        orders: Any = beam.DoFn.StateParam(ORDERS),
        seen: Any = beam.DoFn.StateParam(SEEN),
    ) -> Iterator[Any]:
        """Yield what fires in processing time."""
        order = _follow((PROCESSING, tag), timer, orders)
        yield order.key, (order, seen.read())


def _follow(slot: tuple[str, str], timer: Any, orders: Any) -> Order:
    """Do what a timer does when it fires; return what has set it."""
    known: dict[Any, Order] = dict(orders.read())
    order = known[slot]
    if order.clears is not None:
        timer.clear(dynamic_timer_tag=order.clears)
    if order.again and order.to is not None:
        to = order.to + order.step
        timer.set(to, dynamic_timer_tag=order.tag)
        known[slot] = order._replace(to=to, again=order.again - 1)
        orders.write(known)
    return order


def fired(observed: Observed) -> Fired:
    """Return what has fired in the words of the model."""
    key, (order, count) = observed.element
    window = observed.window
    span = GLOBAL
    if not isinstance(window, GlobalWindow):
        span = model.Window(float(window.start), float(window.end))
    return Fired(key, span, order.domain, order.tag, order.to, order.number, count)


@st.composite
def streams(
    draw: Callable[[Any], Any], kind: str, domains: Sequence[str] = (EVENT, PROCESSING)
) -> list[Any]:
    """Draw elements that set timers, between movements of both clocks.

    Tags have fractions of a second of their own: no two timers of a key are due at one time, of
    which any may be first. Timers in event time stay within the windows of their elements.
    """
    events: list[Any] = []
    watermark, now, number = 0.0, 0, 0
    for step in draw(st.lists(st.sampled_from("eeewl"), min_size=20, max_size=40)):
        if step == "w":
            watermark += draw(st.integers(1, 14)) / 2
            events.append(model.Watermark(watermark))
        elif step == "l":
            seconds = draw(st.integers(1, 4))
            now += seconds
            events.append(model.Later(seconds))
        else:
            keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
            orders = []
            for key in keys:
                number += 1
                time = max(0, int(watermark) + draw(st.integers(-8, 8)))
                domain = draw(st.sampled_from(domains))
                tag = draw(st.sampled_from(TAGS))
                order = Order(key, number, time, domain, tag, None)
                if draw(st.integers(0, 5)):
                    end = min(window.end for window in KINDS[kind].assign(time))
                    order = draw(settings_of(order, end if domain == EVENT else now + 12, now))
                orders.append(order)
            events.append(tuple(orders))
    return events


@st.composite
def settings_of(draw: Callable[[Any], Any], order: Order, end: float, now: int) -> Order:
    """Draw when a timer fires, and what it does then."""
    since = now if order.domain == PROCESSING else max(0, int(order.time) - 6)
    last = int(min(end, since + 20)) - 1
    to = draw(st.integers(min(since, last), last))
    step = draw(st.integers(1, 4))
    again = draw(st.integers(0, min(3, (last - to) // step)))
    clears = draw(st.sampled_from([None, None, *TAGS]))
    if clears == order.tag:
        clears = None
    fraction = TAGS.index(order.tag) / 4
    return order._replace(to=to + fraction, again=again, step=float(step), clears=clears)


def in_order(fired: Iterable[Fired]) -> dict[Any, list[Fired]]:
    """Return what has fired by key, window and domain: between those, any order will do."""
    grouped: dict[Any, list[Fired]] = defaultdict(list)
    for each in fired:
        grouped[each.key, each.window, each.domain].append(each)
    return dict(grouped)


@pytest.mark.parametrize("kind", ["fixed", "sliding", "global"])
@settings(max_examples=8, phases=PHASES)
@given(data=st.data())
def test_timers(kind: str, data: st.DataObject) -> None:
    """Timers of both domains fire in order, with the state of their key, until windows expire."""
    events = data.draw(streams(kind))
    window_into = beam.WindowInto(KINDS[kind].windowfn, allowed_lateness=LATENESS_S)

    def steps(stream: Any, observe: Any) -> None:
        stream | window_into | beam.ParDo(Timers()) | observe("fired")

    lateness = 0 if kind == "global" else LATENESS_S
    expected = TimerModel(KINDS[kind].assign, lateness).play(events)
    found = map(fired, run(events, steps).get("fired", ()))
    assert in_order(found) == in_order(expected)


@pytest.mark.parametrize("kind", ["fixed", "sliding", "global"])
@settings(max_examples=8, phases=PHASES)
@given(data=st.data())
def test_timers_hold_the_watermark(kind: str, data: st.DataObject) -> None:
    """What a timer emits at its time is late for the next windows only if the timer was."""
    events = data.draw(streams(kind, domains=[EVENT]))

    def steps(stream: Any, observe: Any) -> None:
        timed = (
            stream
            | beam.WindowInto(KINDS[kind].windowfn, allowed_lateness=LATENESS_S)
            | beam.ParDo(Timers())
            | beam.MapTuple(lambda key, value: (key, value[0].number))
        )
        next_windows = beam.WindowInto(
            FixedWindows(3), trigger=at_watermark(), accumulation_mode=AccumulationMode.DISCARDING
        )
        timed | "Next windows" >> next_windows | beam.GroupByKey() | observe("panes")

    lateness = 0 if kind == "global" else LATENESS_S
    rows = TimerModel(KINDS[kind].assign, lateness).rows(events)
    strategy = model.Strategy(
        lambda time: [model.Window(time // 3 * 3, time // 3 * 3 + 3)], late=model.count(1)
    )
    expected = model.Model(strategy).play(rows)
    assert Counter(map(seen, run(events, steps).get("panes", ()))) == Counter(expected)


class Crash(beam.DoFn):
    """Raises at some of its elements, counted over all runs of a test.

    Args:
        name: of the count.
        at: the numbers of the elements.
    """

    def __init__(self, name: int, at: frozenset[int]) -> None:
        self._name, self._at = name, at

    def process(self, element: Any) -> Iterator[Any]:  # type: ignore[override]
        """Pass an element on, or not."""
        counted[self._name] += 1
        if counted[self._name] in self._at:
            raise CrashError
        yield element


counted: Counter[int] = Counter()
names = itertools.count()


@pytest.mark.parametrize("attempts", [1, 3])
@settings(max_examples=6, phases=PHASES)
@given(data=st.data(), at=st.frozensets(st.integers(1, 60), min_size=3, max_size=8))
def test_state_and_timers_survive_crashes(
    attempts: int, data: st.DataObject, at: frozenset[int]
) -> None:
    """After crashes, in this process or with another start, all is as if there had been none.

    Counts of elements in the state, and the panes of the next grouping, would tell of anything
    that was done twice.
    """
    events = data.draw(streams("fixed"))
    name = next(names)

    def steps(stream: Any, observe: Any) -> None:
        timed = (
            stream
            | beam.WindowInto(KINDS["fixed"].windowfn, allowed_lateness=LATENESS_S)
            | beam.ParDo(Timers())
            | beam.ParDo(Crash(name, at))
            | observe("fired")
        )
        keyed = timed | beam.MapTuple(lambda key, value: (key, value[0].number))
        everything = beam.WindowInto(GlobalWindows(), accumulation_mode=AccumulationMode.DISCARDING)
        keyed | "All" >> everything | beam.GroupByKey() | observe("all")

    expected = TimerModel(KINDS["fixed"].assign, LATENESS_S).play(events)
    with tempfile.TemporaryDirectory() as folder:
        argv = [f"--state_dir={folder}", "--job_name=crashes", f"--max_attempts={attempts}"]
        found = run(events, steps, argv)
    assert set(map(fired, found["fired"])) == set(expected)
    numbers: dict[str, list[int]] = defaultdict(list)
    for each in expected:
        numbers[each.key].append(each.number)
    panes = {observed.element[0]: sorted(observed.element[1]) for observed in found["all"]}
    assert panes == {key: sorted(fired) for key, fired in numbers.items()}
