"""What any Pub/Sub server delivers, when, and to whom: our broker, and one named by a variable.

    PUBSUB_CONFORMANCE_HOST=127.0.0.1:8432 pytest tests/conformance

Whatever a correct server may do either way is not asserted here.
"""

import os
import queue
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.types import pubsub

from connectors.broker import Broker

pytestmark = pytest.mark.integration

OTHER = os.environ.get("PUBSUB_CONFORMANCE_HOST")
WAIT_S = 20.0


@pytest.fixture(scope="module", params=["ours", *(["other"] if OTHER else [])])
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of each server under test."""
    if request.param == "other":
        assert OTHER
        yield OTHER
    else:
        with Broker(data_dir=tmp_path_factory.mktemp("broker")) as broker:
            yield broker.address


@dataclass
class Feed:
    """A topic with a subscription, and what the tests do with them."""

    publisher: Any
    subscriber: Any
    topic: str
    subscription: str

    def publish(self, *messages: dict[str, Any]) -> list[str]:
        """Publish in one request; return the ids."""
        response = PublisherClient.publish(self.publisher, topic=self.topic, messages=messages)
        return list(response.message_ids)

    def pull(self, count_max: int = 1_000) -> list[Any]:
        """Return what is there now."""
        request = {"subscription": self.subscription, "max_messages": count_max,
                   "return_immediately": True}  # fmt: skip
        return list(self.subscriber.pull(request=request).received_messages)

    def pull_until(self, count: int) -> list[Any]:
        """Pull until there were so many messages, without acking."""
        received: list[Any] = []
        until_s = time.monotonic() + WAIT_S
        while len(received) < count and time.monotonic() < until_s:
            response = self.subscriber.pull(subscription=self.subscription, max_messages=count)
            received += response.received_messages
        assert len(received) == count
        return received

    def ack(self, received: list[Any]) -> None:
        """Acknowledge."""
        ids = [each.ack_id for each in received]
        self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ids)

    def modify(self, received: list[Any], seconds: int) -> None:
        """Move the ack deadline; 0 is a nack."""
        ids = [each.ack_id for each in received]
        self.subscriber.modify_ack_deadline(
            subscription=self.subscription, ack_ids=ids, ack_deadline_seconds=seconds
        )


@pytest.fixture
def feed(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """Return a topic and a subscription that nobody else uses."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    name = f"test-{secrets.token_hex(4)}"
    with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
        feed = Feed(publisher, subscriber, f"projects/p/topics/{name}",
                    f"projects/p/subscriptions/{name}")  # fmt: skip
        publisher.create_topic(name=feed.topic)
        subscriber.create_subscription(name=feed.subscription, topic=feed.topic)
        yield feed


def data(received: list[Any]) -> list[bytes]:
    """Return the payloads, sorted."""
    return sorted(each.message.data for each in received)


def test_message_arrives_as_it_was_published(feed: Feed) -> None:
    """Data, attributes and ordering key are the publisher's; id and time the server's."""
    before_s = time.time()
    (message_id,) = feed.publish(
        {"data": b"\x00\xff", "attributes": {"k": "é"},
         "ordering_key": "o"}
    )  # fmt: skip
    (received,) = feed.pull_until(1)
    message = received.message
    assert (message.data, dict(message.attributes)) == (b"\x00\xff", {"k": "é"})
    assert (message.ordering_key, message.message_id) == ("o", message_id)
    assert before_s - 1 <= message.publish_time.timestamp() <= time.time() + 1
    assert received.delivery_attempt == 0


def test_ids_are_in_the_order_of_the_request(feed: Feed) -> None:
    """Each id belongs to the message at its place, and no two are the same."""
    payloads = [b"%d" % number for number in range(100)]
    ids = feed.publish(*({"data": payload} for payload in payloads))
    ids += feed.publish(*({"data": payload} for payload in payloads))
    by_id = {each.message.message_id: each.message.data for each in feed.pull_until(200)}
    assert [by_id[message_id] for message_id in ids] == payloads * 2


def test_message_is_delivered_to_one_at_a_time(feed: Feed) -> None:
    """While a message is outstanding, nobody else gets it."""
    feed.publish(*({"data": b"%d" % number} for number in range(10)))
    received = feed.pull_until(10)
    assert len({each.message.message_id for each in received}) == 10
    assert feed.pull() == []


def test_pull_returns_at_most_what_was_asked_for(feed: Feed) -> None:
    """max_messages is a limit, and the rest stays."""
    feed.publish(*({"data": b"%d" % number} for number in range(10)))
    assert len(feed.pull(3)) <= 3
    assert len(feed.pull(0x7FFF_FFFF)) <= 10


def test_acked_message_does_not_come_again(feed: Feed) -> None:
    """Not even when its deadline would have passed; acking twice is no error."""
    feed.publish({"data": b"done"}, {"data": b"open"})
    received = feed.pull_until(2)
    feed.modify(received, 1)
    done = [each for each in received if each.message.data == b"done"]
    feed.ack(done)
    feed.ack(done)
    assert data(feed.pull_until(1)) == [b"open"]
    assert feed.pull() == []


def test_nacked_message_comes_again_at_once(feed: Feed) -> None:
    """A deadline of 0 gives the message back."""
    feed.publish({"data": b"a"}, {"data": b"b"})
    received = feed.pull_until(2)
    feed.modify(received[:1], 0)
    started_s = time.monotonic()
    assert data(feed.pull_until(1)) == data(received[:1])
    assert time.monotonic() - started_s < 5


def test_message_comes_again_after_its_deadline(feed: Feed) -> None:
    """Not before it, and soon after it."""
    feed.publish({"data": b"a"})
    feed.modify(feed.pull_until(1), 2)
    started_s = time.monotonic()
    assert data(feed.pull_until(1)) == [b"a"]
    assert 1.5 < time.monotonic() - started_s < 6


