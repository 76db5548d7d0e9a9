"""GroupByKey: values by key and window, from arrival to the panes that triggers fire.

The rules are those of Beam's ``GeneralTriggerDriver``. State is in the store, so that it may be
larger than memory and survives; values are never decoded.
"""

from __future__ import annotations

from collections.abc import Callable

from apache_beam.coders import WindowedValueCoder
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming

from runners.local.arrivals import Arrivals, Arrived, Element, by_window
from runners.local.group import Group, Values
from runners.local.groups import Groups
from runners.local.internals import DataLossReason
from runners.local.merging import Merger, target
from runners.local.panes import Panes, values_of
from runners.local.store import Chunk, Store, Timer
from runners.local.triggering import Moment, Trigger
from runners.local.windows import OutputTime, Window, Windows

__all__ = ["Grouping", "values_of"]

_MIN_US = int(MIN_TIMESTAMP.micros)
_CHUNKS_MAX = 64


class Grouping:
    """The state of one GroupByKey.

    Guarantees:
        State goes when its window expires: as soon as the watermark has passed the window's last
        timestamp and the allowed lateness. What waits then is fired in a last pane, unless Beam
        says of the trigger that it may finish before: then elements that wait for more are lost.
        Elements of windows that have expired or whose trigger has finished are dropped.
        Between two calls the store holds everything; memory is a cache of bounded size, and panes
        that were not taken.

    Args:
        name: unique among the groupings of the store, the same after a restart.
        windowing: with the real window function.
        input_coder: of windowed pairs. Values are skipped by it, so their coder should be quick.
        output_coder: of windowed pairs of a key and the iterable of its values.
        store: where the state is. Calls that change it stand in a transaction.
        now: the processing time.
        batch: the input is bounded, and nobody waits for panes: a trigger is asked when the
            watermark has passed its window, and then sees all elements at once. No processing
            time is awaited; what needs one to fire does so when the window expires.
        weigh: how much a value counts that is dropped, by its encoding.

    Attributes:
        name: of the step.
        dropped: weight of what was dropped since the start or the last ``reload``. What an unsafe
            trigger loses as its window expires counts by elements.
    """

    def __init__(  # noqa: PLR0917 - what a graph says of the step, and what the runner adds
        self,
        name: str,
        windowing: Windowing,
        input_coder: WindowedValueCoder,
        output_coder: WindowedValueCoder,
        store: Store,
        now: Callable[[], Timestamp],
        *,
        batch: bool = False,
        weigh: Callable[[bytes | memoryview], int] = lambda _value: 1,
    ) -> None:
        self.name = name
        self.dropped = 0
        self._now, self._batch, self._weigh = now, batch, weigh
        self._trigger, self._moment = Trigger(windowing.triggerfn), Moment()
        self._windows = Windows(windowing, input_coder.window_coder)
        self._output_time = OutputTime(windowing)
        self._panes = Panes(output_coder.window_coder)
        self._values = Values(store, name)
        self._arrivals = Arrivals(input_coder, self._windows, weigh)
        self._merger = None
        if windowing.windowfn.is_merging():
            self._merger = Merger(
                windowing.windowfn, self._trigger, self._output_time, self._values
            )
        self._accumulates = windowing.accumulation_mode == AccumulationMode.ACCUMULATING
        self._has_on_time_pane = bool(windowing.triggerfn.has_ontime_pane())
        self._loses = bool(windowing.triggerfn.may_lose_data(windowing) & DataLossReason.MAY_FINISH)
        # Beam's batch runners say of the only pane of an unwindowed grouping that it is the last.
        self._is_default = windowing.is_default()
        # Where lateness is allowed, a stream has long passed the end of a window that expires.
        expires_with_input = batch or isinstance(windowing.windowfn, GlobalWindows)
        self._expires_on_time = expires_with_input or not windowing.allowed_lateness.micros
        self._awaits_clock = self._trigger.uses_clock and not batch
        self._groups = Groups(
            store, name, self._windows, self._trigger,
            merges=self._merger is not None, awaits_clock=self._awaits_clock,
        )  # fmt: skip

    def add(self, data: bytes, watermark_us: int) -> None:
        """Add windowed pairs, encoded, nested, back to back; this may fire panes.

        Args:
            data: the pairs, as they come from a bundle.
            watermark_us: the input watermark.
        """
        self._set_moment(watermark_us, self._now().micros)
        keys, dropped = self._arrivals.read(data, watermark_us)
        self.dropped += dropped
        for key, elements in keys.items():
            if self._merger:
                self._add_merging(self._merger, key, elements)
                continue
            for arrived in by_window(elements):
                slot = self._groups.slot(key, arrived.window)
                group = self._groups.load(slot) or Group(self._trigger.blank())
                self._add_arrived(key, group, arrived)
                self._groups.save(slot, arrived.window, group)

    def advance(self, watermark_us: int, now_us: int) -> bool:
        """Fire what is due by the watermark and by the processing time, each in order of time.

        Returns:
            Whether more is due: panes of about 64 MiB were fired, take them first. Until then
            `hold_us` holds the watermark for those that are not fired.
        """
        self._set_moment(watermark_us, now_us)
        groups, now_us = self._groups, self._moment.now_us
        return self._each(lambda: groups.due(watermark_us), self._watermark_reached) or (
            self._awaits_clock
            and self._each(lambda: groups.due_by_clock(now_us), self._time_reached)
        )

    def take(self) -> list[Chunk]:
        """Return the panes that were fired since, in order.

        Small ones lie together in chunks of about a MiB. A large one has a chunk of its own with
        a bag, which the taker passes to ``panes.release`` when it has been used.
        """
        return self._panes.take()

    def hold_us(self) -> int | None:
        """Return the earliest watermark that a pane to come holds back."""
        return self._groups.hold_us()

    def next_time_us(self) -> int | None:
        """Return the next processing time at which ``advance`` has something to do."""
        return self._groups.next_time_us()

    def reload(self) -> None:
        """Forget everything that is not in the store, after a rollback."""
        self.dropped = 0
        self._groups.forget()
        self._panes.drop()

    # --- elements -----------------------------------------------------------------------------

    def _set_moment(self, watermark_us: int, now_us: int) -> None:
        # For a batch the clock stands still: a delay has passed when the window expires.
        self._moment.watermark_us, self._moment.now_us = watermark_us, 0 if self._batch else now_us

    def _add_merging(self, merger: Merger, key: bytes, elements: list[Element]) -> None:
        """Add elements of one key whose windows may merge."""
        groups = self._groups.of_key(key)
        before = set(groups)
        away = merger.merge(groups, [window.beam for window, _, _ in elements])
        for beam in before.difference(groups):
            self._groups.remove(key, self._windows.of(beam))
        changed = {beam for beam in away.values() if beam in groups}
        merged = [
            (self._windows.of(target(away, window.beam)), time_us, value)
            for window, time_us, value in elements
        ]
        for arrived in by_window(merged):
            beam = arrived.window.beam
            group = groups.setdefault(beam, Group(self._trigger.blank()))
            self._add_arrived(key, group, arrived)
            changed.add(beam)
        for beam in changed:
            window = self._windows.of(beam)
            self._groups.save(self._groups.slot(key, window), window, groups[beam])

    def _add_arrived(self, key: bytes, group: Group, arrived: Arrived) -> None:
        """Add elements of one key and window, and fire if the trigger says so."""
        window, count = arrived.window, len(arrived.times_us)
        if group.closed:
            self.dropped += sum(map(self._weigh, arrived.values))
            return
        self._hold(window, group, arrived.times_us)
        self._values.add(group, arrived.values, count)
        group.unfired += count
        self._moment.state = group.trigger
        self._trigger.on_elements(self._moment, count)
        if not self._batch:
            self._fire_if_due(key, window, group, on_time=False)

    def _hold(self, window: Window, group: Group, times_us: list[int]) -> None:
        """Set the timestamp of the next pane, and hold the watermark if it is not behind."""
        output_us = self._output_time.of(window, times_us, self._moment.watermark_us)
        if output_us is None:
            return
        group.holds |= output_us >= self._moment.watermark_us
        if group.output_us is not None:
            output_us = self._output_time.combine(group.output_us, output_us)
        group.output_us = output_us

    # --- time ---------------------------------------------------------------------------------

    def _each(self, due: Callable[[], list[Timer]], reached: Callable[[Timer], None]) -> bool:
        """Do what is due until nothing is; return whether more is, for there are many panes."""
        while timers := due():
            self._windows.trim()
            for timer in timers:
                if self._panes.chunks >= _CHUNKS_MAX:
                    return True
                reached(timer)
        return False

    def _watermark_reached(self, timer: Timer) -> None:
        """Fire the pane of the end of the window, and the last one when the window expires."""
        group, (key, window) = self._groups.of_timer(timer), self._groups.split(timer.slot)
        watermark_us = self._moment.watermark_us
        if self._batch and group.unfired and not group.closed:
            # First as if the elements had just come, before the watermark unless they are late.
            self._moment.watermark_us = watermark_us if group.closing_panes else _MIN_US
            self._fire_if_due(key, window, group, on_time=False)
            self._moment.watermark_us = watermark_us
        awaited = not group.closed and self._trigger.awaits_end(group.trigger)
        if awaited and watermark_us >= window.end_us:
            self._trigger.end_reached(group.trigger)
            self._fire_if_due(key, window, group, on_time=True)
        if watermark_us >= window.expiry_us:
            self._expire(key, window, group)
        else:
            self._groups.save(timer.slot, window, group)

    def _time_reached(self, timer: Timer) -> None:
        """Fire the pane that waited for a processing time."""
        slot = timer.slot
        group, (key, window) = self._groups.of_clock(slot), self._groups.split(slot)
        self._trigger.time_reached(group.trigger, self._moment.now_us)
        self._fire_if_due(key, window, group, on_time=False)
        self._groups.save(slot, window, group)

    def _fire_if_due(self, key: bytes, window: Window, group: Group, *, on_time: bool) -> None:
        """Fire a pane if the trigger says so."""
        self._moment.state, self._moment.end_us = group.trigger, window.end_us
        finished = self._trigger.fire(self._moment)
        if finished is not None:
            self._fire(key, window, group, finished=finished, on_time=on_time)

    def _expire(self, key: bytes, window: Window, group: Group) -> None:
        """Fire what no trigger has fired, and remove everything."""
        if group.unfired and not group.closed and self._is_owed(window, group):
            self._fire(key, window, group, finished=True, on_time=self._expires_on_time)
        else:
            self.dropped += group.unfired
        self._values.drop(group)
        self._groups.remove(key, window)

    def _is_owed(self, window: Window, group: Group) -> bool:
        """Tell whether what waits is fired as the window expires.

        An unsafe trigger loses what waits for further elements, which can't come any more. A time
        that is waited for would come: only the window doesn't live to see it.
        """
        self._moment.state, self._moment.end_us = group.trigger, window.end_us
        return not self._loses or self._trigger.fires_in_time(self._moment)

    # --- panes --------------------------------------------------------------------------------

    def _fire(
        self, key: bytes, window: Window, group: Group, *, finished: bool, on_time: bool
    ) -> None:
        """Fire a pane.

        Args:
            key: encoded, nested.
            window: of the pane.
            group: what waits; it is left as it is after the pane.
            finished: the trigger has finished: this is the last pane.
            on_time: the first pane after the end of the window counts as on time.
        """
        info = self._count_pane(window, group, finished=finished, on_time=on_time)
        time_us = window.max_us if group.output_us is None else group.output_us
        keeps = self._accumulates and not finished
        count = group.count
        values = self._values.look(group) if keeps else self._values.take(group)
        if isinstance(values, bytes):
            self._panes.add(window, time_us, info, key, (count, values))
        else:
            self._panes.add_bag(window, time_us, info, key, values)
        group.unfired = 0
        group.closed = finished
        # A pane at the end of the window may come yet without elements: it needs its timestamp.
        awaited = self._has_on_time_pane and self._moment.watermark_us < window.end_us
        if finished or not awaited:
            group.output_us, group.holds = None, False

    def _count_pane(
        self, window: Window, group: Group, *, finished: bool, on_time: bool
    ) -> tuple[bool, bool, int, int, int]:
        index, closing_index = group.panes, group.closing_panes
        group.panes += 1
        if self._moment.watermark_us > window.max_us:
            group.closing_panes += 1
            first = on_time and not closing_index
            timing = PaneInfoTiming.ON_TIME if first else PaneInfoTiming.LATE
        else:
            # A merged window may end later than one whose end was reached.
            if closing_index:
                group.closing_panes += 1
            timing = PaneInfoTiming.EARLY
            closing_index = closing_index or -1
        return index == 0, finished or self._is_default, timing, index, closing_index
