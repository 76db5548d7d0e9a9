"""Ordering keys: what comes when, and what comes again."""

import datetime as dt
import queue
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.feeds import WAIT_S, Feed, Stream

pytestmark = pytest.mark.integration

Feeds = Callable[..., Feed]
Streams = Callable[..., Stream]


@pytest.fixture
def feed(feeds: Feeds) -> Feed:
    """Return a topic and an ordered subscription."""
    return feeds(enable_message_ordering=True)


def publish(feed: Feed, *texts: str) -> None:
    """Publish messages one by one; the letter of each is its ordering key."""
    for text in texts:
        key = "" if text[0] == "-" else text[0]
        feed.publish({"data": text.encode(), "ordering_key": key})


def texts(received: list[Any]) -> list[str]:
    """Return the payloads in the order of coming."""
    return [each.message.data.decode() for each in received]


def test_messages_of_a_key_come_in_order(feed: Feed) -> None:
    """Whatever other keys do, and over several pulls."""
    published = [f"{key}{number}" for number in range(10) for key in "ABC"]
    publish(feed, *published)
    seen: list[str] = []
    while len(seen) < len(published):
        received = feed.pull_until(1)
        seen += texts(received)
        feed.ack(received)
    for key in "ABC":
        assert [text for text in seen if text[0] == key] == [f"{key}{n}" for n in range(10)]


def test_key_waits_while_it_is_outstanding(feed: Feed) -> None:
    """Nobody gets more of a key until all that is out of it is acked; other keys don't wait."""
    publish(feed, "A1", "A2")
    first = feed.pull_until(2)
    publish(feed, "A3", "B1")
    assert texts(feed.pull_until(1)) == ["B1"]
    assert feed.pull() == []
    feed.ack(first[:1])
    assert feed.pull() == []
    feed.ack(first[1:])
    assert texts(feed.pull_until(1)) == ["A3"]


def test_messages_without_key_wait_for_nothing(feed: Feed) -> None:
    """The empty key does not order."""
    publish(feed, "-1", "A1")
    received = feed.pull_until(2)
    publish(feed, "-2", "-3")
    assert sorted(texts(feed.pull_until(2))) == ["-2", "-3"]
    feed.modify([each for each in received if not each.message.ordering_key], 0)
    assert texts(feed.pull_until(1)) == ["-1"]


@pytest.mark.parametrize("acked_before", [True, False])
def test_nack_brings_back_all_that_is_later(feed: Feed, acked_before: bool) -> None:
    """What was acked after the nacked message too, before or after the nack."""
    publish(feed, "A1", "A2", "A3")
    one, two, three = feed.pull_until(3)
    feed.ack([one])
    if acked_before:
        feed.ack([three])
        feed.modify([two], 0)
    else:
        feed.modify([two], 0)
        feed.ack([three])
    publish(feed, "A4")
    again = feed.pull_until(3)
    assert texts(again) == ["A2", "A3", "A4"]
    feed.ack(again)
    assert feed.pull() == []


def test_expiry_brings_back_all_that_is_later(feed: Feed) -> None:
    """Also what has a later deadline."""
    publish(feed, "A1", "A2", "A3")
    received = feed.pull_until(3)
    feed.modify(received[1:], 60)
    feed.modify(received[:1], 1)
    again = feed.pull_until(3)
    assert texts(again) == ["A1", "A2", "A3"]


def test_acks_out_of_order_count_in_the_end(feed: Feed) -> None:
    """The later message first: nothing comes again, and the key goes on."""
    publish(feed, "A1", "A2", "A3")
    one, two, three = feed.pull_until(3)
    for each in (three, two, one):
        feed.ack([each])
    publish(feed, "A4")
    assert texts(feed.pull_until(1)) == ["A4"]


def test_key_is_with_one_stream_at_a_time(feed: Feed, streams: Streams) -> None:
    """While one stream holds a message of a key, another gets none of it."""
    publish(feed, "A1", "A2")
    first = streams(feed, max_outstanding_messages=1)
    assert texts(first.receive(1)) == ["A1"]
    second = streams(feed, protocol_version=1)
    publish(feed, "A3", "B1")
    assert texts(second.receive(1)) == ["B1"]
    second.send()
    assert list(second.response().received_messages) == []  # the answer to the empty request


def test_key_waits_for_a_message_whose_transform_fails(feeds: Feeds) -> None:
    """What is behind it is not delivered, though it was ready with it."""
    code = "function f(m, _) { if (m.data == 'A2') throw Error('no'); return m; }"
    feed = feeds(
        enable_message_ordering=True,
        message_transforms=[{"javascript_udf": {"function_name": "f", "code": code}}],
        retry_policy={"minimum_backoff": dt.timedelta(seconds=60)},
    )
    publish(feed, "A1", "A2", "A3", "B1")
    received: list[Any] = []
    while len(received) < 2:
        received += feed.pull()
    assert texts(received) == ["A1", "B1"]
    feed.ack(received)
    assert feed.pull() == []


def test_seek_brings_keys_back_in_order(feeds: Feeds) -> None:
    """What was acked, and what was out."""
    feed = feeds(enable_message_ordering=True, retain_acked_messages=True)
    publish(feed, "A1", "B1", "A2", "A3")
    received = feed.pull_until(4)
    feed.ack([each for each in received if texts([each]) != ["A3"]])
    feed.subscriber.seek(request={"subscription": feed.subscription, "time": before()})
    again = texts(feed.pull_until(4))
    assert [text for text in again if text[0] == "A"] == ["A1", "A2", "A3"]


def before() -> dt.datetime:
    """Return a time before anything was published."""
    return dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=5)


def test_stream_shows_that_it_is_ordered(feed: Feed, streams: Streams) -> None:
    """The properties come with every response."""
    stream = streams(feed)
    publish(feed, "A1")
    assert stream.response().subscription_properties.message_ordering_enabled


def test_stock_client_sees_keys_in_order_in_spite_of_nacks(feed: Feed) -> None:
    """Its callbacks, in threads: first and last deliveries are in the order of their key."""
    keys, count = "ABCDEFGH", 25
    publish(feed, *(f"{key}{n:02}" for n in range(count) for key in keys))
    calls: queue.Queue[str] = queue.Queue()
    chance = random.Random(5)

    def receive(message: Any) -> None:
        calls.put(message.data.decode())
        (message.nack if chance.random() < 0.1 else message.ack)()

    first: dict[str, int] = {}
    last: dict[str, int] = {}
    pulling = feed.subscriber.subscribe(feed.subscription, callback=receive)
    try:
        index = 0
        while len(last) < count * len(keys) or not in_order(last):
            text = calls.get(timeout=WAIT_S)
            first.setdefault(text, index)
            last[text] = index
            index += 1
    finally:
        pulling.cancel()
        pulling.result()
    assert in_order(first)


def in_order(times: dict[str, int]) -> bool:
    """Tell whether the messages of each key came one after the other."""
    came = sorted(times, key=lambda text: times[text])
    return sorted(came, key=lambda text: text[0]) == sorted(times)
