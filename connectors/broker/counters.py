"""What the broker has done since it started: counts per topic and subscription, for metrics.

They only ever rise, as Prometheus wants it, and begin at zero with the process.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Counters", "LogCounts", "SubscriptionCounts", "TopicCounts"]


@dataclass(slots=True)
class TopicCounts:
    """What was published to a topic."""

    requests: int = 0
    messages: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class SubscriptionCounts:
    """What became of a subscription's messages, counted per delivery."""

    sent: int = 0
    sent_bytes: int = 0
    acked: int = 0
    nacked: int = 0
    extended: int = 0
    """Messages whose deadline was moved, nacks included."""
    expired: int = 0
    dead_lettered: int = 0
    open_streams: int = 0
    """StreamingPull calls that are open now: the only number here that falls."""
    pushes: Counter[str] = field(default_factory=Counter)
    """Push requests by what became of them, in the words of Cloud Monitoring."""


@dataclass(slots=True)
class LogCounts:
    """What the log has cost."""

    syncs: int = 0
    sync_s: float = 0.0
    """Seconds spent in waiting for the disk, over all syncs."""
    written_bytes: int = 0


class Counters:
    """Counts by the ``uid`` of a topic or a subscription; an unknown one begins at zero."""

    def __init__(self) -> None:
        self._topics: dict[int, TopicCounts] = {}
        self._subscriptions: dict[int, SubscriptionCounts] = {}

    def topic(self, uid: int) -> TopicCounts:
        """Return the counts of a topic, to be added to."""
        found = self._topics.get(uid)
        if found is None:
            found = self._topics[uid] = TopicCounts()
        return found

    def subscription(self, uid: int) -> SubscriptionCounts:
        """Return the counts of a subscription, to be added to."""
        found = self._subscriptions.get(uid)
        if found is None:
            found = self._subscriptions[uid] = SubscriptionCounts()
        return found

    def forget(self, uid: int) -> None:
        """Drop the counts of a topic or a subscription that was deleted."""
        self._topics.pop(uid, None)
        self._subscriptions.pop(uid, None)
