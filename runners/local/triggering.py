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

from collections.abc import Iterable, Sequence
from typing import Any

from runners.local.trigger_nodes import UNSET, Moment, Slots, node_of

__all__ = ["Moment", "Trigger"]


class Trigger:
    """The trigger of a windowing, for any number of windows.

    Args:
        triggerfn: one of Beam's triggers.

    Raises:
        TypeError: it is, or contains, a trigger that Beam's model does not have.
    """

    def __init__(self, triggerfn: Any) -> None:
        self._slots = Slots()
        self._root = node_of(triggerfn, self._slots)
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
        now_us, moment.now_us = moment.now_us, UNSET - 1
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
