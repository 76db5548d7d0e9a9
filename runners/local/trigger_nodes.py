"""Beam's triggers as state machines: the nodes of a tree that share one list of numbers."""

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
    DefaultTrigger,
    OrFinally,
    Repeatedly,
)

from runners.local.internals import AfterSynchronizedProcessingTime, Always, Never

__all__ = ["UNSET", "Moment", "Node", "Slots", "node_of"]

UNSET = 2**63 - 1


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


class Slots:
    """Which number of the list means what.

    Attributes:
        initial: the list of a window without elements.
        merges: how each number of several windows becomes one.
        ends: those that say that the end of the window is awaited.
        delays: pairs: when a delay is over, and whether that is awaited.
    """

    def __init__(self) -> None:
        self.initial: list[int] = []
        self.merges: list[Callable[[Iterable[int]], int]] = []
        self.ends: list[int] = []
        self.delays: list[tuple[int, int]] = []

    def add(self, initial: int, merge: Callable[[Iterable[int]], int]) -> int:
        """Reserve a number; return where it is in the list."""
        self.initial.append(initial)
        self.merges.append(merge)
        return len(self.initial) - 1


class Node:
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


class _Constant(Node):
    def __init__(self, *, fires: bool) -> None:
        self._fires = fires

    def should_fire(self, _moment: Moment, /) -> bool:
        return self._fires

    def on_fire(self, _moment: Moment, /) -> bool:
        return not self._fires


class _EndOfWindow(Node):
    """Beam's default trigger: at the end of the window, then with every late element."""

    def __init__(self, slots: Slots) -> None:
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


class _AfterWatermark(Node):
    def __init__(self, early: Node | None, late: Node | None, slots: Slots) -> None:
        self._early, self._late = early, late
        self._awaits, self._is_late = slots.add(0, max), slots.add(0, max)
        slots.ends.append(self._awaits)

    def _late_node(self, moment: Moment) -> Node | None:
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


class _AfterCount(Node):
    def __init__(self, count: int, slots: Slots) -> None:
        self._least, self._count = count, slots.add(0, sum)

    def on_elements(self, moment: Moment, count: int, /) -> None:
        moment.state[self._count] += count

    def should_fire(self, moment: Moment, /) -> bool:
        return moment.state[self._count] >= self._least

    def on_fire(self, _moment: Moment, /) -> bool:
        return True

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._count] = 0


class _AfterProcessingTime(Node):
    def __init__(self, delay_us: int, slots: Slots) -> None:
        self._delay_us = delay_us
        self._due, self._awaits = slots.add(UNSET, min), slots.add(0, max)
        slots.delays.append((self._due, self._awaits))

    def on_elements(self, moment: Moment, _count: int, /) -> None:
        if moment.state[self._due] == UNSET:
            moment.state[self._due] = moment.now_us + self._delay_us
            moment.state[self._awaits] = 1

    def should_fire(self, moment: Moment, /) -> bool:
        return moment.state[self._due] <= moment.now_us

    def on_fire(self, moment: Moment, /) -> bool:
        moment.state[self._awaits] = 0
        return True

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._due], moment.state[self._awaits] = UNSET, 0


class _Repeatedly(Node):
    def __init__(self, repeated: Node) -> None:
        self._repeated = repeated
        self.on_elements = repeated.on_elements  # type: ignore[method-assign]
        self.should_fire = repeated.should_fire  # type: ignore[method-assign]
        self.reset = repeated.reset  # type: ignore[method-assign]

    def on_fire(self, moment: Moment, /) -> bool:
        if self._repeated.on_fire(moment):
            self._repeated.reset(moment)
        return False


class _Together(Node):
    """Several triggers at once: all of them, or any."""

    def __init__(self, nodes: Sequence[Node], combine: Callable[[Iterable[bool]], bool]) -> None:
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


class _AfterEach(Node):
    """Several triggers, one after the other."""

    def __init__(self, nodes: Sequence[Node], slots: Slots) -> None:
        self._nodes, self._index = nodes, slots.add(0, max)

    def node_of(self, moment: Moment) -> Node | None:
        index = moment.state[self._index]
        return self._nodes[index] if index < len(self._nodes) else None

    def on_elements(self, moment: Moment, count: int, /) -> None:
        if node := self.node_of(moment):
            node.on_elements(moment, count)

    def should_fire(self, moment: Moment, /) -> bool:
        node = self.node_of(moment)
        return node is not None and node.should_fire(moment)

    def on_fire(self, moment: Moment, /) -> bool:
        node = self.node_of(moment)
        if node is not None and node.on_fire(moment):
            moment.state[self._index] += 1
        return moment.state[self._index] == len(self._nodes)

    def reset(self, moment: Moment, /) -> None:
        moment.state[self._index] = 0
        for node in self._nodes:
            node.reset(moment)


def node_of(trigger: Any, slots: Slots) -> Node:
    """Return the node of one of Beam's triggers."""
    make = _NODES.get(type(trigger))
    if make is None:
        raise TypeError(f"{trigger!r} is no trigger of Beam's model")
    return make(trigger, slots)


def _after_watermark(trigger: Any, slots: Slots) -> Node:
    early = node_of(trigger.early, slots) if trigger.early else None
    late = node_of(trigger.late, slots) if trigger.late else None
    return _AfterWatermark(early, late, slots)


def _nodes(trigger: Any, slots: Slots) -> list[Node]:
    return [node_of(part, slots) for part in trigger.triggers]


_NODES: dict[type, Callable[[Any, Slots], Node]] = {
    Always: lambda _trigger, _slots: _Constant(fires=True),
    AfterSynchronizedProcessingTime: lambda _trigger, _slots: _Constant(fires=True),
    Never: lambda _trigger, _slots: _Constant(fires=False),
    DefaultTrigger: lambda _trigger, slots: _EndOfWindow(slots),
    AfterWatermark: _after_watermark,
    AfterCount: lambda trigger, slots: _AfterCount(trigger.count, slots),
    AfterProcessingTime: lambda trigger, slots: _AfterProcessingTime(
        round(trigger.delay * 1_000_000), slots
    ),
    Repeatedly: lambda trigger, slots: _Repeatedly(node_of(trigger.underlying, slots)),
    AfterAny: lambda trigger, slots: _Together(_nodes(trigger, slots), any),
    OrFinally: lambda trigger, slots: _Together(_nodes(trigger, slots), any),
    AfterAll: lambda trigger, slots: _Together(_nodes(trigger, slots), all),
    AfterEach: lambda trigger, slots: _AfterEach(_nodes(trigger, slots), slots),
}
