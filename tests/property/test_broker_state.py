"""The broker's state against a naive model, under any interleaving of everything that may happen.

After each step the log is replayed into an empty state, which must equal the live one. The events
go through their encoding, and segments that hold nothing that is needed are deleted, as on disk.
"""

from itertools import count, cycle
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec.structs import replace

from connectors.broker import frame, housekeeping, seeking
from connectors.broker.events import (
    Acked,
    Checkpoint,
    Detached,
    Event,
    Moved,
    Place,
    Published,
    Skipped,
    SnapshotCreated,
    SnapshotDeleted,
    SnapshotUpdated,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionUpdated,
    Swept,
    TopicCreated,
    TopicDeleted,
    TopicUpdated,
)
from connectors.broker.need import Part, packed
from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings
from connectors.broker.state import State, Subscription
from tests.broker_state_model import Held, Model, ModelSubscription, ModelTopic

NEVER_S = 10**9
TOPICS_MAX, SUBSCRIPTIONS_MAX = 2, 3  # few, so that steps meet
PICK = st.integers(0, 1_000)
PASSING = st.lists(st.booleans(), min_size=1, max_size=3)


class Segments:
    """A log in memory: the bytes of each segment, replayed like the real one."""

    def __init__(self) -> None:
        self.bytes: dict[int, bytearray] = {}
        self.rotate(Checkpoint(1, [], []))

    def rotate(self, checkpoint: Checkpoint) -> None:
        """Begin a segment."""
        self.bytes[max(self.bytes, default=0) + 1] = bytearray()
        self.write([(checkpoint, b"")])

    def write(self, bundle: list[frame.Entry]) -> list[Event]:
        """Append a bundle; return its events with their places."""
        number = max(self.bytes)
        start = len(self.bytes[number])
        pieces, places = frame.encode(bundle, start)
        self.bytes[number] += b"".join(pieces)
        return [
            replace(event, place=Place(number, start + place.offset, place.size_bytes))
            if isinstance(event, (Published, Moved))
            else event
            for (event, _), place in zip(bundle, places, strict=True)
        ]

    def release(self, state: State) -> None:
        """Delete what holds nothing that is needed."""
        held = {place.segment for place in state.places()} | {max(self.bytes)}
        for number in set(self.bytes) - held:
            del self.bytes[number]

    def replayed(self) -> State:
        """Return the state that all segments amount to."""
        state = State()
        for number in sorted(self.bytes):
            data, at = memoryview(bytes(self.bytes[number])), 0
            while (found := frame.decode(data, at, number)) is not None:
                for event in found.events:
                    state.apply(event)
                at = found.end
            assert at == len(data)
        return state


