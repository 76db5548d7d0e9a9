"""When an element may be processed: as soon as its side inputs are there.

An element of the main input waits until the window of each side input that it maps to is ready:
the watermark of the side input has passed the window's end. The global window has no end that a
stream comes to: there it is enough that something has arrived, if a trigger fires before the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apache_beam.transforms.trigger import DefaultTrigger
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from runners.local.elements import each
from runners.local.internals import create_OutputStream
from runners.local.nodes import SideInput

__all__ = ["is_ready", "separate"]

_EMPTY_ITERABLE = b"\x00\x00\x00\x00"


def is_ready(
    side_input: SideInput,
    window: Any,
    watermark_us: int,
    has_elements: Callable[[SideInput, Any], bool],
) -> bool:
    """Tell whether a side input can be read by elements of a main window.

    Args:
        side_input: which one.
        window: of the main input's element.
        watermark_us: of the side input.
        has_elements: tells whether anything has arrived for a window of the side input.
    """
    target = side_input.mapping(window)
    if watermark_us > target.max_timestamp().micros:
        return True
    endless = isinstance(target, GlobalWindow)
    fires_early = not isinstance(side_input.windowing.triggerfn, DefaultTrigger)
    return endless and fires_early and has_elements(side_input, target)


def separate(
    data: bytes, coder: Any, ready: Callable[[Any], bool], *, truncated: bool
) -> tuple[bytes, bytes]:
    """Return the encoded elements whose windows are ready, and those that must wait.

    An element of several windows is taken apart if only some of them are ready.

    Args:
        data: encoded elements, back to back.
        coder: ``WindowedValueCoder`` of the elements.
        ready: judges a window.
        truncated: the data is one element that ends before its iterable.
    """
    if truncated:
        ((windowed, _),) = each(data + _EMPTY_ITERABLE, coder)
        return (data, b"") if all(map(ready, windowed.windows)) else (b"", data)
    now, later = create_OutputStream(), create_OutputStream()
    encode = coder.get_impl().encode_to_stream
    for windowed, _ in each(data, coder):
        for stream, windows in zip((now, later), _parted(windowed.windows, ready), strict=True):
            if windows:
                part = WindowedValue(
                    windowed.value, windowed.timestamp, windows, windowed.pane_info
                )
                encode(part, stream, True)
    return now.get(), later.get()


def _parted(windows: Sequence[Any], ready: Callable[[Any], bool]) -> tuple[list[Any], list[Any]]:
    judged = [(window, ready(window)) for window in windows]
    return [window for window, yes in judged if yes], [window for window, yes in judged if not yes]
