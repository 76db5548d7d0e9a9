"""What any Pub/Sub server delivers, when, and to whom.

Whatever a correct server may do either way is not asserted here.
"""

import time
from collections.abc import Callable

import pytest

from tests.conformance.feeds import Feed, Stream, data

pytestmark = pytest.mark.integration


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
