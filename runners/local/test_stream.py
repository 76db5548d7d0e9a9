"""Executes a TestStream: one event whenever nothing else is left to do.

That is what makes it a test: all consequences of an event are drawn before the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import grpc
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from runners.local.clock import SimulatedClock
from runners.local.executor import Executor
from runners.local.internals import beam_interactive_api_pb2, beam_interactive_api_pb2_grpc
from runners.local.nodes import StreamNode
from runners.local.store import Store
from runners.local.watermarks import MAX_US, MIN_US

__all__ = ["CLOCK", "TestStreamDriver"]

CLOCK = "clock"
"""Name of the stored value that tells the simulated processing time, in microseconds."""

_MS = 1_000


class TestStreamDriver:
    """Plays the events of a TestStream; behind the last one the stream is complete.

    Args:
        node: the TestStream.
        executor: gets elements and watermarks.
        store: keeps how many events were played.
        clock: is moved by the events.
    """

    __test__ = False

    def __init__(
        self, node: StreamNode, executor: Executor, store: Store, clock: SimulatedClock
    ) -> None:
        self._node = node
        self._executor = executor
        self._store = store
        self._clock = clock
        # Events in the graph count milliseconds; those of a service Beam reads as microseconds.
        self._unit_us = 1 if node.payload.endpoint.url else _MS
        self._source = _events(node)
        self._events: list[Any] = []

    def next_event(self) -> Callable[[], None] | None:
        """Return what plays the next event within an epoch, or None behind the last one."""
        name = f"stream:{self._node.name}"
        played = int(self._store.get(name) or b"0")
        event = self._event(played)
        if event is None and self._store.get(f"{name}:end") is not None:
            return None

        def play() -> None:
            self._store.put(name, str(played + 1).encode())
            if event is not None:
                self._play(event)
            else:
                self._store.put(f"{name}:end", b"")
                self._promise(list(self._node.buffers), MAX_US)

        return play

    def _event(self, number: int) -> Any:
        """Return an event, or None behind the last one. A service tells each of them once."""
        while len(self._events) <= number:
            event = next(self._source, None)
            if event is None:
                return None
            self._events.append(event)
        return self._events[number]

    def _play(self, event: Any) -> None:
        if event.HasField("element_event"):
            self._give(event.element_event)
        elif event.HasField("watermark_event"):
            moved = event.watermark_event
            watermark_us = moved.new_watermark * self._unit_us
            self._promise(
                self._tags(moved.tag),
                MAX_US if watermark_us >= _in_units(MAX_US, self._unit_us) else watermark_us,
            )
        else:
            self._advance_clock(event.processing_time_event.advance_duration * self._unit_us)

    def _advance_clock(self, advance_us: int) -> None:
        """Move the clock from where the last commit left it: a retry moves it no further."""
        time_us = int(self._store.get(CLOCK) or b"0") + advance_us
        self._store.put(CLOCK, b"%d" % time_us)
        self._clock.advance_to(time_us)

    def _give(self, event: Any) -> None:
        for tag in self._tags(event.tag):
            encode = self._node.coders[tag].get_impl().encode_nested
            self._executor.deliver(
                self._node.buffers[tag],
                b"".join(map(partial(self._encoded, encode), event.elements)),
            )

    def _encoded(self, encode: Callable[[Any], bytes], element: Any) -> bytes:
        value = self._node.element_coder.decode(element.encoded_element)
        time_us = max(element.timestamp * self._unit_us, MIN_US)
        time = MIN_TIMESTAMP if time_us == MIN_US else Timestamp(micros=time_us)
        return encode(GlobalWindows.windowed_value(value, time))

    def _promise(self, tags: Sequence[str], watermark_us: int) -> None:
        for tag in tags:
            self._executor.promise(self._node.buffers[tag], watermark_us)

    def _tags(self, tag: str) -> list[str]:
        """Return the output that an event names; one that names none means the only one."""
        return [tag] if tag in self._node.buffers else list(self._node.buffers)


def _events(node: StreamNode) -> Iterator[Any]:
    """Yield the events: those in the payload, or what the TestStreamService has."""
    endpoint = node.payload.endpoint.url
    if not endpoint:
        yield from node.payload.events
        return
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_interactive_api_pb2_grpc.TestStreamServiceStub(channel)
        request = beam_interactive_api_pb2.EventsRequest(output_ids=list(node.buffers))
        yield from service.Events(request)


def _in_units(time_us: int, unit_us: int) -> int:
    return time_us // unit_us * unit_us
