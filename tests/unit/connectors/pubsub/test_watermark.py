"""Watermarks: the estimate without a horizon, times in messages, idleness, refusals."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.pubsub.delivery import NOTHING
from connectors.pubsub.watermark import (
    IDLE_S,
    SAMPLE_ROWS,
    SAMPLE_S,
    STEPS_MAX,
    EventTime,
    PublishTime,
    Tracker,
)
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import attribute, column, message
from transforms.message import PUBLISH_TIME, attach_message

SECOND_US = 1_000_000
START_S = 1_700_000_000
TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("at", TIME), ("n", pa.int64())])


def published(*times_s: float, payloads: list[object] | None = None) -> Batch:
    """Return messages that were published at these times after the start."""
    times = [round((START_S + time_s) * SECOND_US) for time_s in times_s]
    data = [json.dumps(payload).encode() for payload in payloads or times]
    batch = message_batch(data)
    return batch.with_column(PUBLISH_TIME, pa.array(times, TIME))


def told(*texts: str | None) -> Batch:
    """Return messages published at the start with an attribute ``at``."""
    kind = published(0).column("attributes").type
    attributes = [[] if text is None else [("at", text)] for text in texts]
    return published(*[0] * len(texts)).with_column("attributes", pa.array(attributes, kind))


def observe(
    tracker: Tracker, batch: Batch, now_s: float, horizon_s: float | None = None
) -> float | None:
    """Observe; return the watermark in seconds after the start."""
    horizon_us = None if horizon_s is None else round((START_S + horizon_s) * SECOND_US)
    tracker.observe(batch, horizon_us, round((START_S + now_s) * SECOND_US))
    reached_us = tracker.watermark_us()
    return None if reached_us is None else reached_us / SECOND_US - START_S


def test_a_known_horizon_is_the_watermark() -> None:
    """It is taken as it is, and it never goes back."""
    tracker = PublishTime().tracker()
    assert tracker.watermark_us() is None
    assert observe(tracker, published(5), 10, horizon_s=5) == 5
    assert observe(tracker, NOTHING, 20, horizon_s=19.5) == 19.5
    assert observe(tracker, published(7), 21, horizon_s=7) == 19.5


def test_an_estimate_waits_for_what_a_dead_reader_held() -> None:
    """In the first seconds nothing is known; what comes later may be older."""
    tracker = PublishTime().tracker()
    assert observe(tracker, published(-1), 0) is None
    assert observe(tracker, published(5), IDLE_S - 1) is None
    assert observe(tracker, published(9), IDLE_S) == -1


def test_an_estimate_is_the_earliest_of_the_last_minute() -> None:
    """A message that came late holds the watermark for a minute, not for ever."""
    tracker = PublishTime().tracker()
    times = [observe(tracker, published(now_s - 3), now_s) for now_s in range(0, 80, 5)]
    assert times[:2] == [None, None]
    assert times[2:13] == [-3] * 11
    assert times[-1] == 75 - SAMPLE_S - 3
    assert observe(tracker, published(2), 78) == times[-1]


def test_an_estimate_follows_the_clock_when_nothing_comes() -> None:
    """Ten seconds behind it: a message that was published since then would have come."""
    tracker = PublishTime().tracker()
    observe(tracker, published(0), 0)
    assert observe(tracker, NOTHING, IDLE_S - 1) is None
    assert observe(tracker, NOTHING, IDLE_S + 30) == 30


def test_event_time_is_disorder_behind_the_latest() -> None:
    """A message counts when everything before it has come."""
    tracker = EventTime(attribute("at"), 2.5).tracker()
    batch = told("2013-01-01T00:00:10Z", "2013-01-01T00:00:04Z")
    assert observe(tracker, batch, 0, horizon_s=0) is None
    reached_s = observe(tracker, NOTHING, 1, horizon_s=1)
    assert reached_s is not None
    assert reached_s + START_S == 1_356_998_407.5
    assert tracker.earliest_us(batch) == 1_356_998_404 * SECOND_US


def test_messages_without_a_time_are_passed_over() -> None:
    """Absent and unreadable times are nobody's watermark; the others count."""
    tracker = EventTime(attribute("at"), 0).tracker()
    assert tracker.earliest_us(told(None, "soon")) is None
    observe(tracker, told(None, "soon"), 0, horizon_s=1)
    assert tracker.watermark_us() is None
    mixed = told("soon", "1000", None, "2000")
    assert tracker.earliest_us(mixed) == SECOND_US
    observe(tracker, mixed, 0, horizon_s=1)
    assert tracker.watermark_us() == 2 * SECOND_US


