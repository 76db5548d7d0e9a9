"""A grouping on the store fires the panes of Beam's trigger driver, through rollbacks too."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple
from unittest import mock

import pytest
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterAll,
    AfterAny,
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    Always,
    DataLossReason,
    DefaultTrigger,
    GeneralTriggerDriver,
    InMemoryUnmergedState,
    MergeableStateAdapter,
    OrFinally,
    Repeatedly,
    TriggerFn,
    _CombiningValueStateTag,
    _Never,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    TimestampCombiner,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfo
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from runners.local import group
from runners.local.store import Chunk, Store
from tests.groupings import Feed, Pane, Pulling, Shelves

WINDOWS = st.sampled_from(
    [
        GlobalWindows(),
        FixedWindows(10),
        SlidingWindows(20, 10),
        Sessions(5),
        Sessions(15),
        Shelves(),
        Pulling(),
    ]
)
COMBINERS = st.sampled_from(
    [
        TimestampCombiner.OUTPUT_AT_EOW,
        TimestampCombiner.OUTPUT_AT_EARLIEST,
        TimestampCombiner.OUTPUT_AT_LATEST,
    ]
)
MODES = st.sampled_from([AccumulationMode.DISCARDING, AccumulationMode.ACCUMULATING])


def presets(leaves: st.SearchStrategy[TriggerFn]) -> st.SearchStrategy[TriggerFn]:
    """Return what people write: a bare trigger, a repeated one, early and late firings."""
    repeated = leaves.map(Repeatedly) | st.lists(leaves, min_size=2, max_size=3).map(
        lambda parts: Repeatedly(AfterAny(*parts))
    )
    both = st.lists(leaves, min_size=2, max_size=2).map(lambda parts: Repeatedly(AfterAll(*parts)))
    around_end = st.builds(AfterWatermark, early=st.none() | leaves, late=st.none() | leaves)
    return st.just(DefaultTrigger()) | leaves | repeated | both | around_end


def trees(leaves: st.SearchStrategy[TriggerFn]) -> st.SearchStrategy[TriggerFn]:
    """Return any trigger that the model can express."""
    return st.recursive(
        presets(leaves),
        lambda inner: (
            inner.map(Repeatedly)
            | st.builds(AfterWatermark, early=st.none() | inner, late=st.none() | inner)
            | st.builds(OrFinally, inner, inner)
            | st.lists(inner, min_size=2, max_size=3).map(lambda parts: AfterAny(*parts))
            | st.lists(inner, min_size=2, max_size=3).map(lambda parts: AfterAll(*parts))
            | st.lists(inner, min_size=2, max_size=3).map(lambda parts: AfterEach(*parts))
        ),
        max_leaves=4,
    )


COUNTS = st.integers(1, 4).map(AfterCount)
LEAVES = COUNTS | st.sampled_from([Always(), _Never(), AfterWatermark()])


class Delay(AfterProcessingTime):
    """Beam's delay, with a due time that stays known until the trigger is reset.

    Beam's own forgets it with its timer: an `AfterAll` of it and something later never fires, and
    an `AfterAny` that it has fired never begins anew.
    """

    DUE = _CombiningValueStateTag("due", lambda times: min(times, default=MAX_TIMESTAMP))

    def on_element(self, element: Any, window: Any, context: Any) -> None:
        if context.get_state(self.DUE) == MAX_TIMESTAMP:
            due = context.get_current_time() + self.delay
            context.set_timer("", TimeDomain.REAL_TIME, due)
            context.add_state(self.DUE, due)

    def should_fire(self, time_domain: Any, timestamp: Any, window: Any, context: Any) -> bool:
        due = context.get_state(self.DUE)
        return bool(due != MAX_TIMESTAMP and due <= context.get_current_time())

    def on_fire(self, timestamp: Any, window: Any, context: Any) -> bool:
        context.clear_timer("", TimeDomain.REAL_TIME)
        return True

    def reset(self, window: Any, context: Any) -> None:
        context.clear_timer("", TimeDomain.REAL_TIME)
        context.clear_state(self.DUE)


def with_delays(trigger: Any) -> Any:
    """Return the trigger for the reference: with `Delay` in place of Beam's."""
    if isinstance(trigger, AfterProcessingTime):
        return Delay(trigger.delay)
    if isinstance(trigger, Repeatedly):
        return Repeatedly(with_delays(trigger.underlying))
    if isinstance(trigger, AfterWatermark):
        parts = (trigger.early, trigger.late)
        early, late = (with_delays(part) if part else None for part in parts)
        return AfterWatermark(early, late)
    if hasattr(trigger, "triggers"):
        return type(trigger)(*map(with_delays, trigger.triggers))
    return trigger


