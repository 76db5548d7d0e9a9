"""Executes a TestStream: one event whenever nothing else is left to do.

That is what makes it a test: all consequences of an event are drawn before the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from runners.local.clock import SimulatedClock
from runners.local.executor import Executor
from runners.local.graph import StreamNode
from runners.local.store import Store
from runners.local.watermarks import MAX_US, MIN_US

__all__ = ["TestStreamDriver"]

_MS = 1_000
_END_US = MAX_US // _MS * _MS
"""The end of time in whole milliseconds, the unit of the events."""


class TestStreamDriver:
    """Plays the events of a TestStream; behind the last one the stream is complete.

    Args:
        node: the TestStream.
        executor: gets elements and watermarks.
        store: keeps how many events were played.
        clock: is moved by the events.

    Raises:
        NotImplementedError: the events come from a TestStreamService.
    """

    __test__ = False

    def __init__(
        self, node: StreamNode, executor: Executor, store: Store, clock: SimulatedClock
    ) -> None:
        if node.payload.endpoint.url and not node.payload.events:
            raise NotImplementedError(
                f"{node.name}: the local runner plays events that are given, not a TestStreamService"
            )
        self._node = node
        self._executor = executor
        self._store = store
        self._clock = clock

    def next_event(self) -> Callable[[], None] | None:
        """Return what plays the next event within an epoch, or None behind the last one."""
        name = f"stream:{self._node.name}"
        played = int(self._store.get(name) or b"0")
        events = self._node.payload.events
        if played > len(events):
            return None

        def play() -> None:
            self._store.put(name, str(played + 1).encode())
            if played == len(events):
                self._promise(list(self._node.buffers), MAX_US)
            else:
                self._play(events[played])

        return play

    def _play(self, event: Any) -> None:
        if event.HasField("element_event"):
            self._give(event.element_event)
        elif event.HasField("watermark_event"):
            moved = event.watermark_event
            watermark_us = moved.new_watermark * _MS
            self._promise(
                self._tags(moved.tag), MAX_US if watermark_us >= _END_US else watermark_us
            )
        else:
            advance_us = event.processing_time_event.advance_duration * _MS
            self._clock.advance_to(self._clock.now_us() + advance_us)

    def _give(self, event: Any) -> None:
        for tag in self._tags(event.tag):
            encode = self._node.coders[tag].get_impl().encode_nested
            self._executor.deliver(
                self._node.buffers[tag],
                b"".join(map(partial(self._encoded, encode), event.elements)),
            )

    def _encoded(self, encode: Callable[[Any], bytes], element: Any) -> bytes:
        value = self._node.element_coder.decode(element.encoded_element)
        time_us = max(element.timestamp * _MS, MIN_US)
        time = MIN_TIMESTAMP if time_us == MIN_US else Timestamp(micros=time_us)
        return encode(GlobalWindows.windowed_value(value, time))

    def _promise(self, tags: Sequence[str], watermark_us: int) -> None:
        for tag in tags:
            self._executor.promise(self._node.buffers[tag], watermark_us)

    def _tags(self, tag: str) -> list[str]:
        """Return the output that an event names; one that names none means the only one."""
        return [tag] if tag in self._node.buffers else list(self._node.buffers)
