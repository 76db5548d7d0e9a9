"""When the panes of a window fire: Beam's triggers as state machines over a few numbers.

Beam's own trigger classes keep named state and named timers, look both up for every element, and
tell the two time domains apart by the timer that happens to fire. Here a tree of triggers works on
one short list of integers per window, which is stored with the window, and asks the clocks.
For event time and counts the panes are those of Beam's classes. In processing time two things
differ, both on purpose:

- a time of the wall clock is never taken for a watermark, so that an early firing in processing
  time can't close a window that the watermark has not reached;
- a delay that has passed stays passed until its trigger is reset, so that it counts in `AfterAll`
  together with what becomes true later, and finishes an `AfterAny`, which `Repeatedly` then begins
  anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from apache_beam.transforms.trigger import (
    AfterAll,
    AfterAny,
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    Always,
    DefaultTrigger,
    OrFinally,
    Repeatedly,
)

from runners.local.internals import AfterSynchronizedProcessingTime, Never

__all__ = ["Moment", "Trigger"]

_UNSET = 2**63 - 1


class Moment:
    """A window at an instant: what triggers look at. One is reused for all windows.

    Attributes:
        state: the numbers of the window's trigger, changed in place.
        end_us: the end of the window.
        watermark_us: the input watermark.
        now_us: the processing time.
    """

    __slots__ = ("end_us", "now_us", "state", "watermark_us")

    def __init__(self) -> None:
        self.state: list[int] = []
        self.end_us = self.watermark_us = self.now_us = 0


class Trigger:
    """The trigger of a windowing, for any number of windows.

    Args:
        triggerfn: one of Beam's triggers.

    Raises:
        TypeError: it is, or contains, a trigger that Beam's model does not have.
    """

    def __init__(self, triggerfn: Any) -> None:
        self._slots = _Slots()
        self._root = _node(triggerfn, self._slots)
        self.uses_clock = bool(self._slots.delays)

    def blank(self) -> list[int]:
        """Return the state of a window without elements."""
        return list(self._slots.initial)

    def on_elements(self, moment: Moment, count: int) -> None:
        """Take note of elements that arrived."""
        self._root.on_elements(moment, count)

    def fire(self, moment: Moment) -> bool | None:
        """Fire if it is time: return whether the trigger has finished, None if it isn't time."""
        if self._root.should_fire(moment):
            return bool(self._root.on_fire(moment))
        return None

    def fires_in_time(self, moment: Moment) -> bool:
        """Tell whether it would fire after any delay, without further elements. Changes state."""
        now_us, moment.now_us = moment.now_us, _UNSET - 1
        fires = self._root.should_fire(moment)
        moment.now_us = now_us
        return fires

    def merge(self, states: Iterable[Sequence[int]]) -> list[int]:
        """Return what the states of several windows come to when they become one.

        What awaited the end of any of them awaits that of the merged one.
        """
        merges = self._slots.merges
        return [
            merge(parts) for merge, parts in zip(merges, zip(*states, strict=True), strict=True)
        ]

    def awaits_end(self, state: Sequence[int]) -> bool:
        """Tell whether the end of the window is to be reported by `end_reached`."""
        return any(state[slot] for slot in self._slots.ends)

    def end_reached(self, state: list[int]) -> None:
        """Take note that the watermark has reached the end of the window; ask `fire` next."""
        for slot in self._slots.ends:
            state[slot] = 0

    def awaits_us(self, state: Sequence[int]) -> int | None:
        """Return the processing time that is to be reported by `time_reached`."""
        return min((state[due] for due, set_ in self._slots.delays if state[set_]), default=None)

    def time_reached(self, state: list[int], now_us: int) -> None:
        """Take note of the processing time; ask `fire` next."""
        for due, set_ in self._slots.delays:
            if state[due] <= now_us:
                state[set_] = 0


class _Slots:
    """Which number of the list means what."""

    def __init__(self) -> None:
        self.initial: list[int] = []
        self.merges: list[Callable[[Iterable[int]], int]] = []
        self.ends: list[int] = []
        self.delays: list[tuple[int, int]] = []

    def add(self, initial: int, merge: Callable[[Iterable[int]], int]) -> int:
        self.initial.append(initial)
        self.merges.append(merge)
        return len(self.initial) - 1