class StateMachine(RuleBasedStateMachine):
    """Publish, ack, seek, snapshot, retention, update, detach, delete, checkpoint, compaction."""

    @initialize()
    def start(self) -> None:
        self.now_us = 1_000_000_000
        self.uids, self.ids = count(1), count(1)
        self.log, self.state, self.model = Segments(), State(), Model()
        self.state.apply(Checkpoint(1, [], []))
        self.create_topic(None)
        self.create_subscription(0, 300, retain=False, ordered=True, filtered=False)
        for size in (1, 2, 2):
            self.add(0, [True] * size, 0)

    def commit(self, *events: Event, rows: bytes = b"rows") -> None:
        """Write events as a bundle and apply them."""
        rowed = (Published, Moved)
        bundle = [(event, rows if isinstance(event, rowed) else b"") for event in events]
        for event in self.log.write(bundle):
            assert self.state.apply(event)
        self.log.release(self.state)

    def topic(self, pick: int, *, deleted: bool = False) -> ModelTopic | None:
        """Return one of the topics."""
        there = [t for t in self.model.topics.values() if deleted or not t.deleted]
        return there[pick % len(there)] if there else None

    def subscription(
        self, pick: int, *, detached: bool = False, waiting: bool = False
    ) -> ModelSubscription | None:
        """Return one of the subscriptions that are attached, or have something to deliver."""
        there = [s for s in self.model.subscriptions.values() if detached or not s.detached]
        there = [s for s in there if s.unacked or not waiting]
        return there[pick % len(there)] if there else None

    def live(self, subscription: ModelSubscription) -> Subscription:
        """Return the broker's side of a subscription."""
        return self.state.subscription_by_uid(subscription.uid)

    def create_topic(self, retention_s: float | None) -> None:
        if len([t for t in self.model.topics.values() if not t.deleted]) == TOPICS_MAX:
            return
        uid = next(self.uids)
        made = TopicSettings(f"projects/p/topics/t{uid}", retention_s=retention_s)
        self.commit(TopicCreated(uid, made))
        self.model.topics[uid] = ModelTopic(uid, made)

    def create_subscription(
        self, pick: int, retention_s: float, retain: bool, *, ordered: bool, filtered: bool
    ) -> None:
        topic = self.topic(pick)
        if topic and len(self.model.subscriptions) < SUBSCRIPTIONS_MAX:
            uid = next(self.uids)
            made = SubscriptionSettings(
                f"projects/p/subscriptions/s{uid}", topic.settings.name, retention_s=retention_s,
                retain_acked=retain, ordered=ordered, filter="some" if filtered else "",
                expiration_s=None,
            )  # fmt: skip
            self.commit(SubscriptionCreated(uid, topic.uid, made))
            self.model.subscriptions[uid] = ModelSubscription(
                uid, made, topic, floor=len(topic.messages)
            )

    @rule(
        kind=st.integers(0, 7),
        pick=PICK,
        retain=st.booleans(),
        retention_s=st.sampled_from([40, 300, NEVER_S]),
    )
    def change_resources(self, kind: int, pick: int, retain: bool, retention_s: int) -> None:
        """Create, update or delete: one rule for all, so that more happens to what is there."""
        filtered, ordered = pick % 2 == 0, pick % 3 == 0
        match kind:
            case 0:
                self.create_topic(retention_s if retain else None)
            case 1:
                self.update_topic(pick, retention_s if retain else None)
            case 2:
                self.delete_topic(pick)
            case 3:
                self.detach(pick)
            case 4:
                self.delete_subscription(pick)
            case _:
                self.create_subscription(
                    pick, retention_s, retain, ordered=ordered, filtered=filtered
                )

    @rule(pick=PICK, passing=PASSING, key=st.integers(0, 2))
    def publish(self, pick: int, passing: list[bool], key: int) -> None:
        self.add(pick, passing, key)

    @rule(pick=PICK, passing=PASSING, seconds=st.integers(0, 2))
    def publish_later(self, pick: int, passing: list[bool], seconds: int) -> None:
        """Hypothesis leaves out some rules at a time, and few examples should be without this."""
        self.now_us += seconds * 1_000_000
        self.add(pick, passing, 0)

    def add(self, pick: int, passing: list[bool], key: int) -> None:
        """Publish messages, some of which pass the filter."""
        if topic := self.topic(pick):
            first_id = next(self.ids) * 10
            event = Published(topic.uid, first_id, len(passing), self.now_us, None, key)
            offsets = np.flatnonzero(~np.array(passing))
            skipped = [
                Skipped(each.uid, first_id, offsets)
                for each in self.model.attached(topic)
                if each.settings.filter and offsets.size
            ]
            self.commit(event, *skipped)
            self.model.publish(topic, passing, self.now_us)

    @precondition(lambda self: any(s.unacked for s in self.model.subscriptions.values()))
    @rule(pick=PICK)
    def ack_one(self, pick: int) -> None:
        subscription = self.subscription(pick, waiting=True)
        if subscription:
            waiting = sorted(subscription.unacked)
            self.ack(pick, [p == waiting[pick % len(waiting)] for p in waiting])

    @precondition(lambda self: any(s.unacked for s in self.model.subscriptions.values()))
    @rule(pick=PICK, choices=st.lists(st.booleans(), min_size=1, max_size=6))
    def ack(self, pick: int, choices: list[bool]) -> None:
        """Acknowledge by a pattern that repeats, so that all of a block is no rare choice."""
        subscription = self.subscription(pick, waiting=True)
        if subscription:
            waiting = positions_of(self.live(subscription).part())
            chosen = [p for p, yes in zip(waiting, cycle(choices), strict=False) if yes]
            if chosen:
                self.commit(Acked(subscription.uid, np.array(chosen)))
            self.model.ack(subscription, chosen)

    @rule(pick=PICK, ago_s=st.sampled_from([-100, -1, 0, 1, 20, 40, 200, 10_000]))
    def seek_to_time(self, pick: int, ago_s: int) -> None:
        if subscription := self.subscription(pick):
            time_us = self.now_us - ago_s * 1_000_000
            wanted = seeking.to_time(self.live(subscription), time_us, self.now_us)
            self.seek(subscription, wanted, time_us)
            self.model.seek_to_time(subscription, time_us, self.now_us)

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICK, other=PICK)
    def seek_to_snapshot(self, pick: int, other: int) -> None:
        if subscription := self.subscription(pick):
            fitting = [h for h in self.model.snapshots.values() if h.topic is subscription.topic]
            if fitting:
                held = fitting[other % len(fitting)]
                snapshot = self.state.snapshot(f"projects/p/snapshots/n{held.uid}")
                self.seek(subscription, seeking.to_snapshot(self.live(subscription), snapshot), 0)
                self.model.seek_to_snapshot(subscription, held)

    def seek(self, subscription: ModelSubscription, wanted: Part, time_us: int) -> None:
        """Commit a seek, after the filter."""
        if subscription.settings.filter:
            passing = np.array([m.passes for m in subscription.topic.messages], np.bool_)
            wanted = Part(wanted.base, wanted.needed & passing[wanted.base :])
        self.commit(seeking.sought(self.live(subscription), wanted, time_us))

    @rule(pick=PICK, lives_s=st.sampled_from([10, 400]))
    def create_snapshot(self, pick: int, lives_s: int) -> None:
        if subscription := self.subscription(pick):
            uid, part = next(self.uids), self.live(subscription).part()
            expire_us = self.now_us + lives_s * 1_000_000
            made = SnapshotSettings(f"projects/p/snapshots/n{uid}", expire_us)
            topic = subscription.topic
            self.commit(SnapshotCreated(uid, topic.uid, made, part.base, packed(~part.needed)))
            self.model.snapshots[uid] = Held(
                uid, topic, set(subscription.unacked), len(topic.messages), expire_us
            )

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICK)
    def delete_snapshot(self, pick: int) -> None:
        uid = sorted(self.model.snapshots)[pick % len(self.model.snapshots)]
        self.commit(SnapshotDeleted(uid))
        topic = self.model.snapshots.pop(uid).topic
        self.model.settle(topic)

    @precondition(lambda self: self.model.snapshots)
    @rule(pick=PICK, lives_s=st.sampled_from([5, 900]))
    def update_snapshot(self, pick: int, lives_s: int) -> None:
        uid = sorted(self.model.snapshots)[pick % len(self.model.snapshots)]
        expire_us = self.now_us + lives_s * 1_000_000
        made = SnapshotSettings(f"projects/p/snapshots/n{uid}", expire_us, {"new": "label"})
        self.commit(SnapshotUpdated(uid, made))
        self.model.snapshots[uid].expire_us = expire_us

    @rule(pick=PICK, retention_s=st.sampled_from([300, NEVER_S]), retain=st.booleans())
    def update_subscription(self, pick: int, retention_s: float, retain: bool) -> None:
        if subscription := self.subscription(pick, detached=True):
            made = replace(subscription.settings, retention_s=retention_s, retain_acked=retain)
            self.commit(SubscriptionUpdated(subscription.uid, made))
            self.model.update(subscription, made)

    def update_topic(self, pick: int, retention_s: float | None) -> None:
        if topic := self.topic(pick):
            made = replace(topic.settings, retention_s=retention_s)
            self.commit(TopicUpdated(topic.uid, made))
            self.model.update_topic(topic, made)

    def detach(self, pick: int) -> None:
        if subscription := self.subscription(pick):
            self.commit(Detached(subscription.uid))
            self.model.detach(subscription)

    def delete_subscription(self, pick: int) -> None:
        if subscription := self.subscription(pick, detached=True):
            self.commit(SubscriptionDeleted(subscription.uid))
            self.model.delete(subscription)

    def delete_topic(self, pick: int) -> None:
        if topic := self.topic(pick):
            self.commit(TopicDeleted(topic.uid))
            self.model.delete_topic(topic)

    @rule(seconds=st.sampled_from([1, 31, 51, 301]))
    def pass_time(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000
        for event in housekeeping.ended(self.state, self.now_us):
            self.commit(event)
        self.model.pass_time(self.now_us)

    @rule()
    def begin_segment(self) -> None:
        checkpoint = self.state.checkpoint()
        self.log.rotate(checkpoint)
        self.state.sweep()
        self.log.release(self.state)
        self.model.sweep()

    @rule(pick=PICK)
    def compact(self, pick: int) -> None:
        self.commit(Swept())
        self.model.sweep()
        segment = sorted(self.log.bytes)[pick % len(self.log.bytes)]
        for uid, topic in self.model.topics.items():
            live = self.state.topic_by_uid(uid)
            if live is None:
                continue
            for block in [b for b in live.blocks if b.place.segment == segment]:
                low, high = live.need().span(block.first, block.first + block.messages)
                self.commit(Moved(uid, low, high - low, block.time_us, None, block.key))
                for position in range(block.first, block.first + block.messages):
                    topic.messages[position].there &= low <= position < high

    @invariant()
    def deliverable_agree(self) -> None:
        assert set(self.state.subscriptions) == {
            each.settings.name for each in self.model.subscriptions.values()
        }
        for each in self.model.subscriptions.values():
            live = self.live(each)
            assert set(positions_of(live.part())) == each.unacked, each.settings
            assert (live.detached, live.settings) == (each.detached, each.settings)

    @invariant()
    def snapshots_agree(self) -> None:
        assert set(self.state.snapshots) == {
            f"projects/p/snapshots/n{uid}" for uid in self.model.snapshots
        }

    @invariant()
    def rows_agree(self) -> None:
        for uid, topic in self.model.topics.items():
            live = self.state.topic_by_uid(uid)
            blocks: Any = live.blocks if live else []
            there = {p for b in blocks for p in range(b.first, b.first + b.messages)}
            assert there == {m.position for m in topic.messages if m.there}
        self.state.check_complete()

    @invariant()
    def replay_equals_live(self) -> None:
        replayed = self.log.replayed()
        replayed.recovered()
        assert digest(replayed) == digest(self.state)


def positions_of(part: Part) -> list[int]:
    """Return the needed positions."""
    found: list[int] = (np.flatnonzero(part.needed) + part.base).tolist()
    return found


def digest(state: State) -> object:
    """Return everything durable in a form that compares by value."""
    blocks = {topic.uid: list(topic.blocks) for topic in state.all_topics()}
    return state.checkpoint(), blocks, {name: keys(s) for name, s in state.subscriptions.items()}


def keys(subscription: Subscription) -> list[int]:
    """Return the ordering keys of what an ordered subscription has to deliver, as it knows them."""
    positions = np.array(positions_of(subscription.part()), np.int64)
    if subscription.detached or not subscription.settings.ordered:
        return []
    found: list[int] = subscription.backlog._columns.at("key", positions).tolist()
    return found


StateMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestState = StateMachine.TestCase
