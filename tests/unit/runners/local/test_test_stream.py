"""The player of a TestStream: one event at a time, each once, through failures and restarts."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue

from runners.local.clock import SimulatedClock
from runners.local.elements import each
from runners.local.graph import Graph
from runners.local.store import Store
from runners.local.test_stream import CLOCK, TestStreamDriver
from runners.local.watermarks import MAX_US
from tests.unit.runners.local.test_graph import graph_of

S = 1_000_000


class Log:
    """Takes the place of the executor, and notes what it is given."""

    def __init__(self, graph: Graph) -> None:
        self.events: list[Any] = []
        (node,) = graph.streams
        self._tags = {buffer: tag for tag, buffer in node.buffers.items()}
        self._coders = node.coders

    def deliver(self, buffer: bytes, data: bytes) -> None:
        tag = self._tags[buffer]
        for windowed, _ in each(data, self._coders[tag]):
            self.events.append((tag, windowed.value, windowed.timestamp.micros))

    def promise(self, buffer: bytes, watermark_us: int) -> None:
        self.events.append((self._tags[buffer], watermark_us))


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()


def stream() -> beam.PTransform:
    return (
        test_stream.TestStream()
        .add_elements([TimestampedValue(1, 5), TimestampedValue(2, 6)], tag="odd")
        .advance_watermark_to(7, tag="even")
        .advance_processing_time(3)
        .advance_processing_time(4)
        .advance_watermark_to_infinity(tag="odd")
    )


def graph() -> Graph:
    def build(pipeline: beam.Pipeline) -> None:
        outputs = pipeline | "Events" >> stream()
        for tag in ("odd", "even"):
            _ = outputs[tag] | tag >> beam.Map(str)

    return graph_of(build)


def driver_of(graph: Graph, store: Store, log: Log, clock: SimulatedClock) -> TestStreamDriver:
    return TestStreamDriver(graph.streams[0], log, store, clock)  # type: ignore[arg-type]


def play(driver: TestStreamDriver, store: Store, *, fails: bool = False) -> bool:
    """Play one event in an epoch of its own, and take it back if it fails."""
    event = driver.next_event()
    if event is None:
        return False
    store.begin()
    event()
    if fails:
        store.rollback()
    else:
        store.commit()
    return True


EXPECTED = [("odd", 1, 5 * S), ("odd", 2, 6 * S), ("even", 7 * S), ("odd", MAX_US)]


def test_events_come_in_order_and_then_the_end() -> None:
    """Elements and watermarks go to the output that they are for; at the end all are complete."""
    made = graph()
    log, clock, store = Log(made), SimulatedClock(), Store.open(None)
    driver = driver_of(made, store, log, clock)
    times = []
    while play(driver, store):
        times.append(clock.now_us())
    store.close()
    assert log.events[:4] == EXPECTED
    assert sorted(log.events[4:]) == [("even", MAX_US), ("odd", MAX_US)]
    assert times == [0, 0, 3 * S, 7 * S, 7 * S, 7 * S]


def test_what_fails_is_played_again_and_moves_the_clock_once(store: Store) -> None:
    """An epoch that is taken back leaves no trace but in the log of this test."""
    made = graph()
    log, clock = Log(made), SimulatedClock()
    driver = driver_of(made, store, log, clock)
    while driver.next_event() is not None:
        before = len(log.events)
        play(driver, store, fails=True)
        again = log.events[before:]
        del log.events[before:]
        play(driver, store)
        assert log.events[before:] == again
    assert log.events[:4] == EXPECTED
    assert clock.now_us() == 7 * S


def test_restart_goes_on_where_it_was(store: Store) -> None:
    """Played events are not played again, and the clock stands where it stood."""
    made = graph()
    clock = SimulatedClock()
    log = Log(made)
    while play(driver_of(made, store, log, clock), store):
        clock = SimulatedClock(int(store.get(CLOCK) or b"0"))
    assert log.events[:4] == EXPECTED
    assert len(log.events) == 6
    assert clock.now_us() == 7 * S