class _Node:
    """A trigger. What it does not define has no effect on it."""

    def on_elements(self, moment: Moment, count: int, /) -> None:
        """Take note of elements."""

    def should_fire(self, moment: Moment, /) -> bool:
        """Tell whether it is time."""
        raise NotImplementedError

    def on_fire(self, moment: Moment, /) -> bool:
        """Take note that the pane is fired; return whether this trigger is finished."""
        raise NotImplementedError

    def reset(self, moment: Moment, /) -> None:
        """Begin anew."""


class _Constant(_Node):
    def __init__(self, *, fires: bool) -> None:
        self._fires = fires

    def should_fire(self, _moment: Moment, /) -> bool:
        return self._fires

    def on_fire(self, _moment: Moment, /) -> bool:
        return not self._fires


class _EndOfWindow(_Node):
    """Beam's default trigger: at the end of the window, then with every late element."""

    def __init__(self, slots: _Slots) -> None:
        self._awaits = slots.add(0, max)
        slots.ends.append(self._awaits)

    def on_elements(self, moment: Moment, _count: int, /) -> None:
        moment.state[self._awaits] = 1

    def should_fire(self, moment: Moment, /) -> bool:
        if moment.watermark_us < moment.end_us:
            return False
        # The pane takes what the end of the window was awaited for.
        moment.state[self._awaits] = 0
        return True

    def on_fire(self, _moment: Moment, /) -> bool:
        return False

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._awaits] = 0


class _AfterWatermark(_Node):
    def __init__(self, early: _Node | None, late: _Node | None, slots: _Slots) -> None:
        self._early, self._late = early, late
        self._awaits, self._is_late = slots.add(0, max), slots.add(0, max)
        slots.ends.append(self._awaits)

    def _late_node(self, moment: Moment) -> _Node | None:
        return self._late if moment.state[self._is_late] else None

    def on_elements(self, moment: Moment, count: int, /) -> None:
        if late := self._late_node(moment):
            late.on_elements(moment, count)
            return
        moment.state[self._awaits] = 1
        if self._early:
            self._early.on_elements(moment, count)

    def should_fire(self, moment: Moment, /) -> bool:
        if late := self._late_node(moment):
            return late.should_fire(moment)
        if moment.watermark_us >= moment.end_us:
            moment.state[self._awaits] = 0
            return True
        return self._early is not None and self._early.should_fire(moment)

    def on_fire(self, moment: Moment, /) -> bool:
        if late := self._late_node(moment):
            return late.on_fire(moment)
        if moment.watermark_us >= moment.end_us:
            moment.state[self._is_late] = 1
            return self._late is None
        if self._early:
            self._early.on_fire(moment)
        return False

    def reset(self, moment: Moment, /) -> None:
        if self._early:
            self._early.reset(moment)
        if self._late:
            moment.state[self._is_late] = 0
            self._late.reset(moment)


class _AfterCount(_Node):
    def __init__(self, count: int, slots: _Slots) -> None:
        self._least, self._count = count, slots.add(0, sum)

    def on_elements(self, moment: Moment, count: int, /) -> None:
        moment.state[self._count] += count

    def should_fire(self, moment: Moment, /) -> bool:
        return moment.state[self._count] >= self._least

    def on_fire(self, _moment: Moment, /) -> bool:
        return True

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._count] = 0


class _AfterProcessingTime(_Node):
    def __init__(self, delay_us: int, slots: _Slots) -> None:
        self._delay_us = delay_us
        self._due, self._awaits = slots.add(_UNSET, min), slots.add(0, max)
        slots.delays.append((self._due, self._awaits))

    def on_elements(self, moment: Moment, _count: int, /) -> None:
        if moment.state[self._due] == _UNSET:
            moment.state[self._due] = moment.now_us + self._delay_us
            moment.state[self._awaits] = 1

    def should_fire(self, moment: Moment, /) -> bool:
        return moment.state[self._due] <= moment.now_us

    def on_fire(self, moment: Moment, /) -> bool:
        moment.state[self._awaits] = 0
        return True

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._due], moment.state[self._awaits] = _UNSET, 0


