"""Exactly-once delivery: which acks count, and how a client hears of those that don't."""

import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError, AcknowledgeStatus
from google.protobuf.field_mask_pb2 import FieldMask

from tests.conformance.feeds import WAIT_S, Feed, Stream

pytestmark = pytest.mark.integration

Feeds = Callable[..., Feed]
Streams = Callable[..., Stream]

INVALID = "PERMANENT_FAILURE_INVALID_ACK_ID"


@pytest.fixture
def feed(feeds: Feeds) -> Feed:
    """Return a topic and an exactly-once subscription."""
    return feeds(enable_exactly_once_delivery=True)


def ids(received: list[Any]) -> list[str]:
    """Return the ack ids."""
    return [each.ack_id for each in received]


def refused(call: Callable[[], Any]) -> dict[str, str]:
    """Return what the details of a refusal say of each ack id."""
    with pytest.raises(exceptions.InvalidArgument) as caught:
        call()
    assert caught.value.reason == "EXACTLY_ONCE_ACKID_FAILURE"
    assert caught.value.domain == "pubsub.googleapis.com"
    return dict(caught.value.metadata)


def redelivered(feed: Feed) -> tuple[Any, Any]:
    """Return a message as it came first, was nacked, and as it came again."""
    feed.publish({"data": b"a"})
    (stale,) = feed.pull_until(1)
    feed.modify([stale], 0)
    (current,) = feed.pull_until(1)
    return stale, current


def test_only_the_latest_ack_id_counts(feed: Feed) -> None:
    """An id from before a redelivery acks nothing; the new one does."""
    stale, current = redelivered(feed)
    assert refused(lambda: feed.ack([stale])) == {stale.ack_id: INVALID}
    feed.ack([current])
    assert feed.pull() == []


def test_only_the_latest_ack_id_moves_the_deadline(feed: Feed) -> None:
    """Nor does a stale id give the message back."""
    stale, current = redelivered(feed)
    for seconds in (0, 60):
        failed = refused(lambda seconds=seconds: feed.modify([stale], seconds))  # type: ignore[misc]
        assert failed == {stale.ack_id: INVALID}
    assert feed.pull() == []
    feed.ack([current])


def test_valid_ids_of_a_refused_request_count(feed: Feed) -> None:
    """Only the others are named, and come again."""
    feed.publish({"data": b"a"}, {"data": b"b"})
    first, second = feed.pull_until(2)
    feed.modify([first], 0)
    (again,) = feed.pull_until(1)
    assert refused(lambda: feed.ack([first, second])) == {first.ack_id: INVALID}
    feed.modify([again], 0)
    (last,) = feed.pull_until(1)
    assert last.message.message_id == first.message.message_id
    feed.ack([last])
    assert feed.pull() == []


def test_ack_after_the_deadline_fails(feed: Feed) -> None:
    """Also while nobody else has the message yet."""
    feed.publish({"data": b"a"})
    received = feed.pull_until(1)
    feed.modify(received, 1)
    time.sleep(2)  # past the deadline, which is what is tested
    assert refused(lambda: feed.ack(received)) == {received[0].ack_id: INVALID}
    feed.ack(feed.pull_until(1))


def test_malformed_id_is_no_stale_one(feed: Feed) -> None:
    """It breaks the rule for ids, as in any subscription."""
    feed.publish({"data": b"a"})
    feed.pull_until(1)
    with pytest.raises(exceptions.InvalidArgument):
        feed.subscriber.acknowledge(subscription=feed.subscription, ack_ids=["garbage"])


def test_stream_confirms_acks(feed: Feed, streams: Streams) -> None:
    """Those that counted and those that did not, when they are durable."""
    stale, _ = redelivered(feed)
    feed.publish({"data": b"b"})
    stream = streams(feed)
    (received,) = stream.receive(1)
    stream.send(ack_ids=[received.ack_id, stale.ack_id])
    response = stream.response()
    assert response.subscription_properties.exactly_once_delivery_enabled
    confirmed = response.acknowledge_confirmation
    assert list(confirmed.ack_ids) == [received.ack_id]
    assert list(confirmed.invalid_ack_ids) == [stale.ack_id]
    assert list(confirmed.unordered_ack_ids) == list(confirmed.temporary_failed_ack_ids) == []