class Reference:
    """Beam's driver over Beam's state in memory, per key, with windows that expire."""

    def __init__(self, windowing: Windowing, *, batch: bool = False) -> None:
        self.windowing = windowing
        unwindowed = isinstance(windowing.windowfn, GlobalWindows)
        self.expires_on_time = batch or unwindowed or not windowing.allowed_lateness.micros
        loss = windowing.triggerfn.may_lose_data(windowing)
        self.loses = bool(loss & DataLossReason.MAY_FINISH)
        self.now = Timestamp(0)
        patched = Windowing(
            windowing.windowfn,
            with_delays(windowing.triggerfn),
            windowing.accumulation_mode,
            windowing.timestamp_combiner,
            windowing.allowed_lateness,
        )
        self.driver = GeneralTriggerDriver(patched, self)
        self.states: dict[str, InMemoryUnmergedState] = defaultdict(InMemoryUnmergedState)
        self.fired: set[Any] = set()
        self.dropped = 0

    def time(self) -> Timestamp:
        """Return the processing time, for the driver."""
        return self.now

    def expiry(self, window: Any) -> Timestamp:
        """Return the watermark that ends the window."""
        if isinstance(window, GlobalWindow):
            return MAX_TIMESTAMP
        return window.end + self.windowing.allowed_lateness

    def add(self, elements: list[Any], watermark: Timestamp) -> list[Pane]:
        """Add windowed pairs."""
        by_key = defaultdict(list)
        for windowed in elements:
            open_ = tuple(w for w in windowed.windows if watermark < self.expiry(w))
            self.dropped += len(windowed.windows) - len(open_)
            key, value = windowed.value
            by_key[key].append(type(windowed)(value, windowed.timestamp, open_))
        return [
            self.note(key, pane)
            for key, values in by_key.items()
            for pane in self.driver.process_elements(self.states[key], values, watermark, watermark)
        ]

    def note(self, key: str, pane: Any) -> Pane:
        """Return the driver's output as the next stage sees it."""
        (window,) = pane.windows
        self.fired.update(self.places(key, window, pane.value))
        timestamp = Timestamp(micros=pane.timestamp.micros // 1000 * 1000)
        info = pane.pane_info
        if self.windowing.is_default():
            # Beam's batch runners have another driver for this one.
            info = PaneInfo(True, True, info.timing, info.index, info.nonspeculative_index)
        return Pane(key, window, tuple(sorted(pane.value)), timestamp, info)

    def places(self, key: str, window: Any, values: Iterable[Any]) -> set[Any]:
        """Return what tells elements apart; merging windows change, but have an element once."""
        window = None if self.windowing.windowfn.is_merging() else window
        return {(key, value, window) for value in values}

    def advance(self, watermark: Timestamp) -> list[Pane]:
        """Fire timers, then let windows expire."""
        panes = []
        for key, state in self.states.items():
            while (due := self.take_due(state, watermark)) is not None:
                window_id, domain = due
                # The driver takes this time for the watermark in both domains.
                panes += [
                    self.note(key, pane)
                    for pane in self.driver.process_timer(window_id, "", domain, watermark, state)
                ]
            panes += self.expire(key, state, watermark)
        return panes

    def take_due(self, state: Any, watermark: Timestamp) -> tuple[int, Any] | None:
        """Take the timers of a window that are due, event time first: it is asked only once.

        Where a tree has several timers of one time, Beam asks it for each, and fires again.
        """
        ids = MergeableStateAdapter(state).window_ids.values()
        for domain, until in ((TimeDomain.WATERMARK, watermark), (TimeDomain.REAL_TIME, self.now)):
            for window_ids in ids:
                due = [
                    (window_id, timer)
                    for window_id in window_ids
                    for timer, time in state.timers.get(window_id, {}).items()
                    if timer[1] == domain and time <= until
                ]
                for window_id, (name, _, tag) in due:
                    state.clear_timer(window_id, name, domain, dynamic_timer_tag=tag)
                if due:
                    return due[0][0], domain
        return None

    def expire(self, key: str, state: Any, watermark: Timestamp) -> Iterator[Pane]:
        """Fire what waits in windows that are over, unless the trigger may lose it; remove them."""
        merged = MergeableStateAdapter(state)
        for window in merged.known_windows():
            if watermark < self.expiry(window):
                continue
            waits = merged.get_state(window, self.driver.ELEMENTS)
            closed = merged.get_state(window, self.driver.TOMBSTONE)
            unfired = self.places(key, window, waits) - self.fired
            if unfired and not closed and self.is_owed(window, merged, watermark):
                on_time = self.expires_on_time
                yield self.note(key, self.driver._output(window, True, merged, watermark, on_time))
            for window_id in merged.window_ids[window]:
                state.state.pop(window_id, None)
                state.timers.pop(window_id, None)
            del merged.window_ids[window]

    def is_owed(self, window: Any, state: Any, watermark: Timestamp) -> bool:
        """Tell whether a trigger that may finish would fire if one waited for long enough."""
        now, self.now = self.now, MAX_TIMESTAMP
        context = state.at(window, self)
        fires = self.driver.trigger_fn.should_fire(TimeDomain.WATERMARK, watermark, window, context)
        self.now = now
        return fires or not self.loses


class Steps(NamedTuple):
    """What happens, and what may be seen of it at once: (kind, argument)."""

    windowing: Windowing
    steps: list[tuple[str, Any]]
    sizes: tuple[int, int]


ELEMENTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60)), min_size=1, max_size=5)
STEPS = st.lists(
    st.tuples(st.just("add"), ELEMENTS)
    | st.tuples(st.just("watermark"), st.integers(1, 15))
    | st.tuples(st.just("clock"), st.integers(1, 6))
    | st.tuples(st.sampled_from(["commit", "rollback", "reopen", "consume"]), st.none()),
    max_size=25,
)


