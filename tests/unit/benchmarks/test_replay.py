"""The file of messages as a source without end."""

import itertools
import json
from typing import Any

import pyarrow as pa
import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker

from benchmarks import replay
from benchmarks.replay import Replay
from benchmarks.workload import Workload, generate

EVENTS = 10_000


class Watermark:
    """Notes what the source says."""

    def __init__(self) -> None:
        self.all_us: list[int] = []

    def set_watermark(self, watermark: Any) -> None:
        """Note it."""
        self.all_us.append(watermark.micros)


class Tracker(OffsetRestrictionTracker):
    """Notes that the rest was left for later."""

    deferred = False

    def defer_remainder(self, delay: object = None) -> None:
        """Note it."""
        self.deferred = True


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return generate(tmp_path_factory.mktemp("workload"), EVENTS)


def replayed(workload: Workload, tracker: Tracker) -> tuple[list[Any], list[int]]:
    """Return the elements of one call and the watermarks that it has set."""
    watermark = Watermark()
    elements = list(Replay().process(str(workload.messages), tracker, watermark))
    return elements, watermark.all_us


def test_all_messages_come_in_order(workload: Workload) -> None:
    """The batches of the file come one after the other, each with its earliest time."""
    tracker = Tracker(OffsetRange(0, 3))
    elements, _ = replayed(workload, tracker)
    with pa.ipc.open_file(workload.messages) as reader:
        times = reader.read_all()["publish_time"].cast(pa.int64()).to_pylist()
    found = [
        element.value.column("publish_time").cast(pa.int64()).to_pylist() for element in elements
    ]
    assert list(itertools.chain(*found)) == times
    assert [element.timestamp.micros for element in elements] == [min(part) for part in found]
    assert not tracker.deferred


def test_watermark_lets_no_event_be_late(workload: Workload) -> None:
    """Of each event the first message comes before the watermark has passed its time."""
    elements, watermarks_us = replayed(workload, Tracker(OffsetRange(0, 3)))
    assert watermarks_us == sorted(watermarks_us)
    known: set[str] = set()
    event_times_us(elements[0].value.column("data").to_pylist(), known)
    for element, watermark_us in zip(elements[1:], watermarks_us[:-1], strict=True):
        times_us = event_times_us(element.value.column("data").to_pylist(), known)
        assert min(times_us) >= watermark_us


def event_times_us(payloads: list[bytes], known: set[str]) -> list[int]:
    """Return the times of the events that are whole and not known yet."""
    found = []
    for payload in payloads:
        try:
            event = json.loads(payload)
        except ValueError:
            continue
        if event["event_id"] not in known:
            known.add(event["event_id"])
            time = pa.scalar(event["event_time"]).cast(pa.timestamp("us", "UTC"))
            found.append(time.value)
    return found


def test_call_ends_and_leaves_the_rest(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that has taken its time leaves what it has not claimed to the next."""
    monkeypatch.setattr(replay, "CALL_S", 0.0)
    tracker = Tracker(OffsetRange(0, 3))
    elements, _ = replayed(workload, tracker)
    assert len(elements) == 1
    assert tracker.deferred
