"""What Beam says about windows and triggers, told one row at a time.

A reference for runners: slow, with all state in plain lists, and written from the programming
guide and the comments of the protocol, not from anybody's code. Times are seconds; a limit is
reached at its very time. The rules:

- A row belongs to the windows of its time; sessions of one key that overlap are one.
- A row is dropped when the watermark has reached the end of its window and the allowed lateness,
  or when the trigger of its window has finished.
- A trigger decides when the rows that a window holds are emitted as a pane. A pane that
  accumulates repeats what the ones before it had.
- The pane that the end of a window fires is on time; those before are early, the others late.
- When the watermark reaches the end and the allowed lateness, what was not emitted is, and the
  window is forgotten. That pane is on time if no lateness is allowed. A trigger that fires once,
  and waits for rows and not for a time, loses its rows instead, as in Beam's Python runners.
- The time of a pane is the end of its window, or the earliest or latest of the rows since the last
  pane that were not behind the watermark when they came. As long as the pane on time is to come,
  which may be without rows and needs a time too, it is of all rows since the first.
- The watermark of the panes is that of the rows, held back by the times of panes to come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FOREVER = math.inf
_LAST_S = 0.001  # The last time in a window is a millisecond before its end.


class Row(NamedTuple):
    """A row of a key, and its event time."""

    key: str
    value: int
    time: float


class Watermark(NamedTuple):
    """The watermark moves to a time."""

    time: float


class Later(NamedTuple):
    """Processing time goes on."""

    seconds: float


Event = tuple[Row, ...] | Watermark | Later
"""Rows arrive, each of another key, or a clock moves."""


class Window(NamedTuple):
    """From the start up to the end, which is not in it."""

    start: float
    end: float


class Pane(NamedTuple):
    """What one firing of a window emits.

    Attributes:
        index: how many panes the window had before.
        late_index: how many of them were not early; -1 if this one is.
    """

    key: str
    window: Window
    values: tuple[int, ...]
    timing: str
    index: int
    late_index: int
    time: float


class Held(NamedTuple):
    """The value of a row, and the processing time at which it came."""

    value: int
    arrived: float


Ready = Callable[[Sequence[Held], float], bool]
"""Whether to fire, given the rows since the last pane, and the processing time."""

Combine = Callable[[Iterable[float]], float]
"""Returns the time of a pane, given those of its rows."""


def count(rows: int) -> Ready:
    """Return what fires as soon as there are so many rows."""
    return lambda held, _now: len(held) >= rows


def after(seconds: float) -> Ready:
    """Return what fires so long after the first row."""
    return lambda held, now: bool(held) and now >= min(each.arrived for each in held) + seconds


def either(*parts: Ready) -> Ready:
    """Return what fires when one of its parts does."""
    return lambda held, now: any(part(held, now) for part in parts)


def both(*parts: Ready) -> Ready:
    """Return what fires when all of its parts do."""
    return lambda held, now: all(part(held, now) for part in parts)


@dataclass(frozen=True)
class Strategy:
    """When panes are fired, and what is in them.

    Attributes:
        assign: the windows of a time.
        early: fires before the end of the window, again and again.
        at_end: whether the end of the window fires, though there be nothing new.
        late: fires behind the end, again and again; without it, the end finishes the trigger.
        once: the first pane finishes the trigger.
        merges: whether windows of a key that overlap become one.
        accumulates: whether a pane repeats the rows of those before it.
        lateness: how long behind its end a window takes rows.
        combine: makes the time of a pane of those of its rows; None is the end of the window.
    """

    assign: Callable[[float], Iterable[Window]]
    early: Ready | None = None
    at_end: bool = True
    late: Ready | None = None
    once: bool = False
    merges: bool = False
    accumulates: bool = False
    lateness: float = 0.0
    combine: Combine | None = None

    @property
    def finishes(self) -> bool:
        """Whether the trigger may be done with a window before the window is over."""
        return self.once or (self.at_end and self.late is None)


@dataclass
class _Group:
    """The rows of a key and window, and the times that the next pane is of."""

    kept: list[Held] = field(default_factory=list)
    unfired: list[Held] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    panes: int = 0
    late_panes: int = 0
    ended: bool = False
    closed: bool = False


class Model:
    """Plays events, and tells the panes.

    Attributes:
        dropped: the values of rows that no pane has, one for each window.
        extended: keys of which a late row has moved the end of a window whose pane on time was
            fired already. What fires next is not said anywhere.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._groups: dict[tuple[str, Window], _Group] = {}
        self._watermark, self._promised, self._now = -FOREVER, -FOREVER, 0.0
        self.dropped: list[int] = []
        self.extended: set[str] = set()

    def play(self, events: Iterable[Event]) -> list[Pane]:
        """Return the panes of all events and of the end of time."""
        return [pane for panes, _ in self.steps(events) for pane in panes]

    def steps(self, events: Iterable[Event]) -> Iterator[tuple[list[Pane], float]]:
        """Yield for each event, and the end of time, its panes and the watermark behind them."""
        for event in [*events, Watermark(FOREVER)]:
            panes = list(self._play(event))
            holds = (self._time(window, group) for (_, window), group in self._groups.items()
                     if group.times)  # fmt: skip
            self._promised = max(self._promised, min([self._watermark, *holds]))
            yield panes, self._promised

    def _play(self, event: Event) -> Iterator[Pane]:
        if isinstance(event, Watermark):
            self._watermark = max(self._watermark, event.time)
            for (key, window), group in list(self._groups.items()):
                yield from self._reach_end(key, window, group)
        elif isinstance(event, Later):
            self._now += event.seconds
            for (key, window), group in self._groups.items():
                yield from self._ask(key, window, group)
        else:
            for row in event:
                yield from self._add(row)

    def _add(self, row: Row) -> Iterator[Pane]:
        for assigned in self._strategy.assign(row.time):
            if self._watermark >= assigned.end + self._strategy.lateness:
                self.dropped.append(row.value)
                continue
            window = self._merge(row.key, assigned) if self._strategy.merges else assigned
            group = self._groups.setdefault((row.key, window), _Group())
            if group.closed:
                self.dropped.append(row.value)
                continue
            self._hold(row, window, group)
            # A row behind the watermark may find that its window is at the end already.
            if self._strategy.at_end and not group.ended and self._watermark >= window.end:
                yield self._fire(row.key, window, group)
            else:
                yield from self._ask(row.key, window, group)

    def _hold(self, row: Row, window: Window, group: _Group) -> None:
        held = Held(row.value, self._now)
        group.kept.append(held)
        group.unfired.append(held)
        time = row.time if self._strategy.combine else window.end - _LAST_S
        if time >= self._watermark:
            group.times.append(time)

    def _merge(self, key: str, window: Window) -> Window:
        """Join the window with those of the key that it overlaps; return what they have become."""
        parts = {
            other: self._groups.pop((key, other))
            for other_key, other in list(self._groups)
            if other_key == key and other.start < window.end and window.start < other.end
        }
        starts, ends = zip(window, *parts, strict=True)
        merged = Window(min(starts), max(ends))
        if any(part.ended and other.end < merged.end for other, part in parts.items()):
            self.extended.add(key)
        same = parts.get(merged, _Group())
        self._groups[key, merged] = _Group(
            kept=[held for part in parts.values() for held in part.kept],
            unfired=[held for part in parts.values() for held in part.unfired],
            times=[time for part in parts.values() for time in part.times],
            panes=same.panes,
            late_panes=same.late_panes,
            ended=any(part.ended for part in parts.values()),
            closed=any(part.closed for part in parts.values()),
        )
        return merged

    def _reach_end(self, key: str, window: Window, group: _Group) -> Iterator[Pane]:
        strategy = self._strategy
        at_end = strategy.at_end and not group.ended and not group.closed
        if self._watermark >= window.end and at_end:
            yield self._fire(key, window, group, "ON_TIME")
        if self._watermark >= window.end + strategy.lateness:
            if group.unfired and not group.closed and self._emits_rest(group):
                yield self._fire(key, window, group, "LATE" if strategy.lateness else "ON_TIME")
            self.dropped += [held.value for held in group.unfired]
            del self._groups[key, window]

    def _emits_rest(self, group: _Group) -> bool:
        late = self._strategy.late
        return not self._strategy.once or (late is not None and late(group.unfired, FOREVER))

    def _ask(self, key: str, window: Window, group: _Group) -> Iterator[Pane]:
        """Ask the trigger."""
        is_early = self._watermark < window.end
        ready = self._strategy.early if is_early else self._strategy.late
        if ready is not None and not group.closed and ready(group.unfired, self._now):
            yield self._fire(key, window, group)

    def _fire(self, key: str, window: Window, group: _Group, behind: str = "LATE") -> Pane:
        held = group.kept if self._strategy.accumulates else group.unfired
        values = tuple(sorted(each.value for each in held))
        is_early = self._watermark < window.end
        timing, late_index = ("EARLY", -1) if is_early else (behind, group.late_panes)
        time = self._time(window, group)
        pane = Pane(key, window, values, timing, group.panes, late_index, time)
        group.panes += 1
        group.late_panes += not is_early
        group.ended |= not is_early
        group.closed = self._strategy.once or (not is_early and self._strategy.finishes)
        group.unfired = []
        if group.closed or not is_early or not self._strategy.at_end:
            group.times = []
        return pane

    def _time(self, window: Window, group: _Group) -> float:
        """Return the time of the next pane."""
        combine = self._strategy.combine
        return combine(group.times) if combine and group.times else window.end - _LAST_S
