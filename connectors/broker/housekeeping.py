"""What time ends: old messages, snapshots, subscriptions that nobody uses; as events."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.broker.events import Event, Expunged, SnapshotDeleted, SubscriptionDeleted, Used
from connectors.broker.resources import Topic
from connectors.broker.state import State

__all__ = ["USE_S", "due_us", "ended", "used"]

USE_S = 3_600
"""Seconds after which it is told again that a subscription is used.

A subscription expires that much later, since its last use may not be in the log."""


def used(state: State, uids: set[int], now_us: int) -> Used | None:
    """Return the event that subscriptions are used, None if nothing new is to be told.

    Args:
        state: of the broker.
        uids: of subscriptions that were used lately.
        now_us: the time, microseconds since 1970.
    """
    told = [
        each.uid
        for each in state.subscriptions.values()
        if each.used_us == 0 or (each.uid in uids and now_us - each.used_us >= USE_S * 1_000_000)
    ]
    return Used(told, now_us) if told else None


def due_us(state: State) -> float:
    """Return when the next snapshot expires, microseconds since 1970."""
    return min((each.settings.expire_us for each in state.snapshots.values()), default=float("inf"))


def ended(state: State, now_us: int) -> list[Event]:
    """Return the events for everything whose time is over.

    Args:
        state: of the broker, which knows what is used.
        now_us: the time, microseconds since 1970.
    """
    return [*_unused(state, now_us), *_expired(state, now_us), *_too_old(state, now_us)]


def _unused(state: State, now_us: int) -> Iterator[Event]:
    for each in state.subscriptions.values():
        ttl_s = each.settings.expiration_s
        if ttl_s and each.used_us and each.used_us + (ttl_s + USE_S) * 1_000_000 < now_us:
            yield SubscriptionDeleted(each.uid)


def _expired(state: State, now_us: int) -> Iterator[Event]:
    for each in state.snapshots.values():
        if each.settings.expire_us <= now_us:
            yield SnapshotDeleted(each.uid)


def _too_old(state: State, now_us: int) -> Iterator[Event]:
    for topic in state.all_topics():
        if topic.retained_from is not None:
            until = _until(topic, now_us, topic.retention_s)
            if until > topic.retained_from:
                yield Expunged(topic.uid, until)
        for each in topic.subscriptions.values():
            until = _until(topic, now_us, each.retention_s)
            if until > each.needed_from():
                yield Expunged(each.uid, until)


def _until(topic: Topic, now_us: int, retention_s: float) -> int:
    """Return the position below which everything is older than a retention."""
    older = topic.blocks.older_than(now_us - int(retention_s * 1_000_000))
    return int(topic.blocks.stops[older - 1]) if older else 0
