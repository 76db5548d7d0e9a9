"""What the status page shows: plain values, to be sent as JSON."""

from __future__ import annotations

import base64
import heapq
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
import numpy as np

from connectors.broker import overview
from connectors.broker.backlog import Backlog, Positions
from connectors.broker.engine import Engine
from connectors.broker.state import Subscription, Topic

__all__ = ["RESOURCES_MAX", "peeked", "status"]

RESOURCES_MAX = 2_000
"""Topics, and subscriptions, that are shown at a time."""
PEEK_MESSAGES_MAX = 100
_PEEK_BYTES_MAX = 3_000_000
_SHOWN_BYTES_MAX = 4_096
_WINDOW = 4_096

_Resource = TypeVar("_Resource", Subscription, Topic)


class Totals(msgspec.Struct):
    """The whole broker; counts are since its start."""

    ready: str
    """Empty, or why the broker takes no requests."""
    time_s: float
    topics: int
    subscriptions: int
    undelivered: int
    published: int
    sent: int
    acked: int
    log_bytes: int
    disk_free_bytes: int


class TopicRow(msgspec.Struct):
    """A topic; counts are since the start of the broker."""

    name: str
    subscriptions: int
    requests: int
    messages: int
    size_bytes: int


class SubscriptionRow(msgspec.Struct):
    """A subscription; counts are since the start of the broker."""

    name: str
    topic: str
    undelivered: int
    outstanding: int
    oldest_age_s: int
    sent: int
    acked: int
    nacked: int
    expired: int
    dead_lettered: int
    dead_letter_topic: str
    open_streams: int
    traits: list[str]


class Status(msgspec.Struct):
    """All of it."""

    totals: Totals
    topics: list[TopicRow]
    subscriptions: list[SubscriptionRow]


class Message(msgspec.Struct):
    """A message as it waits in a backlog."""

    message_id: str
    publish_time: str
    ordering_key: str
    attributes: dict[str, str]
    data: str
    """The first bytes, in base64."""
    data_bytes: int
    leased: bool


class Peeked(msgspec.Struct):
    """The oldest messages of a backlog."""

    undelivered: int
    messages: list[Message]


def status(engine: Engine, find: str = "") -> Status:
    """Return the state of the broker, without looking at a single message.

    Args:
        engine: to show.
        find: part of the names to show; if these are too many, the largest are shown.
    """
    state, counters, disk = engine.state, engine.counters, engine.disk()
    counts = [counters.subscription(each.uid) for each in state.subscriptions.values()]
    subscriptions = _found(state.subscriptions.items(), find, overview.unacked)
    topics = _found(state.topics.items(), find, lambda topic: topic.end)
    return Status(
        Totals(
            ready=engine.unready() or "",
            time_s=time.time(),
            topics=len(state.topics),
            subscriptions=len(state.subscriptions),
            undelivered=sum(map(overview.unacked, state.subscriptions.values())),
            published=sum(counters.topic(each.uid).messages for each in state.topics.values()),
            sent=sum(each.sent for each in counts),
            acked=sum(each.acked for each in counts),
            log_bytes=disk.log_bytes,
            disk_free_bytes=disk.free_bytes,
        ),
        [_topic_row(engine, topic) for topic in topics],
        [_subscription_row(engine, subscription) for subscription in subscriptions],
    )


def peeked(engine: Engine, subscription: Subscription, messages_max: int) -> Peeked:
    """Return the oldest messages that are not acknowledged, leased or not, and leave them alone."""
    positions = _oldest(subscription.backlog, min(messages_max, PEEK_MESSAGES_MAX))
    if positions.size == 0:
        return Peeked(overview.unacked(subscription), [])
    batch, sizes = engine.read(subscription.topic, positions, _PEEK_BYTES_MAX)
    leased = subscription.backlog.is_leased(positions[: sizes.size]).tolist()
    messages = [_message(row, held) for row, held in zip(batch.to_pylist(), leased, strict=True)]
    return Peeked(overview.unacked(subscription), messages)


def _found(
    resources: Iterable[tuple[str, _Resource]], find: str, size: Callable[[_Resource], int]
) -> list[_Resource]:
    found = [each for name, each in resources if find in name]
    return found if len(found) <= RESOURCES_MAX else heapq.nlargest(RESOURCES_MAX, found, size)


def _topic_row(engine: Engine, topic: Topic) -> TopicRow:
    counts = engine.counters.topic(topic.uid)
    return TopicRow(
        topic.settings.name,
        len(topic.subscriptions),
        counts.requests,
        counts.messages,
        counts.size_bytes,
    )


def _subscription_row(engine: Engine, subscription: Subscription) -> SubscriptionRow:
    counts = engine.counters.subscription(subscription.uid)
    settings = subscription.settings
    return SubscriptionRow(
        name=settings.name,
        topic=subscription.topic.shown_name,
        undelivered=overview.unacked(subscription),
        outstanding=overview.outstanding(subscription),
        oldest_age_s=overview.age_s(subscription),
        sent=counts.sent,
        acked=counts.acked,
        nacked=counts.nacked,
        expired=counts.expired,
        dead_lettered=counts.dead_lettered,
        dead_letter_topic=settings.dead_letter.topic if settings.dead_letter else "",
        open_streams=counts.open_streams,
        traits=_traits(subscription),
    )


def _traits(subscription: Subscription) -> list[str]:
    settings = subscription.settings
    traits = {
        "detached": subscription.detached,
        "push": settings.push is not None,
        "ordered": settings.ordered,
        "exactly once": settings.exactly_once,
        "filtered": bool(settings.filter),
    }
    return [name for name, holds in traits.items() if holds]


def _oldest(backlog: Backlog, count_max: int) -> Positions:
    """Return the first unacked positions; they are near the base, so few others are looked at."""
    found: list[Positions] = [np.empty(0, np.int64)]
    at, window, wanted = backlog.base, _WINDOW, count_max
    while wanted > 0 and at < backlog.end:
        stop = min(at + window, backlog.end)
        found.append(backlog.unacked(np.arange(at, stop))[:wanted])
        wanted -= found[-1].size
        at, window = stop, window * 2
    return np.concatenate(found)


def _message(row: dict[str, Any], leased: bool) -> Message:
    return Message(
        message_id=row["message_id"],
        publish_time=row["publish_time"].strftime("%Y-%m-%d %H:%M:%S.%f UTC"),
        ordering_key=row["ordering_key"],
        attributes=dict(row["attributes"]),
        data=base64.b64encode(row["data"][:_SHOWN_BYTES_MAX]).decode(),
        data_bytes=len(row["data"]),
        leased=leased,
    )
