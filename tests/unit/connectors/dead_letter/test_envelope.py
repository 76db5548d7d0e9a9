"""Dead letters on a topic: the message that was rejected, and the whole record."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dead_letter.envelope import from_messages, to_messages
from connectors.pubsub.outgoing import broken_limits
from transforms.batch import Batch
from transforms.failure import FAILURE_SCHEMA
from transforms.message import MESSAGE_SCHEMA

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=dt.timezone.utc)


def failure(**changes: Any) -> dict[str, Any]:
    """Return a record as a pipeline writes it."""
    return {
        "schema_version": 1,
        "pipeline": "job",
        "step": "Parse",
        "error_kind": "malformed_json",
        "error": "byte 3: no value",
        "failed_at": NOW,
        "data": b"{\xff",
        "attributes": [("kind", "click"), ("ä", "ö")],
        "message_id": "17",
        "publish_time": NOW - dt.timedelta(microseconds=1),
        "ordering_key": "k",
        "delivery_attempt": None,
        **changes,
    }


def batch(*records: dict[str, Any]) -> Batch:
    """Return records as a batch of failures."""
    return Batch.from_pylist(list(records), FAILURE_SCHEMA)


def attributes(messages: Batch, row: int = 0) -> dict[str, str]:
    """Return the attributes of a message."""
    return dict(messages.column("attributes")[row].as_py())


def test_dead_letter_is_the_message_with_its_reason() -> None:
    """Whoever reads the topic finds payload and attributes as they were, and why they are here."""
    messages = to_messages(batch(failure()))
    assert messages.schema == MESSAGE_SCHEMA
    assert messages.column("data").to_pylist() == [b"{\xff"]
    assert attributes(messages) == {
        "kind": "click",
        "ä": "ö",
        "headrace_failure": "1",
        "headrace_pipeline": "job",
        "headrace_step": "Parse",
        "headrace_error_kind": "malformed_json",
        "headrace_error": "byte 3: no value",
        "headrace_failed_at": "2026-01-02T03:04:05.678901Z",
        "headrace_message_id": "17",
        "headrace_publish_time": "2026-01-02T03:04:05.678900Z",
        "headrace_ordering_key": "k",
    }


UNUSUAL = {
    "nothing known": {
        "pipeline": None, "failed_at": None, "message_id": None, "publish_time": None,
        "ordering_key": "", "attributes": [],
    },
    "delivery attempt": {"delivery_attempt": 5},
    "empty payload": {"data": b""},
    "repeated attribute": {"attributes": [("a", "1"), ("a", "2")]},
    "no payload": {"data": None},
    "no attributes": {"attributes": None},
    "no ordering key": {"ordering_key": None},
    "reserved attribute": {"attributes": [("headrace_step", "mine")]},
    "dead letter of a dead letter": {"attributes": [("headrace_failure", "1")]},
    "all attributes taken": {"attributes": [(f"a{number}", "v") for number in range(100)]},
    "long error": {"error": "ä" * 5_000},
    "long step": {"step": "s" * 1_025},
    "longest key": {"ordering_key": "k" * 1_024},
    "nearly ten megabytes": {"data": b"x" * 9_999_990},
    "too large for the service": {"data": b"x" * 20_000_000},
    "year 1": {"failed_at": dt.datetime(1, 1, 1, tzinfo=dt.timezone.utc)},
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_nothing_of_a_record_is_lost(name: str) -> None:
    """Whatever a record holds comes back, and its message is one that the service takes."""
    dead = batch(failure(), failure(**UNUSUAL[name]), failure(error="other"))
    messages = to_messages(dead)
    assert not broken_limits(messages)
    opened = from_messages(messages, "test")
    assert len(opened.dead) == 0
    by_error = sorted(opened.ok.to_pylist(), key=str)
    assert by_error == sorted(dead.to_pylist(), key=str)
    assert opened.ok.schema == FAILURE_SCHEMA


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
RECORDS = st.fixed_dictionaries(
    {
        "schema_version": st.just(1),
        "pipeline": st.none() | TEXT,
        "step": TEXT,
        "error_kind": TEXT,
        "error": TEXT | st.just("e" * 1_030),
        "failed_at": st.none() | st.datetimes(timezones=st.just(dt.timezone.utc)),
        "data": st.none() | st.binary(max_size=50),
        "attributes": st.none() | st.lists(st.tuples(TEXT, TEXT), max_size=95),
        "message_id": st.none() | TEXT,
        "publish_time": st.none() | st.datetimes(timezones=st.just(dt.timezone.utc)),
        "ordering_key": st.none() | TEXT,
        "delivery_attempt": st.none() | st.integers(0, 2**31 - 1),
    }
)


@given(st.lists(RECORDS, max_size=6), st.integers(0, 3))
def test_any_records_come_back(records: list[dict[str, Any]], skipped: int) -> None:
    """Batches of any records, slices of batches too, are the same after the way through a topic."""
    dead = batch(*records).slice(min(skipped, len(records)))
    opened = from_messages(to_messages(dead), "test")
    assert sorted(opened.ok.to_pylist(), key=str) == sorted(dead.to_pylist(), key=str)
    assert len(opened.dead) == 0


def message(data: bytes, **named: str) -> Batch:
    """Return a message with these attributes."""
    row = {"data": data, "attributes": list(named.items()), "publish_time": NOW}
    return Batch.from_pylist([row], MESSAGE_SCHEMA)


def test_message_that_pubsub_gave_up_is_a_failure() -> None:
    """The service's own dead letters can be replayed as well, without what it has added."""
    forwarded = message(
        b"payload",
        kind="click",
        CloudPubSubDeadLetterSourceSubscription="sub",
        CloudPubSubDeadLetterSourceSubscriptionProject="p",
        CloudPubSubDeadLetterSourceTopicPublishTime="2026-01-02T03:04:00.123+00:00",
        CloudPubSubDeadLetterSourceDeliveryCount="5",
    )
    (found,) = from_messages(forwarded, "test").ok.to_pylist()
    assert found["data"] == b"payload"
    assert found["attributes"] == [("kind", "click")]
    assert (found["step"], found["error_kind"]) == ("sub", "delivery_attempts_exceeded")
    assert found["error"] == "not acknowledged after 5 deliveries"
    assert found["failed_at"] == NOW
    assert found["publish_time"].isoformat() == "2026-01-02T03:04:00.123000+00:00"
    assert found["delivery_attempt"] == 5