class _Repeatedly(_Node):
    def __init__(self, repeated: _Node) -> None:
        self._repeated = repeated
        self.on_elements = repeated.on_elements  # type: ignore[method-assign]
        self.should_fire = repeated.should_fire  # type: ignore[method-assign]
        self.reset = repeated.reset  # type: ignore[method-assign]

    def on_fire(self, moment: Moment, /) -> bool:
        if self._repeated.on_fire(moment):
            self._repeated.reset(moment)
        return False


class _Together(_Node):
    """Several triggers at once: all of them, or any."""

    def __init__(self, nodes: Sequence[_Node], combine: Callable[[Iterable[bool]], bool]) -> None:
        self._nodes, self._combine = nodes, combine

    def on_elements(self, moment: Moment, count: int, /) -> None:
        for node in self._nodes:
            node.on_elements(moment, count)

    def should_fire(self, moment: Moment, /) -> bool:
        return self._combine(node.should_fire(moment) for node in self._nodes)

    def on_fire(self, moment: Moment, /) -> bool:
        fired = [node for node in self._nodes if node.should_fire(moment)]
        return self._combine([node.on_fire(moment) for node in fired])

    def reset(self, moment: Moment, /) -> None:
        for node in self._nodes:
            node.reset(moment)


class _AfterEach(_Node):
    """Several triggers, one after the other."""

    def __init__(self, nodes: Sequence[_Node], slots: _Slots) -> None:
        self._nodes, self._index = nodes, slots.add(0, max)

    def _node(self, moment: Moment) -> _Node | None:
        index = moment.state[self._index]
        return self._nodes[index] if index < len(self._nodes) else None

    def on_elements(self, moment: Moment, count: int, /) -> None:
        if node := self._node(moment):
            node.on_elements(moment, count)

    def should_fire(self, moment: Moment, /) -> bool:
        node = self._node(moment)
        return node is not None and node.should_fire(moment)

    def on_fire(self, moment: Moment, /) -> bool:
        node = self._node(moment)
        if node is not None and node.on_fire(moment):
            moment.state[self._index] += 1
        return moment.state[self._index] == len(self._nodes)

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._index] = 0
        for node in self._nodes:
            node.reset(moment)


def _node(trigger: Any, slots: _Slots) -> _Node:
    """Return the node of one of Beam's triggers."""
    make = _NODES.get(type(trigger))
    if make is None:
        raise TypeError(f"{trigger!r} is no trigger of Beam's model")
    return make(trigger, slots)


def _after_watermark(trigger: Any, slots: _Slots) -> _Node:
    early = _node(trigger.early, slots) if trigger.early else None
    late = _node(trigger.late, slots) if trigger.late else None
    return _AfterWatermark(early, late, slots)


def _nodes(trigger: Any, slots: _Slots) -> list[_Node]:
    return [_node(part, slots) for part in trigger.triggers]


_NODES: dict[type, Callable[[Any, _Slots], _Node]] = {
    Always: lambda _trigger, _slots: _Constant(fires=True),
    AfterSynchronizedProcessingTime: lambda _trigger, _slots: _Constant(fires=True),
    Never: lambda _trigger, _slots: _Constant(fires=False),
    DefaultTrigger: lambda _trigger, slots: _EndOfWindow(slots),
    AfterWatermark: _after_watermark,
    AfterCount: lambda trigger, slots: _AfterCount(trigger.count, slots),
    AfterProcessingTime: lambda trigger, slots: _AfterProcessingTime(
        round(trigger.delay * 1_000_000), slots
    ),
    Repeatedly: lambda trigger, slots: _Repeatedly(_node(trigger.underlying, slots)),
    AfterAny: lambda trigger, slots: _Together(_nodes(trigger, slots), any),
    OrFinally: lambda trigger, slots: _Together(_nodes(trigger, slots), any),
    AfterAll: lambda trigger, slots: _Together(_nodes(trigger, slots), all),
    AfterEach: lambda trigger, slots: _AfterEach(_nodes(trigger, slots), slots),
}
