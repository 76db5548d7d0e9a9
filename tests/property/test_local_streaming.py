"""The local runner fires the panes of Beam's documented model, with simulated time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterAll,
    AfterAny,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    DefaultTrigger,
    Repeatedly,
    TriggerFn,
)
from apache_beam.transforms.window import FixedWindows, TimestampCombiner
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests import local_model as model
from tests.local_model import after, both, count, either
from tests.local_streams import KINDS, run, seen
from transforms.triggers import at_watermark, early, every

KEYS = "abcdef"
# Shrinking would run a pipeline for each of a thousand attempts; the failing example is printed.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
COMBINERS: dict[str, tuple[int, model.Combine | None]] = {
    "end": (TimestampCombiner.OUTPUT_AT_EOW, None),
    "earliest": (TimestampCombiner.OUTPUT_AT_EARLIEST, min),
    "latest": (TimestampCombiner.OUTPUT_AT_LATEST, max),
}


class When(NamedTuple):
    """A trigger, and what the model says about it."""

    trigger: TriggerFn
    early: model.Ready | None = None
    at_end: bool = True
    late: model.Ready | None = None
    once: bool = False


TRIGGERS = {
    "default": When(DefaultTrigger(), late=count(1)),
    "at_watermark": When(at_watermark(), late=count(1)),
    "early:3s": When(early(3), after(3), late=count(1)),
    "every 3 s": When(every(3), after(3), at_end=False, late=after(3)),
    "early count, late count": When(
        AfterWatermark(early=AfterCount(2), late=AfterCount(2)), count(2), late=count(2)
    ),
    "early count or time": When(
        AfterWatermark(early=AfterAny(AfterCount(3), AfterProcessingTime(4)), late=AfterCount(1)),
        either(count(3), after(4)),
        late=count(1),
    ),
    "late time": When(AfterWatermark(late=AfterProcessingTime(2)), late=after(2)),
    "end only": When(AfterWatermark()),
    "early, then end only": When(AfterWatermark(early=AfterCount(1)), count(1)),
    "every row": When(Repeatedly(AfterCount(1)), count(1), at_end=False, late=count(1)),
    "two rows and 3 s": When(
        Repeatedly(AfterAll(AfterCount(2), AfterProcessingTime(3))),
        both(count(2), after(3)),
        at_end=False,
        late=both(count(2), after(3)),
    ),
    "two rows once": When(AfterCount(2), count(2), at_end=False, late=count(2), once=True),
    "3 s once": When(AfterProcessingTime(3), after(3), at_end=False, late=after(3), once=True),
}


class Case(NamedTuple):
    """A window kind with the rest of a strategy."""

    kind: str
    accumulates: bool
    lateness: int
    combiner: str

    def strategy(self, when: When) -> model.Strategy:
        """Return the strategy for the model."""
        kind = KINDS[self.kind]
        return model.Strategy(
            kind.assign,
            when.early,
            at_end=when.at_end,
            late=when.late,
            once=when.once,
            merges=kind.merges,
            accumulates=self.accumulates,
            # The global window ends with the input: nothing is late.
            lateness=0 if self.kind == "global" else self.lateness,
            combine=COMBINERS[self.combiner][1],
        )

    def window_into(self, when: When) -> beam.WindowInto:
        """Return the same for Beam."""
        modes = AccumulationMode.DISCARDING, AccumulationMode.ACCUMULATING
        return beam.WindowInto(
            KINDS[self.kind].windowfn,
            trigger=when.trigger,
            accumulation_mode=modes[self.accumulates],
            allowed_lateness=self.lateness,
            timestamp_combiner=COMBINERS[self.combiner][0],
        )


def cases() -> st.SearchStrategy[list[Case]]:
    """Draw all window kinds in both accumulation modes."""
    each = [
        st.builds(Case, st.just(kind), st.just(mode), st.sampled_from([0, 3, 7, 100]),
                  st.sampled_from(sorted(COMBINERS)))
        for kind in KINDS for mode in (False, True)
    ]  # fmt: skip
    return st.tuples(*each).map(list)


@st.composite
def streams(draw: Callable[[Any], Any]) -> list[model.Event]:
    """Draw bundles of rows, around the watermark, between movements of both clocks."""
    events: list[model.Event] = []
    watermark, value = 0.0, 0
    for kind in draw(st.lists(st.sampled_from("rrrrwl"), min_size=20, max_size=40)):
        if kind == "w":
            watermark += draw(st.integers(0, 14)) / 2
            events.append(model.Watermark(watermark))
        elif kind == "l":
            events.append(model.Later(draw(st.integers(1, 4))))
        else:
            keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
            ages = [draw(st.integers(-12, 12)) for _ in keys]
            rows = [
                (key, max(0, int(watermark) + age)) for key, age in zip(keys, ages, strict=True)
            ]
            events.append(
                tuple(model.Row(key, value + i, time) for i, (key, time) in enumerate(rows))
            )
            value += len(rows)
    return events


def group(cases: Sequence[Case], when: When, stream: Any, observe: Any) -> None:
    """Add a grouping for each case."""
    rows = stream | "Value" >> beam.MapTuple(lambda key, row: (key, row[1]))
    for case in cases:
        name = str(tuple(case))
        windowed = rows | f"Window {name}" >> case.window_into(when)
        windowed | f"Group {name}" >> beam.GroupByKey() | observe(name)


def settled(panes: Iterable[model.Pane], reference: model.Model) -> dict[Any, list[model.Pane]]:
    """Return panes of which all is said by key and window; the order between them is open."""
    grouped: dict[Any, list[model.Pane]] = defaultdict(list)
    for pane in panes:
        if pane.key not in reference.extended:
            grouped[pane.key, pane.window].append(pane)
    return dict(grouped)


def check(case: Case, when: When, events: Sequence[model.Event], found: list[model.Pane]) -> None:
    """Compare the panes of a case with those of the model."""
    reference = model.Model(case.strategy(when))
    expected = reference.play(events)
    assert settled(found, reference) == settled(expected, reference)
    for key in reference.extended:
        # Which panes fire is open, but not which rows are in them.
        values = Counter(value for pane in found if pane.key == key for value in pane.values)
        wanted = {value for pane in expected if pane.key == key for value in pane.values}
        assert values.keys() <= wanted if when.once else values.keys() == wanted
        assert case.accumulates or set(values.values()) <= {1}


@pytest.mark.parametrize("trigger", TRIGGERS)
@settings(max_examples=4, phases=PHASES)
@given(events=streams(), cases=cases())
def test_panes(trigger: str, events: list[model.Event], cases: list[Case]) -> None:
    """Every window kind fires, with every trigger, the panes of the model, and drops its rows.

    Rows, timing, index and timestamp of all panes are compared, with and without accumulation, at
    all timestamp combiners and several allowed latenesses.
    """
    when = TRIGGERS[trigger]
    found = run(events, partial(group, cases, when))
    for case in cases:
        panes = list(map(seen, found.get(str(tuple(case)), ())))
        check(case, when, events, panes)


SHORT_S, OFFSET_S = 3, 0.25  # Ends of the next windows are times of no row: no limit is met.


def next_window(time: float) -> list[model.Window]:
    """Return the window of the second grouping."""
    start = (time - OFFSET_S) // SHORT_S * SHORT_S + OFFSET_S
    return [model.Window(start, start + SHORT_S)]


def regroup(cases: Sequence[Case], when: When, stream: Any, observe: Any) -> None:
    """Add two groupings for each case: the second has short windows, and allows no lateness."""
    rows = stream | "Value" >> beam.MapTuple(lambda key, row: (key, row[1]))
    for case in cases:
        name = str(tuple(case))
        panes = (
            rows | f"Window {name}" >> case.window_into(when) | f"Group {name}" >> beam.GroupByKey()
        )
        sums = panes | f"Sum {name}" >> beam.MapTuple(lambda key, values: (key, sum(values)))
        next_windows = beam.WindowInto(
            FixedWindows(SHORT_S, OFFSET_S),
            trigger=at_watermark(),
            accumulation_mode=AccumulationMode.DISCARDING,
        )
        regrouped = sums | f"Next window {name}" >> next_windows
        regrouped | f"Next group {name}" >> beam.GroupByKey() | observe(name)


def sums(strategy: model.Strategy, events: Iterable[model.Event]) -> Iterator[model.Event]:
    """Yield what the second grouping sees: a row for each pane, and the watermark behind them."""
    for panes, watermark in model.Model(strategy).steps(events):
        yield tuple(model.Row(pane.key, sum(pane.values), pane.time) for pane in panes)
        yield model.Watermark(watermark)


@pytest.mark.parametrize("trigger", ["at_watermark", "early count, late count", "every row"])
@settings(max_examples=4, phases=PHASES)
@given(events=streams(), cases=cases())
def test_panes_hold_the_watermark(
    trigger: str, events: list[model.Event], cases: list[Case]
) -> None:
    """What a pane holds is not late for the next grouping, and nothing is held any longer."""
    when = TRIGGERS[trigger]
    # Sessions that take no late rows are never moved on by one, of which nothing is said.
    cases = [
        case._replace(lateness=0) if case.kind == "session" else case
        for case in cases
        if case.kind != "global"
    ]
    found = run(events, partial(regroup, cases, when))
    for case in cases:
        next_strategy = model.Strategy(next_window, late=count(1))
        expected = model.Model(next_strategy).play(sums(case.strategy(when), events))
        panes = map(seen, found.get(str(tuple(case)), ()))
        assert Counter(panes) == Counter(expected), case
