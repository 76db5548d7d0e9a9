"""What a seek brings back and what it acknowledges, beyond the plain cases of test_snapshots.py.

A seek of the real service is eventually consistent, so these tests pull until what must come is
there, and look for what must not come only behind something that came later.
"""

import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions

from tests.conformance.conftest import Api
from tests.conformance.feeds import Feed, Stream

Feeds = Callable[..., Feed]
Streams = Callable[..., Stream]
WAIT_S = 20.0


def at(seconds_from_now: float) -> datetime.datetime:
    """Return a moment."""
    delta = datetime.timedelta(seconds=seconds_from_now)
    return datetime.datetime.now(datetime.timezone.utc) + delta


def seek(feed: Feed, moment: datetime.datetime) -> None:
    """Seek to a time."""
    feed.subscriber.seek(request={"subscription": feed.subscription, "time": moment})


def data(received: list[Any]) -> list[bytes]:
    """Return the payloads, sorted."""
    return sorted(each.message.data for each in received)


def taken(feed: Feed, count: int) -> list[bytes]:
    """Pull and acknowledge so many messages; return their payloads."""
    received = feed.pull_until(count)
    feed.ack(received)
    return data(received)


def gone(api: Api, name: str) -> bool:
    """Tell whether a snapshot is not found."""
    try:
        api.subscriber.get_snapshot(snapshot=name)
    except exceptions.NotFound:
        return True
    return False


@pytest.fixture
def retaining(feeds: Feeds) -> Feed:
    """Return a subscription that retains acked messages."""
    return feeds(retain_acked_messages=True)


def test_time_divides_what_was_published(retaining: Feed) -> None:
    """What came before is acknowledged, what came later is there again, acked or not."""
    retaining.publish({"data": b"before"})
    taken(retaining, 1)
    retaining.publish({"data": b"before, unacked"})
    time.sleep(0.05)  # so that the clocks of client and server agree on the order
    moment = at(0)
    time.sleep(0.05)
    retaining.publish({"data": b"later"}, {"data": b"later too"})
    seek(retaining, moment)
    assert taken(retaining, 2) == [b"later", b"later too"]
    seek(retaining, at(-3_600))
    assert len(taken(retaining, 4)) == 4


def test_acked_messages_are_gone_where_they_are_not_retained(feed: Feed) -> None:
    """Only what was never acknowledged comes again."""
    feed.publish({"data": b"acked"})
    taken(feed, 1)
    feed.publish({"data": b"held"})
    seek(feed, at(-3_600))
    feed.publish({"data": b"new"})
    assert taken(feed, 2) == [b"held", b"new"]


def test_topic_retention_serves_a_later_subscription(api: Api) -> None:
    """It gets nothing by itself, and everything that the topic has kept when it seeks."""
    topic = api.topic(message_retention_duration={"seconds": 3_600})
    api.publish(topic, {"data": b"a"}, {"data": b"b"})
    feed = Feed(api.publisher, api.subscriber, topic, api.subscription(topic))
    feed.publish({"data": b"c"})
    assert taken(feed, 1) == [b"c"]
    seek(feed, at(-600))
    assert taken(feed, 3) == [b"a", b"b", b"c"]


def test_filter_holds_for_what_comes_back(api: Api) -> None:
    """A message that does not match counts as acknowledged, also after a seek."""
    topic = api.topic(message_retention_duration={"seconds": 3_600})
    api.publish(topic, {"data": b"early"}, {"data": b"early match", "attributes": {"k": "v"}})
    name = api.subscription(topic, filter='attributes.k = "v"')
    feed = Feed(api.publisher, api.subscriber, topic, name)
    feed.publish({"data": b"no"}, {"data": b"match", "attributes": {"k": "v"}})
    assert taken(feed, 1) == [b"match"]
    seek(feed, at(-600))
    feed.publish({"data": b"last", "attributes": {"k": "v"}})
    assert taken(feed, 3) == [b"early match", b"last", b"match"]


def test_future_time_discards_what_arrives_until_then(feed: Feed) -> None:
    """Both what waits and what is still to be published; another seek ends it."""
    feed.publish({"data": b"waits"})
    seek(feed, at(3_600))
    feed.publish({"data": b"discarded"})
    seek(feed, at(0))
    feed.publish({"data": b"arrives"})
    assert taken(feed, 1) == [b"arrives"]


def test_snapshot_holds_what_its_subscription_acks_later(feed: Feed, api: Api) -> None:
    """Acks after the snapshot don't reach it; a second seek brings all of it back again."""
    feed.publish(*({"data": b"%d" % number} for number in range(20)))
    received = feed.pull_until(20)
    feed.ack([each for each in received if each.message.data < b"15"])
    held = data([each for each in received if each.message.data >= b"15"])
    name = api.snapshot(feed.subscription)
    feed.ack(received)
    for _ in range(2):
        request = {"subscription": feed.subscription, "snapshot": name}
        feed.subscriber.seek(request=request)
        assert taken(feed, len(held)) == held


def test_order_holds_after_a_seek(feeds: Feeds) -> None:
    """What comes back of an ordering key comes in its order."""
    feed = feeds(enable_message_ordering=True, retain_acked_messages=True)
    for number in range(6):
        feed.publish({"data": b"%d" % number, "ordering_key": "k"})
    for _ in range(2):
        got: list[bytes] = []
        until_s = time.monotonic() + WAIT_S
        while len(got) < 6 and time.monotonic() < until_s:
            received = feed.pull()
            got += [each.message.data for each in received]
            if received:
                feed.ack(received)
        assert got == [b"%d" % number for number in range(6)]
        seek(feed, at(-3_600))


def test_open_stream_gets_what_comes_back(retaining: Feed, streams: Streams) -> None:
    """It needs not be opened anew."""
    retaining.publish({"data": b"a"}, {"data": b"b"})
    stream = streams(retaining)
    received = stream.receive(2)
    retaining.ack(received)
    seek(retaining, at(-3_600))
    assert data(received) == data(stream.receive(2)) == [b"a", b"b"]


def test_detached_subscription_can_not_seek(api: Api) -> None:
    """Nor can a snapshot be made of it."""
    name = api.subscription()
    api.publisher.detach_subscription(request={"subscription": name})
    with pytest.raises(exceptions.FailedPrecondition):
        api.subscriber.seek(request={"subscription": name, "time": at(0)})
    with pytest.raises(exceptions.FailedPrecondition):
        api.snapshot(name)


def test_snapshot_expires(api: Api) -> None:
    """At the time that an update has set, and its name is free again."""
    subscription = api.subscription()
    name = api.snapshot(subscription)
    request = {"snapshot": {"name": name, "expire_time": at(1.5)},
               "update_mask": {"paths": ["expire_time"]}}  # fmt: skip
    api.subscriber.update_snapshot(request=request)
    until_s = time.monotonic() + WAIT_S
    assert not gone(api, name)
    while not gone(api, name) and time.monotonic() < until_s:
        time.sleep(0.1)
    assert api.snapshot(subscription, name=name) == name
