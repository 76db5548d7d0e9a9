"""Redelivery: backoff, attempts, dead letters, and what ends a stream."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions

from tests.conformance.conftest import Api
from tests.conformance.feeds import Feed, Stream

pytestmark = pytest.mark.integration

Feeds = Callable[..., Feed]
Streams = Callable[..., Stream]

ATTEMPTS = 5
SOURCE = "CloudPubSubDeadLetterSource"


def retry(minimum_s: float, maximum_s: float) -> dict[str, Any]:
    """Return a retry policy."""
    return {
        "minimum_backoff": dt.timedelta(seconds=minimum_s),
        "maximum_backoff": dt.timedelta(seconds=maximum_s),
    }


def fail(feed: Feed, times: int) -> list[int]:
    """Have one message delivered and nacked; return what each delivery says that it is."""
    attempts = []
    for _ in range(times):
        received = feed.pull_until(1)
        attempts.append(received[0].delivery_attempt)
        feed.modify(received, 0)
    return attempts


def again_after_s(feed: Feed, count: int = 1) -> float:
    """Return how long it takes until messages come."""
    started_s = time.monotonic()
    feed.pull_until(count)
    return time.monotonic() - started_s


@pytest.fixture
def dead(feeds: Feeds) -> Feed:
    """Return a topic for dead letters, and a subscription that gets them."""
    return feeds()


@pytest.fixture
def feed(feeds: Feeds, dead: Feed) -> Feed:
    """Return a topic and a subscription with a dead letter policy."""
    policy = {"dead_letter_topic": dead.topic, "max_delivery_attempts": ATTEMPTS}
    return feeds(dead_letter_policy=policy, enable_message_ordering=True)


def test_attempts_are_counted(feed: Feed) -> None:
    """From 1 on, by nack and by expiry."""
    feed.publish({"data": b"a"})
    assert fail(feed, 2) == [1, 2]
    feed.modify(feed.pull_until(1), 1)
    (received,) = feed.pull_until(1)
    assert received.delivery_attempt == 4


def test_attempts_are_shown_on_streams(feed: Feed, streams: Streams) -> None:
    """As in Pull."""
    feed.publish({"data": b"a"})
    assert fail(feed, 1) == [1]
    (received,) = streams(feed).receive(1)
    assert received.delivery_attempt == 2


def test_dead_letter_says_where_it_comes_from(feed: Feed, dead: Feed) -> None:
    """It keeps data, attributes and ordering key, is a new message, and leaves its subscription."""
    (message_id,) = feed.publish({"data": b"a", "attributes": {"mine": "1"}, "ordering_key": "k"})
    assert fail(feed, ATTEMPTS) == [1, 2, 3, 4, 5]
    (received,) = dead.pull_until(1)
    message, attributes = received.message, dict(received.message.attributes)
    project, _, name = feed.subscription.split("/")[1:]
    assert dt.datetime.fromisoformat(attributes.pop(SOURCE + "TopicPublishTime")).tzinfo
    assert attributes == {
        "mine": "1",
        SOURCE + "Subscription": name,
        SOURCE + "SubscriptionProject": project,
        SOURCE + "DeliveryCount": str(ATTEMPTS),
    }
    assert (message.data, message.ordering_key) == (b"a", "k")
    assert message.message_id != message_id
    assert received.delivery_attempt == 0
    assert feed.pull() == []


def test_key_goes_on_behind_a_dead_letter(feed: Feed, dead: Feed) -> None:
    """Later messages of the key come when the dead one is out of the way."""
    for text in (b"1", b"2"):
        feed.publish({"data": text, "ordering_key": "k"})
    for _ in range(ATTEMPTS):
        received = feed.pull_until(2)
        assert [each.message.data for each in received] == [b"1", b"2"]
        feed.modify(received[:1], 0)
    (later,) = feed.pull_until(1)
    assert (later.message.data, later.delivery_attempt) == (b"2", 1)
    assert dead.pull_until(1)[0].message.data == b"1"


def test_dead_letters_without_topic_stay(feed: Feed, dead: Feed, api: Api) -> None:
    """They are delivered on; when the topic is there, the next failure forwards them."""
    api.publisher.delete_topic(topic=dead.topic)
    feed.publish({"data": b"a"})
    assert fail(feed, ATTEMPTS + 2) == [1, 2, 3, 4, 5, 6, 7]
    api.publisher.create_topic(name=dead.topic)
    second = api.subscription(dead.topic)
    assert fail(feed, 1) == [8]
    assert api.pull(second, 1) == [b"a"]
    assert feed.pull() == []


def test_backoff_grows_from_minimum_to_maximum(feeds: Feeds) -> None:
    """Doubled with every failure."""
    feed = feeds(retry_policy=retry(1, 3))
    feed.publish({"data": b"a"})
    waits_s = []
    received = feed.pull_until(1)
    for _ in range(4):
        feed.modify(received, 0)
        started_s = time.monotonic()
        received = feed.pull_until(1)
        waits_s.append(time.monotonic() - started_s)
    for wait_s, wanted_s in zip(waits_s, (1, 2, 3, 3), strict=True):
        assert wanted_s - 0.1 < wait_s < wanted_s + 5


def test_backoff_follows_an_expired_deadline(feeds: Feeds) -> None:
    """As it follows a nack."""
    feed = feeds(retry_policy=retry(3, 60))
    feed.publish({"data": b"a"})
    feed.modify(feed.pull_until(1), 1)
    assert 3.9 < again_after_s(feed) < 8


def test_key_backs_off_as_a_whole(feeds: Feeds) -> None:
    """Its later messages wait; other keys do not."""
    feed = feeds(retry_policy=retry(3, 60), enable_message_ordering=True)
    for key, text in (("a", b"a1"), ("a", b"a2"), ("b", b"b1")):
        feed.publish({"data": text, "ordering_key": key})
    received = {each.message.data: each for each in feed.pull_until(3)}
    feed.modify([received[b"a1"]], 0)
    started_s = time.monotonic()
    feed.modify([received[b"b1"]], 0)
    feed.publish({"data": b"c1", "ordering_key": "c"})
    (other,) = feed.pull_until(1)
    assert other.message.data == b"c1"
    again = feed.pull_until(3)
    assert time.monotonic() - started_s > 2.9
    assert [each.message.data for each in again if each.message.ordering_key == "a"] == [
        b"a1", b"a2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "error"),
    [("delete", exceptions.NotFound), ("detach", exceptions.FailedPrecondition)],
)
@pytest.mark.parametrize("limit", [0, 1])
def test_stream_ends_with_its_subscription(
    feeds: Feeds, streams: Streams, how: str, error: type[Exception], limit: int
) -> None:
    """Deleted or detached, whether the stream waits for messages or for room."""
    feed = feeds()
    stream = streams(feed, max_outstanding_messages=limit)
    feed.publish({"data": b"a"})
    stream.receive(1)
    if how == "delete":
        feed.subscriber.delete_subscription(subscription=feed.subscription)
    else:
        feed.publisher.detach_subscription(request={"subscription": feed.subscription})
    with pytest.raises(error):
        stream.response()


def test_waiting_pull_ends_with_its_subscription(feeds: Feeds) -> None:
    """A detached subscription gives nothing."""
    feed = feeds()
    feed.publisher.detach_subscription(request={"subscription": feed.subscription})
    with pytest.raises(exceptions.FailedPrecondition):
        feed.subscriber.pull(subscription=feed.subscription, max_messages=1)