def without(name: str) -> Batch:
    """Return a dead letter that lacks one attribute."""
    named = attributes(to_messages(batch(failure())))
    return message(b"x", **{key: value for key, value in named.items() if key != name})


NONE_OF_OURS = {
    "any message": message(b"x", kind="click"),
    "later version": message(b"x", headrace_failure="2"),
    "no step": without("headrace_step"),
    "bad time": message(b"x", **(attributes(to_messages(batch(failure()))) | {
        "headrace_failed_at": "yesterday"})),
    "bad record": message(b"x", headrace_failure="1", headrace_form="record"),
    "empty record": message(b"", headrace_failure="1", headrace_form="record"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE_OF_OURS)
def test_what_is_no_dead_letter_is_told_and_hinders_no_other(name: str) -> None:
    """A stranger on the topic is a failure to read one; those around it are read."""
    good = to_messages(batch(failure(), failure(error="e" * 2_000)))
    rows = pa.concat_batches([good.rows, NONE_OF_OURS[name].rows, good.rows])
    opened = from_messages(Batch(rows), "test")
    assert len(opened.ok) == 4
    (dead,) = opened.dead.to_pylist()
    assert (dead["error_kind"], dead["step"]) == ("not_a_dead_letter", "test")
    assert dead["data"] == NONE_OF_OURS[name].column("data")[0].as_py()
