"""A naive model of the broker's durable state: one record per message, loops, no bitmaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.broker.settings import SubscriptionSettings, TopicSettings

__all__ = ["Held", "Message", "Model", "ModelSubscription", "ModelTopic"]


@dataclass
class Message:
    """A message of a topic, where it was published."""

    position: int
    time_us: int
    block: int
    passes: bool
    """Whether it passes the filter that some subscriptions have."""
    there: bool = True
    """Whether its rows are still in the log."""


@dataclass(eq=False)
class ModelTopic:
    """A topic with everything ever published to it."""

    uid: int
    settings: TopicSettings
    messages: list[Message] = field(default_factory=list)
    deleted: bool = False
    retained: set[int] = field(default_factory=set)
    """Positions that its own retention keeps."""

    @property
    def retains(self) -> bool:
        return self.settings.retention_s is not None and not self.deleted


@dataclass(eq=False)
class ModelSubscription:
    """A subscription and what it has still to deliver, position by position."""

    uid: int
    settings: SubscriptionSettings
    topic: ModelTopic
    unacked: set[int] = field(default_factory=set)
    floor: int = 0
    detached: bool = False
    discard_until_us: int = 0

    @property
    def base(self) -> int:
        return min(self.unacked, default=len(self.topic.messages))

    @property
    def kept_s(self) -> float:
        topic_s = self.topic.settings.retention_s if self.topic.retains else None
        return max(self.settings.retention_s, topic_s or 0)

    def retained(self) -> set[int]:
        if not self.settings.retain_acked:
            return set()
        return set(range(self.floor, len(self.topic.messages)))


@dataclass(eq=False)
class Held:
    """A snapshot: what it held at its begin, and where that was."""

    uid: int
    topic: ModelTopic
    unacked: set[int]
    end: int
    expire_us: int

    def all(self) -> set[int]:
        return self.unacked | set(range(self.end, len(self.topic.messages)))


class Model:
    """What the events of the API do to each message."""

    def __init__(self) -> None:
        self.topics: dict[int, ModelTopic] = {}
        self.subscriptions: dict[int, ModelSubscription] = {}
        self.snapshots: dict[int, Held] = {}
        self.blocks = 0

    def attached(self, topic: ModelTopic) -> list[ModelSubscription]:
        return [s for s in self.subscriptions.values() if s.topic is topic and not s.detached]

    def publish(self, topic: ModelTopic, passing: list[bool], time_us: int) -> None:
        self.blocks += 1
        for passes in passing:
            position = len(topic.messages)
            topic.messages.append(Message(position, time_us, self.blocks, passes))
            if topic.retains:
                topic.retained.add(position)
            for each in self.attached(topic):
                skipped = each.settings.filter and not passes
                if not skipped and time_us >= each.discard_until_us:
                    each.unacked.add(position)
        self.settle(topic)

    def ack(self, subscription: ModelSubscription, positions: list[int]) -> None:
        subscription.unacked -= set(positions)
        self.settle(subscription.topic)

    def update(self, subscription: ModelSubscription, settings: SubscriptionSettings) -> None:
        if settings.retain_acked and not subscription.settings.retain_acked:
            subscription.floor = subscription.base
        subscription.settings = settings
        self.settle(subscription.topic)

    def update_topic(self, topic: ModelTopic, settings: TopicSettings) -> None:
        topic.settings = settings
        if settings.retention_s is None:
            topic.retained.clear()
        self.settle(topic)

    def delete_topic(self, topic: ModelTopic) -> None:
        topic.deleted = True
        topic.retained.clear()
        self.settle(topic)

    def delete(self, subscription: ModelSubscription) -> None:
        del self.subscriptions[subscription.uid]
        self.settle(subscription.topic)

    def detach(self, subscription: ModelSubscription) -> None:
        subscription.detached = True
        subscription.unacked.clear()
        self.settle(subscription.topic)

    def seek_to_time(self, subscription: ModelSubscription, time_us: int, now_us: int) -> None:
        topic, back = subscription.topic, subscription.retained()
        young = {
            m.position
            for m in topic.messages
            if m.time_us >= now_us - subscription.kept_s * 1_000_000
        }
        back &= young
        if topic.retains:
            retention_s = topic.settings.retention_s or 0
            back |= {
                p
                for p in topic.retained
                if topic.messages[p].time_us >= now_us - retention_s * 1_000_000
            }
        wanted = {p for p in subscription.unacked | back if topic.messages[p].time_us >= time_us}
        self._sought(subscription, wanted, time_us)

    def seek_to_snapshot(self, subscription: ModelSubscription, snapshot: Held) -> None:
        self._sought(subscription, snapshot.all(), 0)

    def _sought(self, subscription: ModelSubscription, wanted: set[int], until_us: int) -> None:
        messages = subscription.topic.messages
        filtered = bool(subscription.settings.filter)
        subscription.unacked = {
            p for p in wanted if messages[p].there and (messages[p].passes or not filtered)
        }
        subscription.floor = min(subscription.floor, subscription.base)
        subscription.discard_until_us = until_us
        self.settle(subscription.topic)

    def pass_time(self, now_us: int) -> None:
        """End what time has ended; all of it is decided before any of it is done."""

        def until(topic: ModelTopic, retention_s: float) -> int:
            limit_us = now_us - int(retention_s * 1_000_000)
            old = [m.position for m in topic.messages if m.there and m.time_us < limit_us]
            return max(old, default=-1) + 1

        topics = {t: until(t, t.settings.retention_s or 0) for t in self.topics.values()}
        subscriptions = {
            s: until(s.topic, s.kept_s) for s in self.subscriptions.values() if not s.detached
        }
        for uid, snapshot in list(self.snapshots.items()):
            if snapshot.expire_us <= now_us:
                del self.snapshots[uid]
                self.settle(snapshot.topic)
        for topic, stop in topics.items():
            topic.retained = {p for p in topic.retained if p >= stop}
            self.settle(topic)
        for each, stop in subscriptions.items():
            each.unacked = {p for p in each.unacked if p >= stop}
            each.floor = max(each.floor, stop)
            self.settle(each.topic)

    def needed(self, topic: ModelTopic) -> set[int]:
        found = set(topic.retained) if topic.retains else set()
        for each in self.attached(topic):
            found |= each.unacked | each.retained()
        for snapshot in self.snapshots.values():
            if snapshot.topic is topic:
                found |= snapshot.all()
        return found

    def settle(self, topic: ModelTopic) -> None:
        """Drop the rows of blocks that end below everything needed."""
        first_needed = min(self.needed(topic), default=len(topic.messages))
        self._keep(topic, lambda positions: max(positions) >= first_needed)

    def sweep(self) -> None:
        """Drop the rows of every block that holds nothing needed."""
        for topic in self.topics.values():
            needed = self.needed(topic)
            self._keep(topic, lambda positions, needed=needed: not needed.isdisjoint(positions))

    def _keep(self, topic: ModelTopic, wanted: Callable[[list[int]], bool]) -> None:
        blocks = defaultdict(list)
        for message in topic.messages:
            if message.there:
                blocks[message.block].append(message.position)
        for positions in blocks.values():
            for position in positions:
                topic.messages[position].there = wanted(positions)
