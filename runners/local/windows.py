"""What the windows of a windowing are in plain numbers and bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, TimestampCombiner
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from runners.local.internals import (
    OutputAtEarliestInputTimestampImpl,
    OutputAtEndOfWindowImpl,
    OutputAtLatestInputTimestampImpl,
)

__all__ = ["OutputTime", "Window", "Windows", "whole_millis"]

_MAX_US = int(MAX_TIMESTAMP.micros)
_REMEMBERED_MAX = 10_000


def whole_millis(time_us: int) -> int:
    """Return a time as the next stage may see it: timestamps are encoded in milliseconds."""
    return time_us // 1_000 * 1_000


class Window:
    """A window.

    Attributes:
        beam: the window itself.
        code: its encoding, nested.
        end_us: its end, MAX at most, so that it does end.
        max_us: its last timestamp.
        expiry_us: the watermark from which on its elements are dropped and its state is removed:
            all timestamps in it, and what may come late, have passed. The global window's is MAX.
    """

    __slots__ = ("beam", "code", "end_us", "expiry_us", "max_us")

    def __init__(self, beam: Any, code: bytes, lateness_us: int) -> None:
        self.beam, self.code = beam, code
        self.end_us = min(beam.end.micros, _MAX_US)
        self.max_us = min(beam.max_timestamp().micros, _MAX_US)
        ends = _MAX_US if isinstance(beam, GlobalWindow) else self.max_us + 1 + lateness_us
        self.expiry_us = min(ends, _MAX_US)


class Windows:
    """The windows of a windowing; they are remembered, for they come again and again.

    Args:
        windowing: with the real window function.
        coder: of the windows.
    """

    def __init__(self, windowing: Windowing, coder: Any) -> None:
        self._lateness_us = int(windowing.allowed_lateness.micros)
        self._coder = coder.get_impl()
        self._by_beam: dict[Any, Window] = {}
        self._by_code: dict[bytes, Window] = {}

    def trim(self) -> None:
        """Forget windows if many are remembered; those given before are then equal to none."""
        if len(self._by_beam) > _REMEMBERED_MAX:
            self._by_beam.clear()
            self._by_code.clear()

    def of(self, beam: Any) -> Window:
        """Return the window that Beam's window stands for."""
        window = self._by_beam.get(beam)
        if window is None:
            window = self._remember(beam, self._coder.encode_nested(beam))
        return window

    def decode(self, code: bytes) -> Window:
        """Return the window with this encoding."""
        window = self._by_code.get(code)
        if window is None:
            window = self._remember(self._coder.decode_nested(code), code)
        return window

    def _remember(self, beam: Any, code: bytes) -> Window:
        window = self._by_beam[beam] = self._by_code[code] = Window(beam, code, self._lateness_us)
        return window


class OutputTime:
    """The timestamps of panes, by the windowing's timestamp combiner.

    Attributes:
        combine: makes one of the times of two parts of a pane.
    """

    def __init__(self, windowing: Windowing) -> None:
        impl = TimestampCombiner.get_impl(windowing.timestamp_combiner, windowing.windowfn)
        self._impl = impl
        latest = isinstance(impl, OutputAtEndOfWindowImpl | OutputAtLatestInputTimestampImpl)
        self.combine: Callable[[int, int], int] = max if latest else min
        self._by_window = isinstance(impl, OutputAtEndOfWindowImpl)
        self._as_given = isinstance(
            impl, OutputAtEarliestInputTimestampImpl | OutputAtLatestInputTimestampImpl
        )

    def of(self, window: Window, times_us: Sequence[int], watermark_us: int) -> int | None:
        """Return the timestamp that elements give to their pane.

        Elements behind the watermark give none, unless it follows from the window: they can't
        hold back what has passed.
        """
        if self._by_window:
            return window.max_us
        if not self._as_given:
            times_us = [self._assigned_us(window, time_us) for time_us in times_us]
        combined: int | None = None
        for time_us in times_us:
            if time_us >= watermark_us:
                combined = time_us if combined is None else self.combine(combined, time_us)
        return combined

    def _assigned_us(self, window: Window, time_us: int) -> int:
        given = Timestamp(micros=time_us)
        return int(self._impl.assign_output_time(window.beam, given).micros)
