"""What there is: topics, subscriptions, snapshots, by name and by number; and as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.broker.backlog import Backlog
from connectors.broker.errors import AlreadyExists, CorruptLog, FailedPrecondition, NotFound
from connectors.broker.events import (
    Checkpoint,
    DocumentStored,
    Place,
    SnapshotState,
    SubscriptionState,
    TopicState,
)
from connectors.broker.resources import Snapshot, Subscription, Topic

__all__ = ["Registry"]


class Registry:
    """All topics, subscriptions, snapshots and documents of a broker."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.next_id = 1
        self.last_us = 0
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self._topics_by_uid: dict[int, Topic] = {}
        self._subscriptions_by_uid: dict[int, Subscription] = {}
        self._snapshots_by_uid: dict[int, Snapshot] = {}
        self.documents: dict[tuple[str, str], bytes] = {}
        self._freed: list[Place] = []
        self._gained: set[int] = set()
        """Topics to which rows came back, in a recovery: moved out of a segment that is gone."""

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

    def snapshot(self, name: str) -> Snapshot:
        """Return the snapshot of that name.

        Raises:
            NotFound: there is none.
        """
        if name not in self.snapshots:
            raise NotFound(f"Snapshot {name} does not exist; create it first.")
        return self.snapshots[name]

    def subscription_by_uid(self, uid: int) -> Subscription:
        """Return the subscription of that number.

        Raises:
            NotFound: it was deleted, or never existed.
        """
        if uid not in self._subscriptions_by_uid:
            raise NotFound("The subscription of this lease does not exist any more.")
        return self._subscriptions_by_uid[uid]

    def has_subscription(self, uid: int) -> bool:
        """Tell whether there is a subscription of that number."""
        return uid in self._subscriptions_by_uid

    def check_open(self, subscription: Subscription) -> None:
        """Refuse a subscription that nothing can be received from.

        Raises:
            NotFound: it was deleted.
            FailedPrecondition: it was detached from its topic.
        """
        name = subscription.settings.name
        if self.subscriptions.get(name) is not subscription:
            raise NotFound(f"Subscription {name} was deleted.")
        if subscription.detached:
            raise FailedPrecondition(
                f"Subscription {name} is detached from its topic; delete it and create another."
            )

    def subscriptions_of(self, topic_uid: int) -> list[Subscription]:
        """Return the subscriptions of a topic, by its number; none if it is gone."""
        topic = self._topics_by_uid.get(topic_uid)
        return list(topic.subscriptions.values()) if topic else []

    def all_topics(self) -> list[Topic]:
        """Return all topics, also deleted ones that somebody still refers to."""
        return list(self._topics_by_uid.values())

    def topic_by_uid(self, uid: int) -> Topic | None:
        """Return the topic of that number; None if it is gone and nobody refers to it."""
        return self._topics_by_uid.get(uid)

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

    def check_snapshot_is_new(self, name: str) -> None:
        """Refuse the name of an existing snapshot.

        Raises:
            AlreadyExists: it is taken.
        """
        if name in self.snapshots:
            raise AlreadyExists(f"Snapshot {name} exists already.")

    def checkpoint(self) -> Checkpoint:
        """Return everything durable but the rows."""
        return Checkpoint(
            self.next_id,
            [
                TopicState(t.uid, t.settings, t.deleted, t.end, t.retained_from, *t.rows())
                for t in self._topics_by_uid.values()
            ],
            [
                SubscriptionState(
                    s.uid,
                    s.topic.uid,
                    s.settings,
                    s.backlog.base,
                    s.backlog.acked(),
                    s.floor,
                    s.detached,
                    s.discard_until_us,
                    s.used_us,
                )
                for s in self.subscriptions.values()
            ],
            [DocumentStored(*key, value) for key, value in self.documents.items()],
            self.last_us,
            [
                SnapshotState(n.uid, n.topic.uid, n.settings, n.base, n.end, n.acked)
                for n in self.snapshots.values()
            ],
        )

    def reclaim(self) -> list[Place]:
        """Return where the blocks were that were let go of since the last call."""
        freed, self._freed = self._freed, []
        return freed

    def recovered(self) -> None:
        """Finish a recovery, when all that the log has is applied.

        Raises:
            CorruptLog: rows of a message to deliver are missing.
        """
        self.check_complete()
        for topic in self._topics_by_uid.values():
            if topic.uid in self._gained:
                for each in topic.subscriptions.values():
                    each.order()
        self._gained.clear()

    def check_complete(self) -> None:
        """Check after recovery that the rows of every message to deliver were found.

        Raises:
            CorruptLog: some are missing.
        """
        for topic in self._topics_by_uid.values():
            if lacking := topic.lacking():
                raise CorruptLog(
                    f"{lacking} messages of topic {topic.settings.name} are in no segment;"
                    " a segment file was removed"
                )

    # For the state alone, which changes what there is.

    def _settle(self, topic: Topic) -> None:
        """Let go of what nobody needs any more of the oldest messages of a topic."""
        self._freed += topic.blocks.drop_below(topic.needed_from())
        if topic.forgotten:
            self._topics_by_uid.pop(topic.uid, None)

    def sweep(self) -> None:
        """Let go of every block that nobody needs, also behind older ones."""
        for topic in self._topics_by_uid.values():
            if topic.blocks:
                counts = topic.need().counts(topic.blocks.firsts, topic.blocks.stops)
                self._freed += topic.blocks.keep(counts > 0)

    def _add_topic(self, topic: Topic) -> None:
        self._topics_by_uid[topic.uid] = topic
        if not topic.deleted:
            self.topics[topic.settings.name] = topic

    def _add_subscription(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.settings.name] = subscription
        self._subscriptions_by_uid[subscription.uid] = subscription
        topic = subscription.topic
        attached = topic.detached if subscription.detached else topic.subscriptions
        attached[subscription.uid] = subscription

    def _add_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots[snapshot.settings.name] = snapshot
        self._snapshots_by_uid[snapshot.uid] = snapshot
        snapshot.topic.snapshots[snapshot.uid] = snapshot

    def _delete_subscription(self, subscription: Subscription) -> None:
        uid = subscription.uid
        del self._subscriptions_by_uid[uid]
        del self.subscriptions[subscription.settings.name]
        subscription.topic.subscriptions.pop(uid, None)
        subscription.topic.detached.pop(uid, None)

    def _store(self, document: DocumentStored) -> None:
        key = document.kind, document.name
        if document.value is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = document.value

    def _forget_documents(self, name: str) -> None:
        """Let the documents go that are about a resource which is gone."""
        for key in [each for each in self.documents if each[1] == name]:
            del self.documents[key]

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Replace all but the rows, which earlier segments may hold."""
        blocks = {uid: topic.blocks for uid, topic in self._topics_by_uid.items()}
        self._clear()
        self.last_us = checkpoint.last_us
        self.next_id = checkpoint.next_id
        for saved in checkpoint.topics:
            topic = Topic(saved.uid, saved.settings, saved.end, saved.deleted, saved.retained_from)
            topic.blocks = blocks.get(saved.uid, topic.blocks)
            topic.keep_rows(saved.rows_from, saved.rows)
            self._add_topic(topic)
        for each in checkpoint.subscriptions:
            topic = self._topics_by_uid[each.topic_uid]
            end = each.base if each.detached else topic.end
            runs = topic.blocks.runs(each.base) if each.settings.ordered else None
            backlog = Backlog.restored(each.base, end, each.acked, runs)
            self._add_subscription(
                Subscription(
                    each.uid,
                    each.settings,
                    topic,
                    backlog,
                    each.floor,
                    each.detached,
                    each.discard_until_us,
                    each.used_us,
                )
            )
        for one in checkpoint.snapshots:
            topic = self._topics_by_uid[one.topic_uid]
            self._add_snapshot(Snapshot(one.uid, one.settings, topic, one.base, one.end, one.acked))
        for document in checkpoint.documents:
            self._store(document)