def runs(triggers: st.SearchStrategy[TriggerFn]) -> st.SearchStrategy[Steps]:
    """Return windowings with what happens to them."""
    windowings = st.builds(
        Windowing,
        WINDOWS,
        triggers,
        MODES,
        COMBINERS,
        st.sampled_from([0, 0, 7, 30]),
    )
    # Sizes up to which values are kept with a group, and copied into a chunk.
    sizes = st.sampled_from([(0, 0), (2, 3), (1 << 10, 256 << 10)])
    return st.builds(Steps, windowings, STEPS, sizes)


class Run:
    """Executes steps against both, with transactions that may be taken back and repeated."""

    def __init__(self, windowing: Windowing, store: Store) -> None:
        self.feed, self.reference = Feed(windowing, store), Reference(windowing)
        self.values = self.added = 0
        self.in_time: set[tuple[str, int]] = set()
        self.seen: set[Any] = set()
        self.promised_us = MIN_TIMESTAMP.micros
        self.panes: list[Pane] = []
        self.waiting: list[tuple[list[Chunk], Counter[Pane]]] = []
        self.since: list[tuple[str, Any, Counter[Pane]]] = []
        self.committed = self.mark()

    def mark(self) -> tuple[Any, ...]:
        """Return what a rollback returns to, beside the store."""
        feed = self.feed
        return feed.watermark_us, feed.now_us, list(self.waiting), list(self.panes)

    def step(self, kind: str, argument: Any) -> None:
        """Do one step."""
        if kind in ("commit", "rollback", "reopen", "consume"):
            getattr(self, kind)()
            return
        if kind == "add":
            argument = [(key, self.values + i, time) for i, (key, time) in enumerate(argument)]
            self.values += len(argument)
        expected = Counter(self.expect(kind, argument))
        self.since.append((kind, argument, expected))
        self.act(kind, argument, expected)
        self.check_promise(expected)

    def expect(self, kind: str, argument: Any) -> list[Pane]:
        """Return the reference's panes."""
        reference, watermark = self.reference, Timestamp(micros=self.feed.watermark_us)
        if kind == "add":
            elements = [self.feed.windowed(*element) for element in argument]
            self.in_time.update(
                windowed.value for windowed in elements if windowed.timestamp >= watermark
            )
            self.added += sum(len(windowed.windows) for windowed in elements)
            return reference.add(elements, watermark)
        if kind == "watermark":
            watermark = later(watermark, argument)
        else:
            reference.now += argument
        return reference.advance(watermark)

    def act(self, kind: str, argument: Any, expected: Counter[Pane]) -> None:
        """Do the same with the grouping; its panes wait to be consumed."""
        feed = self.feed
        if kind == "add":
            feed.grouping.add(feed.encode(argument), feed.watermark_us)
        else:
            if kind == "watermark":
                feed.watermark_us = later(Timestamp(micros=feed.watermark_us), argument).micros
            else:
                feed.now_us += argument * 1_000_000
            assert not feed.grouping.advance(feed.watermark_us, feed.now_us)
        chunks = feed.grouping.take()
        self.waiting.append((chunks, expected))

    def check_promise(self, panes: Iterable[Pane]) -> None:
        """No first pane of an element that came in time is behind the watermark that was told."""
        for pane in panes:
            seen = self.reference.places(pane.key, pane.window, pane.values)
            if any((key, value) in self.in_time for key, value, _ in seen - self.seen):
                assert pane.timestamp.micros >= self.promised_us
            self.seen |= seen
        hold_us = self.feed.grouping.hold_us()
        told_us = self.feed.watermark_us if hold_us is None else hold_us
        self.promised_us = max(self.promised_us, min(told_us, self.feed.watermark_us))

    def consume(self) -> None:
        """Read the panes that wait, however long ago they were fired."""
        for chunks, expected in self.waiting:
            panes = [pane for chunk in chunks for pane in self.feed.decode(chunk)]
            found = Counter(pane._replace(values=tuple(sorted(pane.values))) for pane in panes)
            assert found == expected
            self.panes += panes
        self.waiting = []

    def commit(self) -> None:
        """Commit, and begin the next transaction."""
        self.feed.store.commit()
        self.feed.store.begin()
        self.since, self.committed = [], self.mark()

    def rollback(self) -> None:
        """Return to the last commit, and do everything again."""
        feed = self.feed
        feed.store.rollback()
        feed.grouping.reload()
        feed.store.begin()
        feed.watermark_us, feed.now_us, waiting, panes = self.committed
        self.waiting, self.panes = list(waiting), list(panes)
        for step in self.since:
            self.act(*step)

    def reopen(self) -> None:
        """Go on with another object, as after a restart."""
        self.commit()
        self.feed.open(self.feed.store)

    def finish(self) -> None:
        """End the input; nothing may be left."""
        self.step("watermark", None)
        self.consume()
        assert self.feed.grouping.hold_us() is None
        assert self.feed.grouping.next_time_us() is None
        assert self.feed.rows() == 0


