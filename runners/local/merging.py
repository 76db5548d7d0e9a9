"""Windows of a key that become one, as sessions do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apache_beam.transforms.window import WindowFn

from runners.local.group import Group, Values
from runners.local.triggering import Trigger
from runners.local.windows import OutputTime

__all__ = ["Merger", "target"]


class Merger:
    """Merges groups of a key as the window function merges their windows.

    Args:
        windowfn: decides what is merged.
        trigger: of the windowing.
        output_time: of the windowing.
        values: of the groups.
    """

    def __init__(
        self, windowfn: WindowFn, trigger: Trigger, output_time: OutputTime, values: Values
    ) -> None:
        self._windowfn, self._trigger = windowfn, trigger
        self._output_time, self._values = output_time, values

    def merge(self, groups: dict[Any, Group], arriving: Iterable[Any]) -> dict[Any, Any]:
        """Merge a key's groups, in place.

        Args:
            groups: by window.
            arriving: windows of elements that are to be added next, to the merged groups.

        Returns:
            For each window that was merged away, the window that took it in.
        """
        windows = {**dict.fromkeys(groups), **dict.fromkeys(arriving)}
        away: dict[Any, Any] = {}
        if len(windows) > len(groups):
            self._windowfn.merge(_Context(list(windows), self, groups, away))
        return away

    def merge_groups(self, groups: dict[Any, Group], windows: Sequence[Any], merged: Any) -> None:
        """Make one group of those of some windows; a window that is new begins its panes anew."""
        target = groups.get(merged)
        others = [groups.pop(w) for w in windows if w != merged and w in groups]
        if target is None:
            if not others:
                return
            target = others.pop(0)
            target.panes = target.closing_panes = 0
            target.clock_us = None  # What was awaited is noted for another window.
            groups[merged] = target
        if others:
            target.trigger = self._trigger.merge([part.trigger for part in (target, *others)])
        for other in others:
            self._absorb(target, other)

    def _absorb(self, target: Group, other: Group) -> None:
        target.unfired += other.unfired
        target.closed |= other.closed
        target.holds |= other.holds
        if target.output_us is None:
            target.output_us = other.output_us
        elif other.output_us is not None:
            target.output_us = self._output_time.combine(target.output_us, other.output_us)
        self._values.merge(target, other)


class _Context(WindowFn.MergeContext):
    """What a window function tells of its merges."""

    def __init__(
        self, windows: list[Any], merger: Merger, groups: dict[Any, Group], away: dict[Any, Any]
    ) -> None:
        super().__init__(windows)
        self._merger, self._groups, self._away = merger, groups, away

    def merge(self, to_be_merged: Iterable[Any], merge_result: Any) -> None:
        """Take note of one merge."""
        windows = list(to_be_merged)
        self._away.update((window, merge_result) for window in windows if window != merge_result)
        self._merger.merge_groups(self._groups, windows, merge_result)


def target(away: dict[Any, Any], window: Any) -> Any:
    """Return the window that has taken in this one, by what ``Merger.merge`` has returned."""
    while window in away:
        window = away[window]
    return window
