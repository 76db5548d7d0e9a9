"""The broker's decisions, with events and times as the only input."""

import numpy as np
import pytest

from connectors.broker import housekeeping
from connectors.broker.errors import AlreadyExists, CorruptLog, NotFound
from connectors.broker.events import (
    Acked,
    DocumentStored,
    Event,
    Expunged,
    Place,
    Published,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionUpdated,
    Swept,
    TopicCreated,
    TopicDeleted,
)
from connectors.broker.names import DELETED_TOPIC
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.state import State, Subscription

T, S, S2 = "projects/p/topics/abc", "projects/p/subscriptions/abc", "projects/p/subscriptions/def"
TOPIC = TopicCreated(1, TopicSettings(T))
SUBSCRIPTION = SubscriptionCreated(2, 1, SubscriptionSettings(S, T, retention_s=600))
SECOND = SubscriptionCreated(3, 1, SubscriptionSettings(S2, T, retention_s=1_200))
HOUR_US = 3_600_000_000


def place(segment: int) -> Place:
    """Return a place that tells its segment."""
    return Place(segment, 64, 100)


def publish(count: int, segment: int = 1, time_us: int = 0, first_id: int = 1) -> Published:
    """Return a publish to the topic."""
    return Published(1, first_id, count, time_us, place(segment))


def state_of(*events: Event) -> State:
    """Return the state after events."""
    state = State()
    for event in events:
        state.apply(event)
    return state


def waiting(subscription: Subscription) -> list[int]:
    """Return the positions that are ready."""
    return subscription.backlog.peek(1_000).tolist()


def test_subscription_gets_what_is_published_after_it() -> None:
    """What came before a subscription is not its business."""
    state = state_of(TOPIC, publish(2), SUBSCRIPTION, publish(3), SECOND, publish(1))
    assert waiting(state.subscription(S)) == [2, 3, 4, 5]
    assert waiting(state.subscription(S2)) == [5]


def test_subscriptions_ack_each_for_itself() -> None:
    """An ack in one leaves the other alone."""
    state = state_of(TOPIC, SUBSCRIPTION, SECOND, publish(3), Acked(2, np.array([0, 2])))
    assert waiting(state.subscription(S)) == [1]
    assert waiting(state.subscription(S2)) == [0, 1, 2]


def test_names_are_taken_once() -> None:
    """Creating again is refused; after deletion the name is free and means something new."""
    state = state_of(TOPIC, SUBSCRIPTION, publish(2))
    with pytest.raises(AlreadyExists, match=T):
        state.check_topic_is_new(T)
    with pytest.raises(AlreadyExists, match=S):
        state.check_subscription_is_new(S)
    state.apply(SubscriptionDeleted(2))
    state.check_subscription_is_new(S)
    state.apply(SubscriptionCreated(9, 1, SubscriptionSettings(S, T)))
    assert waiting(state.subscription(S)) == []
    with pytest.raises(NotFound):
        state.subscription_by_uid(2)


def test_missing_resources_are_not_found() -> None:
    """The sentence names the resource."""
    with pytest.raises(NotFound, match=T):
        State().topic(T)
    with pytest.raises(NotFound, match=S):
        State().subscription(S)


def test_subscription_outlives_its_topic() -> None:
    """It keeps its backlog, shows the topic as deleted, and a new topic is another one."""
    state = state_of(TOPIC, SUBSCRIPTION, publish(2), TopicDeleted(1))
    assert state.subscription(S).topic.shown_name == DELETED_TOPIC
    state.apply(TopicCreated(4, TopicSettings(T)))
    state.apply(Published(4, 3, 5, 0, place(1)))
    assert waiting(state.subscription(S)) == [0, 1]
    assert state.reclaim() == [place(1)]  # of the new topic, which nobody reads


def test_events_about_what_is_gone_change_nothing() -> None:
    """A publish or an ack that was on its way while its target was deleted is told so."""
    state = state_of(TOPIC, SUBSCRIPTION, TopicDeleted(1), SubscriptionDeleted(2))
    assert not state.apply(publish(3, first_id=10))
    assert not state.apply(Acked(2, np.array([0])))
    assert state.next_id == 13  # an id is never used twice, not even this one


def test_blocks_are_freed_when_all_have_acked() -> None:
    """The slowest subscription holds them; one without subscriptions holds nothing."""
    state = state_of(TOPIC, publish(2, segment=1), SUBSCRIPTION, SECOND, publish(2, segment=2))
    assert state.reclaim() == [place(1)]
    state.apply(Acked(2, np.array([2, 3])))
    assert state.reclaim() == []
    state.apply(Acked(3, np.array([2])))
    assert state.reclaim() == []
    state.apply(Acked(3, np.array([3])))
    assert state.reclaim() == [place(2)]


def test_deleting_the_last_reader_frees_its_blocks() -> None:
    """A backlog goes with its subscription, also after the topic's deletion."""
    state = state_of(TOPIC, SUBSCRIPTION, publish(2), TopicDeleted(1), SubscriptionDeleted(2))
    assert state.reclaim() == [place(1)]
    assert state.checkpoint().topics == []


def test_sweep_frees_blocks_behind_an_old_message() -> None:
    """One message that nobody acks does not hold everything that came after it."""
    state = state_of(
        TOPIC, SUBSCRIPTION, publish(2, 1), publish(2, 2), publish(2, 3), Acked(2, np.arange(1, 5))
    )
    assert state.reclaim() == []
    state.sweep()
    assert state.reclaim() == [place(2)]
    state.sweep()
    assert state.reclaim() == []
    state.check_complete()
    assert waiting(state.subscription(S)) == [0, 5]


