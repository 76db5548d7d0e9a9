"""No message is behind a watermark that stands on a known horizon, in whatever order they come."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from connectors.pubsub.watermark import EventTime, PublishTime, Watermark
from transforms.batch import Batch
from transforms.field import attribute, column
from transforms.message import MESSAGE_SCHEMA

SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US
DISORDER_S = 5
SCHEMA = pa.schema([("at", pa.timestamp("us", tz="UTC")), ("other", pa.string())])

# Seconds between one publish and the next, and how far the event is behind or before the latest.
MESSAGES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(-DISORDER_S, 30)), min_size=1, max_size=30
)


def stream(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return publish and event times in microseconds, the latter with bounded disorder."""
    messages: list[tuple[int, int]] = []
    published_us = START_US
    latest_us = START_US - 1_000_000 * SECOND_US
    for pause_s, ahead_s in steps:
        published_us += pause_s * SECOND_US
        event_us = min(latest_us + ahead_s * SECOND_US, published_us)
        latest_us = max(latest_us, event_us)
        messages.append((published_us, event_us))
    return messages


def batch(messages: list[tuple[int, int]]) -> Batch:
    """Return messages that tell their event time in an attribute and in the payload."""
    times = pa.array([event_us for _, event_us in messages], SCHEMA.field("at").type)
    texts = [time.isoformat() for time in times.to_pylist()]
    rows: list[dict[str, Any]] = [
        {
            "data": json.dumps({"at": text}).encode(),
            "attributes": [("at", text)],
            "message_id": str(number),
            "publish_time": published_us,
        }
        for number, ((published_us, _), text) in enumerate(zip(messages, texts, strict=True))
    ]
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


def check(
    strategy: Watermark, messages: list[tuple[int, int]], data: st.DataObject, part: int
) -> int:
    """Deliver in any order; check that nothing is late. Return the watermark in the end."""
    waiting = list(range(len(messages)))
    tracker = strategy.tracker()
    now_us = messages[-1][0]
    floor_us = -(2**63)  # what the runner knows
    while waiting:
        count = data.draw(st.integers(1, len(waiting)))
        chosen = data.draw(st.permutations(waiting))[:count]
        horizon_us = min(messages[number][0] for number in waiting)
        delivered = [messages[number] for number in chosen]
        floor_us = max(floor_us, tracker.watermark_us() or floor_us)
        assert all(message[part] >= floor_us for message in delivered)
        assert tracker.earliest_us(batch(delivered)) == min(each[part] for each in delivered)
        tracker.observe(batch(delivered), horizon_us, now_us)
        waiting = [number for number in waiting if number not in chosen]
        if data.draw(st.booleans()):  # another process goes on
            tracker, before = strategy.tracker(), tracker
            tracker.resume(before.steps())
            floor_us = max(floor_us, before.watermark_us() or floor_us)
        if data.draw(st.booleans()):  # an answer of no messages
            oldest_us = min((messages[number][0] for number in waiting), default=now_us)
            tracker.observe(batch([]), oldest_us, now_us)
    tracker.observe(batch([]), now_us + 1, now_us + 1)
    return max(tracker.watermark_us() or floor_us, floor_us)


@given(MESSAGES, st.data())
def test_publish_time(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    """The watermark is the horizon."""
    messages = stream(steps)
    assert check(PublishTime(), messages, data, 0) == messages[-1][0] + 1


@given(MESSAGES, st.data(), st.booleans())
def test_event_time(steps: list[tuple[int, int]], data: st.DataObject, in_payload: bool) -> None:
    """Whatever is within the disorder is on time, and in the end the watermark is there."""
    messages = stream(steps)
    if in_payload:
        strategy = EventTime(column("at"), DISORDER_S, schema=SCHEMA)
    else:
        strategy = EventTime(attribute("at"), DISORDER_S)
    latest_us = max(event_us for _, event_us in messages)
    assert check(strategy, messages, data, 1) == latest_us - DISORDER_S * SECOND_US
