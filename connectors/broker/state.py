"""The broker's decisions: topics, subscriptions, what may be created, delivered, forgotten.

No input, no output, no clock, no threads. Durable facts come in as events, through ``apply``, and
only after the log has them; replaying the log into an empty state gives the same state again.
Leases are volatile: they are made on the backlogs directly and are gone after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from connectors.broker.backlog import Backlog, Positions
from connectors.broker.blocks import Blocks
from connectors.broker.errors import AlreadyExists, CorruptLog, NotFound
from connectors.broker.events import (
    Acked,
    Block,
    Change,
    Checkpoint,
    DocumentStored,
    Event,
    Place,
    Published,
    Skipped,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionState,
    SubscriptionUpdated,
    TopicCreated,
    TopicDeleted,
    TopicState,
    TopicUpdated,
)
from connectors.broker.names import DELETED_TOPIC
from connectors.broker.settings import SubscriptionSettings, TopicSettings

__all__ = ["State", "Subscription", "Topic"]


@dataclass(eq=False)
class Topic:
    """A topic and where its messages are; ``blocks`` are those that somebody still needs."""

    uid: int
    settings: TopicSettings
    end: int = 0
    deleted: bool = False
    last_publish: tuple[int, int] = (0, 0)
    """First id and first position of the newest publish."""
    blocks: Blocks = field(default_factory=Blocks)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)

    @property
    def shown_name(self) -> str:
        """The name that its subscriptions show."""
        return DELETED_TOPIC if self.deleted else self.settings.name

    def needed_from(self) -> int:
        """Return the position below which no subscription needs anything."""
        return min((each.backlog.base for each in self.subscriptions.values()), default=self.end)

    def waiting(self) -> npt.NDArray[np.int64]:
        """Return for each block how many deliveries it still has to serve."""
        waiting = np.zeros(len(self.blocks), np.int64)
        for each in self.subscriptions.values():
            waiting += each.backlog.unacked_in(self.blocks.firsts, self.blocks.stops)
        return waiting

    def to_deliver(self) -> int:
        """Return how many deliveries there are still to be, over all subscriptions."""
        return sum(s.backlog.waiting + s.backlog.leased for s in self.subscriptions.values())


@dataclass(eq=False)
class Subscription:
    """A subscription and what it has still to deliver."""

    uid: int
    settings: SubscriptionSettings
    topic: Topic
    backlog: Backlog

    def oldest_us(self) -> int | None:
        """Return the publish time of the oldest message that is not acked, None if all are."""
        if self.backlog.base == self.backlog.end:
            return None
        blocks = self.topic.blocks
        return int(blocks.times_us[blocks.index(self.backlog.base)])


class State:
    """All topics and subscriptions of a broker."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.next_id = 1
        self.last_us = 0
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._topics_by_uid: dict[int, Topic] = {}
        self._subscriptions_by_uid: dict[int, Subscription] = {}
        self.documents: dict[tuple[str, str], bytes] = {}
        self._touched: dict[int, Topic] = {}

    def topic(self, name: str) -> Topic:
        """Return the topic of that name.

        Raises:
            NotFound: there is none.
        """
        if name not in self.topics:
            raise NotFound(f"Topic {name} does not exist; create it first.")
        return self.topics[name]

    def subscription(self, name: str) -> Subscription:
        """Return the subscription of that name.

        Raises:
            NotFound: there is none.
        """
        if name not in self.subscriptions:
            raise NotFound(f"Subscription {name} does not exist; create it first.")
        return self.subscriptions[name]

    def subscription_by_uid(self, uid: int) -> Subscription:
        """Return the subscription of that number.

        Raises:
            NotFound: it was deleted, or never existed.
        """
        if uid not in self._subscriptions_by_uid:
            raise NotFound("The subscription of this lease does not exist any more.")
        return self._subscriptions_by_uid[uid]

    def subscriptions_of(self, topic_uid: int) -> list[Subscription]:
        """Return the subscriptions of a topic, by its number; none if it is gone."""
        topic = self._topics_by_uid.get(topic_uid)
        return list(topic.subscriptions.values()) if topic else []

    def places(self) -> Iterator[Place]:
        """Yield where the rows are that somebody still needs."""
        for topic in self._topics_by_uid.values():
            yield from topic.blocks.places()

    def check_topic_is_new(self, name: str) -> None:
        """Refuse the name of an existing topic.

        Raises:
            AlreadyExists: it is taken.
        """
        if name in self.topics:
            raise AlreadyExists(f"Topic {name} exists already.")

    def check_subscription_is_new(self, name: str) -> None:
        """Refuse the name of an existing subscription.

        Raises:
            AlreadyExists: it is taken.
        """
        if name in self.subscriptions:
            raise AlreadyExists(f"Subscription {name} exists already.")

    def apply(self, event: Event) -> bool:
        """Take a durable event into the state; return False if what it was about is gone."""
        match event:
            case Published():
                return self._published(event)
            case Acked(uid=uid, positions=positions):
                return self._acked(uid, positions)
            case Skipped():
                return self._skipped(event)
            case Checkpoint():
                self._restore(event)
            case DocumentStored():
                self._store(event)
            case _:
                return self._change(event)
        return True

    def checkpoint(self) -> Checkpoint:
        """Return everything durable but the rows."""
        return Checkpoint(
            self.next_id,
            [TopicState(t.uid, t.settings, t.deleted, t.end) for t in self._topics_by_uid.values()],
            [
                SubscriptionState(s.uid, s.topic.uid, s.settings, s.backlog.base, s.backlog.acked())
                for s in self.subscriptions.values()
            ],
            [DocumentStored(*key, value) for key, value in self.documents.items()],
            self.last_us,
        )

    def expire(self, now_s: float) -> dict[Subscription, int]:
        """End the leases whose deadline has passed; return how many each subscription had."""
        ended = ((each, each.backlog.expire(now_s)) for each in self.subscriptions.values())
        return {each: count for each, count in ended if count}

    def expiry_s(self) -> float:
        """Return when ``expire`` has something to do next, at the earliest."""
        times = (each.backlog.expiry_s for each in self.subscriptions.values())
        return min(times, default=float("inf"))

    def overdue(self, now_us: int) -> list[Acked]:
        """Return what is older than the retention of its subscription, to be acked unread.

        Args:
            now_us: the time, microseconds since 1970.
        """
        found: list[Acked] = []
        for uid, each in self._subscriptions_by_uid.items():
            oldest_us = now_us - each.settings.retention_s * 1_000_000
            blocks = each.topic.blocks
            older = blocks.older_than(int(oldest_us))
            if older:
                stop = int(blocks.stops[older - 1])
                positions = each.backlog.unacked(np.arange(each.backlog.base, stop))
                if positions.size:
                    found.append(Acked(uid, positions))
        return found

    def reclaim(self) -> list[Place]:
        """Let go of the blocks below what is needed; return where they were.

        It looks only at topics that something happened to since the last time.
        """
        freed: list[Place] = []
        for topic in self._touched.values():
            freed += topic.blocks.drop_below(topic.needed_from())
            if topic.deleted and not topic.subscriptions:
                self._topics_by_uid.pop(topic.uid, None)
        self._touched.clear()
        return freed

    def sweep(self) -> list[Place]:
        """Let go of every block whose messages are all acked, also behind older unacked ones."""
        freed: list[Place] = []
        for topic in self._topics_by_uid.values():
            freed += topic.blocks.keep(topic.waiting() > 0)
        return freed

    def check_complete(self) -> None:
        """Check after recovery that the rows of every message to deliver were found.

        Raises:
            CorruptLog: some are missing.
        """
        for topic in self._topics_by_uid.values():
            lacking = topic.to_deliver() - int(topic.waiting().sum())
            if lacking:
                raise CorruptLog(
                    f"{lacking} messages of topic {topic.settings.name} are in no segment;"
                    " a segment file was removed"
                )

    def _published(self, event: Published) -> bool:
        self.next_id = max(self.next_id, event.first_id + event.count)
        self.last_us = max(self.last_us, event.time_us)
        topic = self._topics_by_uid.get(event.topic_uid)
        if topic is None or topic.deleted or event.place is None:
            return False
        block = Block(topic.end, event.count, event.time_us, event.place, event.key)
        topic.blocks.append(block)
        topic.last_publish = event.first_id, topic.end
        topic.end += event.count
        self._touch(topic)
        for subscription in topic.subscriptions.values():
            subscription.backlog.extend_to(topic.end)
        return True

    def _acked(self, uid: int, positions: Positions) -> bool:
        subscription = self._subscriptions_by_uid.get(uid)
        if subscription is None:
            return False
        subscription.backlog.ack(positions)
        self._touch(subscription.topic)
        return True

    def _skipped(self, event: Skipped) -> bool:
        subscription = self._subscriptions_by_uid.get(event.uid)
        if subscription is None:
            return False
        first_id, first = subscription.topic.last_publish
        return first_id == event.first_id and self._acked(event.uid, event.offsets + first)

    def _touch(self, topic: Topic) -> None:
        self._touched[topic.uid] = topic

    def _add_topic(self, topic: Topic) -> None:
        self._touch(topic)
        self._topics_by_uid[topic.uid] = topic
        if not topic.deleted:
            self.topics[topic.settings.name] = topic

    def _add_subscription(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.settings.name] = subscription
        self._subscriptions_by_uid[subscription.uid] = subscription
        subscription.topic.subscriptions[subscription.uid] = subscription

    def _change(self, event: Change) -> bool:
        """Take what happened to a topic or a subscription as a resource."""
        match event:
            case TopicCreated(uid=uid):
                self._add_topic(Topic(uid, event.settings))
            case SubscriptionCreated(uid=uid):
                topic = self._topics_by_uid[event.topic_uid]
                new = Subscription(uid, event.settings, topic, Backlog(topic.end))
                self._add_subscription(new)
            case TopicUpdated(uid=uid, settings=topic_settings):
                self._topics_by_uid[uid].settings = topic_settings
            case SubscriptionUpdated(uid=uid, settings=settings):
                self._subscriptions_by_uid[uid].settings = settings
            case TopicDeleted(uid=uid):
                return self._delete_topic(uid)
            case SubscriptionDeleted(uid=uid):
                return self._delete_subscription(uid)
        return True

    def _store(self, document: DocumentStored) -> None:
        key = document.kind, document.name
        if document.value is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = document.value

    def _delete_topic(self, uid: int) -> bool:
        topic = self._topics_by_uid[uid]
        topic.deleted = True
        self._touch(topic)
        return self.topics.pop(topic.settings.name, None) is not None

    def _delete_subscription(self, uid: int) -> bool:
        subscription = self._subscriptions_by_uid.pop(uid)
        del subscription.topic.subscriptions[uid]
        self._touch(subscription.topic)
        del self.subscriptions[subscription.settings.name]
        return True

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Replace all but the rows, which earlier segments may hold."""
        blocks = {uid: topic.blocks for uid, topic in self._topics_by_uid.items()}
        self._clear()
        self.last_us = checkpoint.last_us
        self.next_id = checkpoint.next_id
        for saved in checkpoint.topics:
            known = blocks.get(saved.uid, Blocks())
            topic = Topic(saved.uid, saved.settings, saved.end, saved.deleted, blocks=known)
            self._add_topic(topic)
        for each in checkpoint.subscriptions:
            topic = self._topics_by_uid[each.topic_uid]
            backlog = Backlog.restored(each.base, topic.end, each.acked)
            self._add_subscription(Subscription(each.uid, each.settings, topic, backlog))
        for document in checkpoint.documents:
            self._store(document)
