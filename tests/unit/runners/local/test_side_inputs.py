"""Which elements may be processed, and which wait for their side inputs."""

from dataclasses import replace
from typing import Any

import pytest
from apache_beam.coders import StrUtf8Coder, TupleCoder, VarIntCoder, WindowedValueCoder
from apache_beam.coders.coders import IntervalWindowCoder, IterableCoder
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, Repeatedly
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    WindowFn,
)
from apache_beam.utils.windowed_value import WindowedValue

from runners.local.elements import each
from runners.local.nodes import SideInput
from runners.local.side_inputs import is_ready, separate

CODER = WindowedValueCoder(StrUtf8Coder(), IntervalWindowCoder())
FIRST, SECOND, THIRD = (IntervalWindow(start, start + 10) for start in (0, 10, 20))
HOUR_US = 3_600_000_000


def hour_of(window: IntervalWindow) -> IntervalWindow:
    """Map a window of the main input to the hour that it begins in."""
    start = window.start.micros // HOUR_US * 3_600
    return IntervalWindow(start, start + 3_600)


SIDE = SideInput(
    "step", "tag", b"buffer", "access", hour_of, Windowing(FixedWindows(3_600)), CODER, 0
)
EAGER = replace(
    SIDE,
    windowing=Windowing(
        FixedWindows(3_600),
        Repeatedly(AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
    ),
)


def never(*_: Any) -> bool:
    raise AssertionError("nobody may ask for the elements")


def test_watermark_makes_a_window_ready() -> None:
    """The window that it maps to must be over; whether it has elements does not matter then."""
    assert not is_ready(SIDE, FIRST, HOUR_US - 1_000, never)
    assert not is_ready(SIDE, FIRST, HOUR_US - 1, never)
    assert is_ready(SIDE, FIRST, HOUR_US, never)
    assert is_ready(EAGER, FIRST, HOUR_US, never)


@pytest.mark.parametrize("has", [True, False])
def test_first_elements_do_in_the_global_window_if_a_trigger_fires_them(has: bool) -> None:
    """A stream never comes to the end of the global window: with a trigger, something is enough."""
    side = replace(
        EAGER,
        mapping=lambda _: GlobalWindow(),
        windowing=replaced(EAGER.windowing, GlobalWindows()),
    )
    asked = []

    def has_elements(side: SideInput, window: Any) -> bool:
        asked.append((side, window))
        return has

    assert is_ready(side, SECOND, 0, has_elements) == has
    assert asked == [(side, GlobalWindow())]
    assert not is_ready(replace(SIDE, mapping=lambda _: GlobalWindow()), SECOND, 0, never)


def test_windows_with_an_end_are_waited_for() -> None:
    """A trigger that fires early does not make a window ready whose end is to come."""
    assert not is_ready(EAGER, SECOND, HOUR_US - 1, never)


def replaced(windowing: Windowing, window_fn: WindowFn) -> Windowing:
    """Return the windowing with another window function."""
    return Windowing(window_fn, windowing.triggerfn, accumulation_mode=windowing.accumulation_mode)


def encoded(value: str, *windows: IntervalWindow) -> bytes:
    return bytes(CODER.get_impl().encode_nested(WindowedValue(value, 3, windows)))


def decoded(data: bytes) -> list[tuple[str, list[IntervalWindow]]]:
    return [(windowed.value, list(windowed.windows)) for windowed, _ in each(data, CODER)]


def test_elements_part_by_their_windows() -> None:
    """Order is kept; an element of several windows is taken apart where only some are ready."""
    data = b"".join(
        [
            encoded("a", FIRST),
            encoded("b", SECOND),
            encoded("c", FIRST, SECOND),
            encoded("d", THIRD),
        ]
    )
    now, later = separate(data, CODER, lambda window: window in (FIRST, THIRD), truncated=False)
    assert decoded(now) == [("a", [FIRST]), ("c", [FIRST]), ("d", [THIRD])]
    assert decoded(later) == [("b", [SECOND]), ("c", [SECOND])]
    assert separate(data, CODER, lambda _: True, truncated=False) == (data, b"")
    assert separate(data, CODER, lambda _: False, truncated=False) == (b"", data)


def test_large_pane_waits_as_a_whole() -> None:
    """Of a pane whose values lie elsewhere there is one part only."""
    coder = WindowedValueCoder(
        TupleCoder([StrUtf8Coder(), IterableCoder(VarIntCoder())]), IntervalWindowCoder()
    )
    whole = coder.get_impl().encode_nested(WindowedValue(("k", []), 3, (FIRST, SECOND)))
    start = bytes(whole[:-4])  # ends before the iterable
    assert separate(start, coder, lambda _: True, truncated=True) == (start, b"")
    assert separate(start, coder, lambda window: window == FIRST, truncated=True) == (b"", start)
