"""The broker's decisions: topics, subscriptions, what may be created, delivered, forgotten.

No input, no output, no clock, no threads. Durable facts come in as events, through ``apply``, and
only after the log has them; replaying the log into an empty state gives the same state again.
Leases are volatile: they are made on the backlogs directly and are gone after a restart.
"""

from __future__ import annotations

from connectors.broker.backlog import Backlog, Positions
from connectors.broker.events import (
    Acked,
    Block,
    Change,
    Checkpoint,
    Detached,
    DocumentStored,
    Event,
    Expunged,
    Moved,
    Published,
    Skipped,
    SnapshotCreated,
    SnapshotDeleted,
    SnapshotUpdated,
    Sought,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionUpdated,
    Swept,
    TopicCreated,
    TopicDeleted,
    TopicUpdated,
    Used,
)
from connectors.broker.registry import Registry
from connectors.broker.resources import Snapshot, Subscription, Topic

__all__ = ["Snapshot", "State", "Subscription", "Topic"]


class State(Registry):
    """What there is, and how events change it."""

    def apply(self, event: Event) -> bool:
        """Take a durable event into the state; return False if what it was about is gone."""
        match event:
            case Published():
                return self._published(event)
            case Acked(uid=uid, positions=positions):
                return self._acked(uid, positions)
            case Skipped():
                return self._skipped(event)
            case Moved():
                return self._moved(event)
            case Checkpoint():
                self._restore(event)
                self.sweep()
            case Swept():
                self.sweep()
            case DocumentStored():
                self._store(event)
            case _:
                return self._change(event)
        return True

    def expiry_s(self) -> float:
        """Return when a lease or a backoff ends next, at the earliest."""
        times = (each.backlog.expiry_s for each in self.subscriptions.values())
        return min(times, default=float("inf"))

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
        unneeded = not topic.subscriptions
        for subscription in topic.subscriptions.values():
            unneeded |= subscription.extend(block)
        if unneeded:
            self._settle(topic)
        return True

    def _moved(self, event: Moved) -> bool:
        topic = self._topics_by_uid.get(event.topic_uid)
        if topic is None or event.place is None:
            return False
        block = Block(event.first, event.count, event.time_us, event.place, event.key)
        freed = topic.blocks.replace(block)
        self._freed += freed
        if not freed:
            self._gained.add(topic.uid)
        return True

    def _acked(self, uid: int, positions: Positions) -> bool:
        subscription = self._subscriptions_by_uid.get(uid)
        if subscription is None:
            return False
        subscription.backlog.ack(positions)
        self._settle(subscription.topic)
        return True

    def _skipped(self, event: Skipped) -> bool:
        subscription = self._subscriptions_by_uid.get(event.uid)
        if subscription is None:
            return False
        first_id, first = subscription.topic.last_publish
        return first_id == event.first_id and self._acked(event.uid, event.offsets + first)

    def _change(self, event: Change) -> bool:
        """Take what happened to a resource."""
        match event:
            case TopicCreated() | TopicUpdated() | TopicDeleted():
                return self._change_topic(event)
            case SnapshotCreated() | SnapshotUpdated() | SnapshotDeleted():
                return self._change_snapshot(event)
            case Used(uids=uids, time_us=time_us):
                for uid in uids:
                    if subscription := self._subscriptions_by_uid.get(uid):
                        subscription.used_us = time_us
            case Expunged(uid=uid, until=until) if uid in self._topics_by_uid:
                self._topics_by_uid[uid].expunge(until)
                self._settle(self._topics_by_uid[uid])
            case SubscriptionCreated():
                return self._create_subscription(event)
            case _:
                return self._change_subscription(event)
        return True

    def _create_subscription(self, event: SubscriptionCreated) -> bool:
        topic = self._topics_by_uid.get(event.topic_uid)
        if topic is None:
            return False
        backlog = Backlog(topic.end, ordered=event.settings.ordered)
        self._add_subscription(
            Subscription(event.uid, event.settings, topic, backlog, floor=topic.end)
        )
        return True

    def _change_topic(self, event: TopicCreated | TopicUpdated | TopicDeleted) -> bool:
        if isinstance(event, TopicCreated):
            topic = Topic(event.uid, event.settings)
            self._add_topic(topic)
            topic.update(event.settings)
            return True
        if event.uid not in self._topics_by_uid:
            return False
        topic = self._topics_by_uid[event.uid]
        if topic.deleted:
            return False
        if isinstance(event, TopicUpdated):
            topic.update(event.settings)
        else:
            topic.delete()
            del self.topics[topic.settings.name]
            self._forget_documents(topic.settings.name)
        self._settle(topic)
        return True

    def _change_subscription(
        self, event: SubscriptionUpdated | SubscriptionDeleted | Detached | Sought | Expunged
    ) -> bool:
        subscription = self._subscriptions_by_uid.get(event.uid)
        if subscription is None:
            return False
        match event:
            case SubscriptionUpdated():
                subscription.update(event.settings)
            case Sought():
                subscription.seek(event)
            case Expunged():
                subscription.expunge(event.until)
            case Detached():
                subscription.detach()
            case SubscriptionDeleted():
                self._delete_subscription(subscription)
                self._forget_documents(subscription.settings.name)
        self._settle(subscription.topic)
        return True

    def _change_snapshot(self, event: SnapshotCreated | SnapshotUpdated | SnapshotDeleted) -> bool:
        if isinstance(event, SnapshotCreated):
            topic = self._topics_by_uid.get(event.topic_uid)
            if topic is None:
                return False
            self._add_snapshot(
                Snapshot(event.uid, event.settings, topic, event.base, topic.end, event.acked)
            )
            return True
        snapshot = self._snapshots_by_uid.get(event.uid)
        if snapshot is None:
            return False
        if isinstance(event, SnapshotUpdated):
            snapshot.settings = event.settings
        else:
            del self._snapshots_by_uid[event.uid]
            del self.snapshots[snapshot.settings.name]
            self._forget_documents(snapshot.settings.name)
            del snapshot.topic.snapshots[event.uid]
            self._settle(snapshot.topic)
        return True