def later(time: Timestamp, seconds: int | None) -> Timestamp:
    """Return a later watermark; the first one is 0, and None ends the input."""
    if seconds is None:
        return MAX_TIMESTAMP
    return Timestamp(0) if time == MIN_TIMESTAMP else time + seconds


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()


@contextmanager
def store_in_transaction(store: Store) -> Iterator[None]:
    """Begin a transaction, and leave an empty store."""
    store.begin()
    try:
        yield
    finally:
        store.rollback()
        store.begin()
        for table in ("rows", "timers", "named"):
            store._database.write(f"DELETE FROM {table}")
        store.commit()


def check(run: Steps, store: Store) -> Run:
    """Execute all steps."""
    with (
        mock.patch.object(group, "_INLINE_MAX", run.sizes[0]),
        mock.patch.object(group, "_PANE_INLINE_MAX", run.sizes[1]),
        store_in_transaction(store),
    ):
        both = Run(run.windowing, store)
        for step in run.steps:
            both.step(*step)
        both.finish()
    event(f"panes: {min(len(both.panes), 5)}")
    return both


@settings(deadline=None)
@given(run=runs(trees(LEAVES)))
def test_panes_are_those_of_beams_driver(run: Steps, store: Store) -> None:
    """Event time and counts: any trigger, windows, mode; the same panes with the same numbers."""
    check(run, store)


@settings(deadline=None)
@given(run=runs(presets(COUNTS | st.integers(0, 8).map(AfterProcessingTime))))
def test_processing_time_is_not_taken_for_a_watermark(run: Steps, store: Store) -> None:
    """Processing time: the same panes as Beam's driver with a delay that remembers."""
    check(run, store)


@settings(deadline=None)
@given(run=runs(presets(LEAVES | st.integers(0, 8).map(AfterProcessingTime))))
def test_nothing_is_lost(run: Steps, store: Store) -> None:
    """What is not late is in a pane, in one alone if panes discard, unless the trigger finishes."""
    both = check(run, store)
    if both.reference.loses:
        return
    seen: Counter[Any] = Counter()
    for pane in both.panes:
        seen.update(both.reference.places(pane.key, pane.window, pane.values))
    assert len(seen) + both.reference.dropped == both.added
    if run.windowing.accumulation_mode == AccumulationMode.DISCARDING:
        assert set(seen.values()) <= {1}


@settings(deadline=None)
@given(
    windowing=st.builds(
        Windowing, WINDOWS, trees(LEAVES), MODES, COMBINERS, st.sampled_from([0, 7])
    ),
    bundles=st.lists(ELEMENTS, max_size=5),
)
def test_batch_fires_as_if_all_came_at_once(
    windowing: Windowing, bundles: list[list[tuple[str, int]]], store: Store
) -> None:
    """However a bounded input is split, panes are as in Beam's batch runners."""
    # What this function merges depends on what comes together.
    assume(not isinstance(windowing.windowfn, Pulling))
    with store_in_transaction(store):
        feed, reference = Feed(windowing, store, batch=True), Reference(windowing, batch=True)
        numbers = count()
        bundled = [[(key, next(numbers), time) for key, time in bundle] for bundle in bundles]
        together = [feed.windowed(*element) for bundle in bundled for element in bundle]
        expected = reference.add(together, MIN_TIMESTAMP) + reference.advance(MAX_TIMESTAMP)
        assert not [pane for bundle in bundled for pane in feed.add(*bundle)]
        found = feed.watermark(MAX_TIMESTAMP)
        assert Counter(p._replace(values=tuple(sorted(p.values))) for p in found) == Counter(
            expected
        )
        assert feed.rows() == 0