def test_retention_finds_what_is_older() -> None:
    """Each subscription by its own retention; a message just within it stays, an acked one too."""
    state = state_of(
        TOPIC, SUBSCRIPTION, SECOND, publish(2, 1, time_us=0), publish(1, 2, time_us=HOUR_US)
    )
    state.apply(Acked(3, np.array([1])))
    assert housekeeping.ended(state, 600_000_000) == []
    assert housekeeping.ended(state, 600_000_001) == [Expunged(2, 2)]
    overdue = housekeeping.ended(state, 1_200_000_001)
    assert overdue == [Expunged(2, 2), Expunged(3, 2)]
    for event in overdue:
        state.apply(event)
    assert waiting(state.subscription(S)) == waiting(state.subscription(S2)) == [2]
    assert state.reclaim() == [place(1)]
    assert housekeeping.ended(state, 1_200_000_001) == []


def test_next_expiry_is_the_earliest_of_all_subscriptions() -> None:
    """And when its leases have ended, the next one."""
    state = state_of(TOPIC, SUBSCRIPTION, SECOND, publish(2))
    for name, lease_s in ((S, 10.0), (S2, 20.0)):
        backlog = state.subscription(name).backlog
        positions = backlog.peek(2)
        backlog.take(positions, np.ones(2), 0.0, lease_s, generation=1)
    assert state.expiry_s() == pytest.approx(10)
    assert state.subscription(S).backlog.expire(10.0) == 2
    assert state.expiry_s() == pytest.approx(20)


def test_the_oldest_message_is_known() -> None:
    """Its publish time is that of the first one that is not acked, leased or not."""
    state = state_of(TOPIC, SUBSCRIPTION)
    subscription = state.subscription(S)
    assert subscription.oldest_us() is None
    for first, time_us in ((1, 100), (3, 200)):
        state.apply(publish(2, time_us=time_us, first_id=first))
    assert subscription.oldest_us() == 100
    subscription.backlog.take(subscription.backlog.peek(2), np.ones(2), 0.0, 10.0, generation=1)
    assert subscription.oldest_us() == 100
    state.apply(Acked(2, np.array([0, 1, 3])))
    assert subscription.oldest_us() == 200
    state.apply(Acked(2, np.array([2])))
    assert subscription.oldest_us() is None


def test_checkpoint_gives_the_same_state() -> None:
    """Names, ids, acks and ends survive; leases do not; blocks are kept where they are known."""
    state = state_of(
        TOPIC, SUBSCRIPTION, publish(5, 1), Acked(2, np.array([0, 3])), SECOND, TopicDeleted(1)
    )
    backlog = state.subscription(S).backlog
    backlog.take(backlog.peek(1), np.ones(1), 0.0, 10.0, generation=1)
    checkpoint = state.checkpoint()
    restored = state_of(checkpoint)
    assert waiting(restored.subscription(S)) == [1, 2, 4]
    with pytest.raises(CorruptLog, match="3 messages of topic"):
        restored.check_complete()
    state.apply(checkpoint)
    state.check_complete()
    assert state.checkpoint() == checkpoint
    assert waiting(state.subscription(S)) == [1, 2, 4]


def test_checkpoint_tells_which_rows_are_gone() -> None:
    """Blocks that were let go of don't come back with a segment that still has their bytes."""
    events = TOPIC, SUBSCRIPTION, publish(1), publish(1), publish(1), Acked(2, np.array([1]))
    state = state_of(*events)
    state.sweep()
    restored = state_of(*events, state.checkpoint())
    assert [block.first for block in restored.topic(T).blocks] == [0, 2]
    state.apply(Acked(2, np.array([0])))
    restored = state_of(*events, state.checkpoint())
    assert [block.first for block in restored.topic(T).blocks] == [2]
    retained = SubscriptionUpdated(2, SubscriptionSettings(S, T, retain_acked=True))
    restored = state_of(*events, Swept(), retained, state_of(*events).checkpoint())
    assert [block.first for block in restored.topic(T).blocks] == [0, 2]


def test_deleted_topic_retains_nothing() -> None:
    """Its subscriptions keep what they have, and that is all."""
    retaining = TopicCreated(1, TopicSettings(T, retention_s=600))
    events = retaining, SUBSCRIPTION, publish(1), publish(1), Acked(2, np.array([0]))
    assert len(state_of(*events).topic(T).blocks) == 2
    state = state_of(*events, TopicDeleted(1))
    assert len(state.subscription(S).topic.blocks) == 1


@pytest.mark.parametrize(("name", "deletion"), [
    (T, TopicDeleted(1)), (S, SubscriptionDeleted(2)),
])  # fmt: skip
def test_documents_go_with_their_resource(name: str, deletion: Event) -> None:
    """Of every kind; those of others stay, and a checkpoint has them."""
    stored = [DocumentStored(kind, each, b"x") for kind in ("a", "b") for each in (name, S2)]
    state = state_of(TOPIC, SUBSCRIPTION, SECOND, *stored, deletion)
    assert set(state.documents) == {("a", S2), ("b", S2)}
    assert state_of(state.checkpoint()).documents == state.documents
