"""Elements as they arrive at a GroupByKey, apart into windows, keys and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from apache_beam.coders import WindowedValueCoder
from apache_beam.coders.coders import SingletonCoder

from runners.local.internals import create_InputStream
from runners.local.windows import Window, Windows

__all__ = ["Arrivals", "Arrived", "Element", "by_window"]

_LARGE_VALUE = 4 << 10
_TIME_BYTES = 8
"""A windowed value begins with its timestamp."""

Element = tuple[Window, int, bytes | memoryview]
"""A window of an element, its timestamp and its value, encoded and nested."""


class Arrived(NamedTuple):
    """Elements of one key in one window."""

    window: Window
    times_us: list[int]
    values: list[bytes | memoryview]


class Arrivals:
    """Reads what bundles write.

    Args:
        coder: of windowed pairs. Keys and values are skipped by it, and left as they are encoded.
        windows: of the windowing.
        weigh: how much a value counts that comes too late; it is given its encoding.
    """

    def __init__(
        self,
        coder: WindowedValueCoder,
        windows: Windows,
        weigh: Callable[[bytes | memoryview], int],
    ) -> None:
        # A windowed value of no value at all: what stands before the pair.
        header = WindowedValueCoder(SingletonCoder(None), coder.window_coder).get_impl()
        pair = coder.wrapped_value_coder
        self._header = header.decode_from_stream
        self._key = pair.key_coder().get_impl().decode_from_stream
        self._value = pair.value_coder().get_impl().decode_from_stream
        self._windows, self._weigh = windows, weigh

    def read(self, data: bytes, watermark_us: int) -> tuple[dict[bytes, list[Element]], int]:
        """Return the elements by key, and the weight of what came too late for its windows.

        An element in several windows counts in each. Large values are not copied.
        """
        self._windows.trim()
        keys: dict[bytes, list[Element]] = {}
        dropped = end = 0
        stream, size, view = create_InputStream(data), len(data), memoryview(data)
        read_header, read_key, read_value = self._header, self._key, self._value
        known: dict[bytes, list[Window]] = {}
        while end < size:
            headed = read_header(stream, True)
            start = size - stream.size()
            # To look windows up by their encoding is far quicker than by their value.
            code = data[end + _TIME_BYTES : start]
            if (windows := known.get(code)) is None:
                windows = known[code] = self._open_windows(headed.windows, watermark_us)
            read_key(stream, True)
            middle = size - stream.size()
            read_value(stream, True)
            end = size - stream.size()
            if late := len(headed.windows) - len(windows):
                dropped += late * self._weigh(view[middle:end])
            if windows:
                value = view[middle:end] if end - middle > _LARGE_VALUE else data[middle:end]
                elements = keys.setdefault(data[start:middle], [])
                elements += [(window, headed.timestamp_micros, value) for window in windows]
        return keys, dropped

    def _open_windows(self, beams: Iterable[Any], watermark_us: int) -> list[Window]:
        windows = [self._windows.of(beam) for beam in beams]
        return [window for window in windows if watermark_us < window.expiry_us]


def by_window(elements: list[Element]) -> Iterable[Arrived]:
    """Return the elements of a key by window."""
    if len(elements) == 1:
        window, time_us, value = elements[0]
        return (Arrived(window, [time_us], [value]),)
    found: dict[Window, Arrived] = {}
    for window, time_us, value in elements:
        if (arrived := found.get(window)) is None:
            arrived = found[window] = Arrived(window, [], [])
        arrived.times_us.append(time_us)
        arrived.values.append(value)
    return found.values()