def test_stream_confirms_deadlines(feed: Feed, streams: Streams) -> None:
    """One request, one confirmation, whatever the deadlines in it."""
    stale, current = redelivered(feed)
    feed.publish({"data": b"b"})
    stream = streams(feed)
    (received,) = stream.receive(1)
    wanted = [received.ack_id, stale.ack_id, current.ack_id]
    stream.send(modify_deadline_ack_ids=wanted, modify_deadline_seconds=[60, 60, 30])
    confirmed = stream.response().modify_ack_deadline_confirmation
    assert list(confirmed.ack_ids) == [received.ack_id, current.ack_id]
    assert list(confirmed.invalid_ack_ids) == [stale.ack_id]


def test_ordered_acks_wait_for_their_turn(feeds: Feeds, streams: Streams) -> None:
    """One before its turn is told to come again, and comes again if it does not."""
    feed = feeds(enable_exactly_once_delivery=True, enable_message_ordering=True)
    for text in (b"1", b"2", b"3"):
        feed.publish({"data": text, "ordering_key": "k"})
    first, second, third = feed.pull_until(3)
    failed = refused(lambda: feed.ack([second]))
    assert failed == {second.ack_id: "TRANSIENT_FAILURE_UNORDERED_ACK_ID"}
    stream = streams(feed)
    stream.send(ack_ids=ids([third]))
    assert list(stream.response().acknowledge_confirmation.unordered_ack_ids) == [third.ack_id]
    feed.ack([first])
    feed.ack([second])
    feed.modify([third], 0)
    (again,) = stream.receive(1)
    assert again.message.data == b"3"
    stream.send(ack_ids=[again.ack_id])
    assert list(stream.response().acknowledge_confirmation.ack_ids) == [again.ack_id]


def test_property_is_switched_while_a_stream_is_open(feed: Feed, streams: Streams) -> None:
    """What comes next shows it, and late acks count again."""
    stale, _ = redelivered(feed)
    stream = streams(feed)
    feed.subscriber.update_subscription(
        subscription={"name": feed.subscription, "enable_exactly_once_delivery": False},
        update_mask=FieldMask(paths=["enable_exactly_once_delivery"]),
    )
    feed.ack([stale])
    feed.publish({"data": b"b"})
    assert not stream.response().subscription_properties.exactly_once_delivery_enabled


@pytest.fixture
def messages(feed: Feed) -> Iterator[queue.Queue[Any]]:
    """Return where the stock client puts what it receives."""
    received: queue.Queue[Any] = queue.Queue()
    pulling = feed.subscriber.subscribe(feed.subscription, callback=received.put)
    yield received
    pulling.cancel()
    pulling.result()


def test_stock_client_hears_of_success(feed: Feed, messages: queue.Queue[Any]) -> None:
    """Acks, nacks and deadlines; what was nacked comes again, what was acked does not."""
    feed.publish({"data": b"a"})
    message = messages.get(timeout=WAIT_S)
    assert message.modify_ack_deadline_with_response(60).result(WAIT_S) == AcknowledgeStatus.SUCCESS
    assert message.nack_with_response().result(WAIT_S) == AcknowledgeStatus.SUCCESS
    again = messages.get(timeout=WAIT_S)
    assert again.message_id == message.message_id
    assert again.ack_with_response().result(WAIT_S) == AcknowledgeStatus.SUCCESS
    feed.publish({"data": b"b"})
    last = messages.get(timeout=WAIT_S)
    assert last.data == b"b"
    assert last.ack_with_response().result(WAIT_S) == AcknowledgeStatus.SUCCESS


def test_stock_client_hears_that_an_ack_is_too_late(feed: Feed, messages: queue.Queue[Any]) -> None:
    """The future of an ack whose lease is gone fails with INVALID_ACK_ID."""
    feed.publish({"data": b"a"})
    message = messages.get(timeout=WAIT_S)
    feed.subscriber.acknowledge(subscription=feed.subscription, ack_ids=[message.ack_id])
    with pytest.raises(AcknowledgeError) as caught:
        message.ack_with_response().result(WAIT_S)
    assert caught.value.error_code == AcknowledgeStatus.INVALID_ACK_ID
