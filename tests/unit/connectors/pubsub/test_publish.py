"""Publisher: requests, retries and the search for refused messages, against a scripted server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pyarrow as pa
import pytest
from google.pubsub_v1 import types

from connectors import retry
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.outlet import Missing
from connectors.pubsub.publish import Publisher, Publishers
from tests.conftest import message_batch
from tests.fake_grpc import serve
from transforms.batch import Batch
from transforms.errors import ConfigError, TransientError
from transforms.failure import FAILURE_SCHEMA
from transforms.message import attach_message

TOPIC = "projects/p/topics/abc"
BRIEF = retry.Backoff(first_s=0.001, patience_s=0.1)


class Topic:
    """Accepts requests, unless ``refuse`` says a status; notes them in order of arrival."""

    def __init__(self) -> None:
        self.refuse: Callable[[types.PublishRequest], grpc.StatusCode | None] = lambda _: None
        self.requests: list[types.PublishRequest] = []
        self.under_way: dict[str, int] = {}
        self.most_under_way: dict[str, int] = {}
        self._guard = threading.Lock()

    def publish(self, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve a Publish call."""
        request = types.PublishRequest.deserialize(payload)
        key = request.messages[0].ordering_key
        with self._guard:
            busy = self.under_way.get(key, 0) + 1
            self.under_way[key] = busy
            self.most_under_way[key] = max(busy, self.most_under_way.get(key, 0))
        try:
            code = self.refuse(request)
            if code is not None:
                context.abort(code, "the topic's words")
            with self._guard:
                self.requests.append(request)
        finally:
            with self._guard:
                self.under_way[key] -= 1
        return b""

    def data(self) -> list[bytes]:
        """Return what was accepted, in order."""
        return [message.data for request in self.requests for message in request.messages]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    """Serve a topic."""
    topic = Topic()
    with serve({"Publish": topic.publish}) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        yield topic


@pytest.fixture
def publisher(topic: Topic) -> Iterator[Publisher]:
    """Connect to it, with little patience."""
    with Publisher(TOPIC, outage=BRIEF) as publisher:
        yield publisher


def payloads(count: int) -> list[bytes]:
    """Return distinct payloads."""
    return [f"{number:06d}".encode() for number in range(count)]


def test_all_rows_are_published_once(topic: Topic, publisher: Publisher) -> None:
    """A batch larger than a request goes out in several, and comes back whole as ok."""
    batch = message_batch(payloads(3_500))
    published = publisher.publish(batch)
    assert published.ok == batch
    assert len(published.dead) == 0
    assert published.dead.schema == FAILURE_SCHEMA
    assert sorted(topic.data()) == payloads(3_500)
    assert sorted(len(request.messages) for request in topic.requests) == [500, 1_000, 1_000, 1_000]
    first = next(m for request in topic.requests for m in request.messages if m.data == b"000000")
    assert dict(first.attributes) == {"key": "k1"}
    assert first.message_id == ""
    assert {request.topic for request in topic.requests} == {TOPIC}


def test_an_empty_batch_is_no_request(topic: Topic, publisher: Publisher) -> None:
    """Nothing to publish asks nothing of the server."""
    published = publisher.publish(message_batch([]))
    assert (len(published.ok), len(published.dead), topic.requests) == (0, 0, [])


def test_messages_beyond_the_limits_are_dead_without_asking(
    topic: Topic, publisher: Publisher
) -> None:
    """What the service would refuse is not sent, and does not hinder its neighbours."""
    rows = message_batch([b"a", b"b", b"c"])
    too_long = pa.array([None, [("k" * 257, "v")], None], rows.column("attributes").type)
    published = publisher.publish(rows.with_column("attributes", too_long))
    assert topic.data() == [b"a", b"c"]
    assert published.ok.column("message_id").to_pylist() == ["1", "3"]
    (dead,) = published.dead.to_pylist()
    assert (dead["error_kind"], dead["data"], dead["step"]) == (
        "attribute_key_too_long", b"b", "pubsub.Write",
    )  # fmt: skip


def test_refused_messages_are_found_and_all_others_published(
    topic: Topic, publisher: Publisher
) -> None:
    """A request that is refused as a whole costs only the guilty messages."""
    bad = {b"000000", b"000500", b"000501", b"001999"}
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    topic.refuse = lambda request: (
        invalid if any(message.data in bad for message in request.messages) else None
    )
    published = publisher.publish(message_batch(payloads(2_000)))
    assert published.dead.column("data").to_pylist() == sorted(bad)
    assert set(published.dead.column("error_kind").to_pylist()) == {"refused_by_pubsub"}
    assert all("the topic's words" in text for text in published.dead.column("error").to_pylist())
    assert sorted(topic.data()) == sorted(set(payloads(2_000)) - bad)
    assert sorted(published.ok.column("data").to_pylist()) == sorted(topic.data())


def test_order_within_a_key_is_kept(topic: Topic, publisher: Publisher) -> None:
    """The requests of a key never overlap, also when some must be repeated or halved."""
    rows = message_batch(payloads(6_000))
    keys = pa.array(np.array(["red", "blue", ""])[np.arange(6_000) % 3])
    failures = iter([grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT] * 3)
    topic.refuse = lambda _: next(failures, None)
    published = publisher.publish(rows.with_column("ordering_key", keys))
    assert len(published.ok) == 6_000
    for key in ("red", "blue"):
        sent = [
            message.data for request in topic.requests for message in request.messages
            if message.ordering_key == key
        ]  # fmt: skip
        assert sent == sorted(sent)
        assert len(sent) == 2_000
        assert topic.most_under_way[key] == 1
    assert all(len({m.ordering_key for m in request.messages}) == 1 for request in topic.requests)