def test_extended_message_is_kept(feed: Feed) -> None:
    """A later deadline replaces the earlier one."""
    feed.publish({"data": b"a"})
    received = feed.pull_until(1)
    feed.modify(received, 1)
    feed.modify(received, 60)
    time.sleep(2)  # past the first deadline, which is what is tested
    assert feed.pull() == []
    feed.ack(received)


def test_each_subscription_gets_every_message(feed: Feed) -> None:
    """Subscriptions don't take from each other; one that comes later gets what comes later."""
    feed.publish({"data": b"first"})
    second = Feed(feed.publisher, feed.subscriber, feed.topic, feed.subscription + "-2")
    feed.subscriber.create_subscription(name=second.subscription, topic=feed.topic)
    feed.publish({"data": b"second"})
    received = feed.pull_until(2)
    feed.ack(received)
    assert data(received) == [b"first", b"second"]
    assert data(second.pull_until(1)) == [b"second"]


class Stream:
    """A StreamingPull whose requests are sent one by one."""

    def __init__(self, feed: Feed, **first: Any) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self.send(subscription=feed.subscription, **{"stream_ack_deadline_seconds": 60, **first})
        self._responses = feed.subscriber.streaming_pull(
            requests=iter(self._requests.get, None), timeout=WAIT_S
        )

    def send(self, **fields: Any) -> None:
        """Send a request."""
        self._requests.put(pubsub.StreamingPullRequest(fields))

    def receive(self, count: int) -> list[Any]:
        """Return so many messages, from as many responses as it takes."""
        received: list[Any] = []
        while len(received) < count:
            received += self.response().received_messages
        assert len(received) == count
        return received

    def response(self) -> Any:
        """Return the next response."""
        return next(self._responses)

    def close(self) -> None:
        """End the stream."""
        self._requests.put(None)
        self._responses.cancel()


@pytest.fixture
def stream(feed: Feed) -> Iterator[Callable[..., Stream]]:
    """Return what opens streams that are closed at the end."""
    opened: list[Stream] = []

    def start(**first: Any) -> Stream:
        opened.append(Stream(feed, **first))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_stream_delivers_what_was_there_and_what_comes(
    feed: Feed, stream: Callable[..., Stream]
) -> None:
    """The backlog first, then each message as it is published; acks on the stream count."""
    feed.publish({"data": b"old"})
    open_stream = stream()
    (old,) = open_stream.receive(1)
    feed.publish({"data": b"new"})
    (new,) = open_stream.receive(1)
    assert (old.message.data, new.message.data) == (b"old", b"new")
    open_stream.send(ack_ids=[old.ack_id, new.ack_id])
    feed.publish({"data": b"last"})
    assert data(open_stream.receive(1)) == [b"last"]


def test_stream_moves_deadlines_one_by_one(feed: Feed, stream: Callable[..., Stream]) -> None:
    """Each id has its own seconds: 0 comes again at once, 600 stays."""
    feed.publish({"data": b"a"}, {"data": b"b"})
    open_stream = stream()
    received = open_stream.receive(2)
    open_stream.send(
        modify_deadline_ack_ids=[each.ack_id for each in received], modify_deadline_seconds=[600, 0]
    )
    assert data(open_stream.receive(1)) == data(received[1:])


def test_stream_uses_its_own_deadline(feed: Feed, stream: Callable[..., Stream]) -> None:
    """Messages of a closed stream come again when the stream's deadline has passed."""
    feed.publish({"data": b"a"})
    open_stream = stream(stream_ack_deadline_seconds=10)
    open_stream.receive(1)
    started_s = time.monotonic()
    open_stream.close()
    assert data(feed.pull_until(1)) == [b"a"]
    assert 8 < time.monotonic() - started_s < 16


@pytest.mark.parametrize("limit", [{"max_outstanding_messages": 5}, {"max_outstanding_bytes": 50}])
@pytest.mark.parametrize("answer", ["ack", "nack"])
def test_stream_stops_at_its_limit_and_goes_on_below_it(
    feed: Feed, stream: Callable[..., Stream], limit: dict[str, int], answer: str
) -> None:
    """Flow control counts what was sent on the stream and is neither acked nor nacked."""
    feed.publish(*({"data": b"%010d" % number} for number in range(20)))
    open_stream = stream(**limit, protocol_version=1)
    first = open_stream.receive(5)
    open_stream.send()
    assert list(open_stream.response().received_messages) == []  # the answer to the empty request
    ids = [each.ack_id for each in first[:2]]
    if answer == "ack":
        open_stream.send(ack_ids=ids)
    else:
        open_stream.send(modify_deadline_ack_ids=ids, modify_deadline_seconds=[0, 0])
    open_stream.receive(2)
    open_stream.send()
    assert list(open_stream.response().received_messages) == []


def test_stream_answers_an_empty_request(feed: Feed, stream: Callable[..., Stream]) -> None:
    """A client of protocol version 1 tells a dead connection by the missing answer."""
    open_stream = stream(protocol_version=1)
    open_stream.send()
    response = open_stream.response()
    assert list(response.received_messages) == []
    assert not response.subscription_properties.exactly_once_delivery_enabled


def test_streams_share_a_subscription(feed: Feed, stream: Callable[..., Stream]) -> None:
    """Each message goes to one of them."""
    first, second = stream(max_outstanding_messages=5), stream(max_outstanding_messages=5)
    feed.publish(*({"data": b"%d" % number} for number in range(10)))
    received = [*first.receive(5), *second.receive(5)]
    assert len({each.message.message_id for each in received}) == 10