def test_an_event_in_the_future_counts_as_published() -> None:
    """One wrong clock does not make all others late."""
    tracker = EventTime(attribute("at"), 0).tracker()
    assert observe(tracker, told("2099-01-01T00:00:00Z"), 0, horizon_s=1) == 0


def test_a_payload_is_looked_at_here_and_there() -> None:
    """Of a large batch some rows are decoded, the first and the last among them."""
    strategy = EventTime(column("at"), 0, schema=SCHEMA)
    count = 10 * SAMPLE_ROWS
    payloads: list[object] = [
        {"at": f"2013-01-01T{n // 60:02}:{n % 60:02}:00Z"} for n in range(count)
    ]
    payloads[1] = "no object"
    tracker = strategy.tracker()
    batch = published(*[0] * count, payloads=payloads)
    first_us = 1_356_998_400 * SECOND_US
    assert tracker.earliest_us(batch) == first_us
    observe(tracker, batch, 0, horizon_s=1)
    assert tracker.watermark_us() == first_us + (count - 1) * 60 * SECOND_US


def made_at(messages: Batch) -> Batch:
    """Return rows with a time of messages that hold one, as a user's function may make them."""
    times = [int(data) for data in messages.column("data").to_pylist() if data != b"0"]
    typed = pa.RecordBatch.from_pydict({"made": pa.array(times, pa.int64()).cast(TIME)})
    kept = messages.filter(pc.not_equal(messages.column("data"), b"0"))
    return attach_message(typed, kept)


def test_a_time_that_is_made_of_a_message_is_followed() -> None:
    """It needs no schema, and messages of which no row is made are passed over."""
    tracker = EventTime(column("made"), 1, rows=lambda: made_at).tracker()
    batch = published(9, 9, 9, payloads=[5 * SECOND_US, 0, 7 * SECOND_US])
    assert tracker.earliest_us(batch) == 5 * SECOND_US
    assert tracker.earliest_us(published(9, payloads=[0])) is None
    observe(tracker, batch, 10, horizon_s=10)
    assert observe(tracker, NOTHING, 11, horizon_s=11) == 6 - START_S


def test_when_idle_the_watermark_stays_or_follows_the_clock() -> None:
    """By default it stays, for what is replayed; else it is the disorder behind the horizon."""
    old = told("1970-01-01T00:00:01Z")
    staying, following = (
        EventTime(attribute("at"), 1, idle_s=idle_s).tracker() for idle_s in (None, 5)
    )
    for tracker in (staying, following):
        observe(tracker, old, 0, horizon_s=0)
        observe(tracker, NOTHING, 4, horizon_s=4)
        assert tracker.watermark_us() == 0
    observe(staying, NOTHING, 1_000, horizon_s=1_000)
    assert staying.watermark_us() == 0
    assert observe(following, NOTHING, 6, horizon_s=6) == 5


def test_what_was_seen_outlives_the_reader() -> None:
    """Messages that were committed count as soon as the horizon allows, without another one."""
    before, after = (EventTime(attribute("at"), 1).tracker() for _ in range(2))
    observe(before, told("1970-01-01T00:00:09Z"), 0, horizon_s=0)
    assert before.watermark_us() is None
    for _ in range(2):  # a call that is tried again
        after.resume(before.steps())
    assert after.steps() == before.steps() == ((START_S * SECOND_US, 9 * SECOND_US),)
    observe(after, NOTHING, 5, horizon_s=5)
    assert after.watermark_us() == 8 * SECOND_US
    assert after.steps() == ()
    publish_time = PublishTime().tracker()
    publish_time.resume(publish_time.steps())


def test_a_horizon_that_stands_still_costs_no_memory() -> None:
    """A message that someone holds for days may hold the watermark, but not all that we note."""
    tracker = EventTime(message("publish_time"), 0).tracker()
    count = 2 * STEPS_MAX
    for number in range(count):
        observe(tracker, published(number), number, horizon_s=0)
    assert len(tracker.steps()) <= STEPS_MAX
    assert observe(tracker, NOTHING, count, horizon_s=count) == count - 1


@pytest.mark.parametrize("schema", [None, pa.schema([("n", pa.int64())])])
def test_a_column_needs_its_schema(schema: pa.Schema | None) -> None:
    """It is refused when the pipeline is built, not when the first message comes."""
    with pytest.raises(ConfigError, match=r"column:at.*names no column"):
        EventTime(column("at"), 1, schema=schema)


@pytest.mark.parametrize("times", [{"disorder_s": -1}, {"disorder_s": 1, "idle_s": 0.0001}])
def test_times_are_whole_milliseconds(times: dict[str, float]) -> None:
    """Negative and finer ones are refused."""
    with pytest.raises(ConfigError):
        EventTime(attribute("at"), **times)