def test_transient_errors_are_repeated(topic: Topic, publisher: Publisher) -> None:
    """A short outage is not noticed."""
    failures = iter([grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
    topic.refuse = lambda _: next(failures, None)
    assert len(publisher.publish(message_batch(payloads(10))).ok) == 10
    assert topic.data() == payloads(10)


def test_a_long_outage_is_an_error(topic: Topic, publisher: Publisher) -> None:
    """When patience ends the caller knows, and may publish the batch again."""
    topic.refuse = lambda _: grpc.StatusCode.UNAVAILABLE
    with pytest.raises(TransientError, match="the topic's words"):
        publisher.publish(message_batch(payloads(20_000)))
    topic.refuse = lambda _: None
    assert len(publisher.publish(message_batch(payloads(10))).ok) == 10


def test_a_missing_topic_says_how_to_create_it(topic: Topic, publisher: Publisher) -> None:
    """NOT_FOUND stops the pipeline; no row is taken for dead."""
    topic.refuse = lambda _: grpc.StatusCode.NOT_FOUND
    with pytest.raises(ConfigError, match=r"topic='projects/p/topics/abc'.*create_topic"):
        publisher.publish(message_batch(payloads(10)))


def test_a_wrong_topic_is_refused_before_anything() -> None:
    """The name is checked when the publisher is made."""
    with pytest.raises(ConfigError, match="topics"):
        Publisher("projects/p/subscriptions/abc")


def test_dead_letters_hold_the_message_that_a_row_came_from(publisher: Publisher) -> None:
    """A typed row is represented by its original message, an aggregate by what was to be sent."""
    outgoing = as_messages(pa.array([b"", b"sent"]))
    typed = attach_message(pa.RecordBatch.from_pydict({"n": [1, 2]}), message_batch([b"x", b"y"]))
    published = publisher.publish_as(typed, outgoing)
    assert published.ok.column("n").to_pylist() == [2]
    assert published.dead.column("data").to_pylist() == [b"x"]
    aggregates = Batch(pa.RecordBatch.from_pydict({"n": [1, 2]}))
    published = publisher.publish_as(aggregates, outgoing)
    assert published.ok.column("n").to_pylist() == [2]
    assert published.dead.column("data").to_pylist() == [b""]


def named(*topics: str | None) -> pa.Array:
    """Return full names."""
    return pa.array([None if topic is None else f"projects/p/topics/{topic}" for topic in topics])


def test_each_row_goes_to_its_topic(topic: Topic) -> None:
    """Rows of a batch are sorted by topic; a row without one is dead, and asks nobody."""
    rows = message_batch([b"a", b"b", b"c", b"d"])
    with Publishers(outage=BRIEF) as publishers:
        published = publishers.publish_as(rows, rows, named("one", "two", "one", None))
    assert {(r.topic[18:], tuple(m.data for m in r.messages)) for r in topic.requests} == {
        ("one", (b"a", b"c")), ("two", (b"b",)),
    }  # fmt: skip
    assert published.ok == rows.slice(0, 3)
    assert published.dead.column("error_kind").to_pylist() == ["no_topic"]


def test_rows_of_a_missing_topic_are_dead_if_that_is_asked_for(topic: Topic) -> None:
    """Where topics come from the data, one that is missing costs its own rows, and at once."""
    topic.refuse = lambda request: (
        grpc.StatusCode.NOT_FOUND if request.topic.endswith("gone") else None
    )
    rows = message_batch(payloads(4_000))
    with Publishers(missing=Missing.DEAD) as publishers:
        published = publishers.publish_as(rows, rows, named(*(["gone", "here"] * 2_000)))
    assert published.ok.column("data").to_pylist() == payloads(4_000)[1::2]
    assert published.dead.column("data").to_pylist() == payloads(4_000)[::2]
    assert set(published.dead.column("error_kind").to_pylist()) == {"topic_missing"}
    assert "projects/p/topics/gone" in published.dead.column("error")[0].as_py()


def test_rows_of_a_missing_topic_stop_otherwise(topic: Topic) -> None:
    """Where topics are part of the configuration, one that is missing is an error of it."""
    topic.refuse = lambda _: grpc.StatusCode.NOT_FOUND
    rows = message_batch([b"a"])
    with Publishers(outage=BRIEF) as publishers, pytest.raises(ConfigError, match="topics/gone"):
        publishers.publish_as(rows, rows, named("gone"))


@pytest.mark.parametrize("missing", list(Missing))
def test_denied_access_stops_whatever_was_asked_for(topic: Topic, missing: Missing) -> None:
    """No row is at fault when the account is."""
    topic.refuse = lambda _: grpc.StatusCode.PERMISSION_DENIED
    rows = message_batch([b"a"])
    denied = pytest.raises(ConfigError, match="access is denied")
    with Publishers(outage=BRIEF, missing=missing) as publishers, denied:
        publishers.publish_as(rows, rows, named("abc"))


def test_open_topics_are_bounded(topic: Topic) -> None:
    """More topics than may be open are served all the same, and forgotten again."""
    names = [f"t{number:03d}" for number in range(50)]
    rows = message_batch(payloads(100))
    with Publishers(outage=BRIEF, topics_max=7) as publishers:
        for _ in range(2):
            assert publishers.publish_as(rows, rows, named(*names, *names)).ok == rows
        assert len(publishers._outlets) == 7
    assert len(topic.requests) == 100
    assert sorted(topic.data()) == sorted(payloads(100) * 2)
