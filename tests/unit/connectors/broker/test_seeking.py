"""What a subscription has to deliver after a seek."""

import numpy as np
import pytest

from connectors.broker import seeking
from connectors.broker.errors import FailedPrecondition
from connectors.broker.events import (
    Acked,
    Event,
    Place,
    Published,
    SnapshotCreated,
    SubscriptionCreated,
    SubscriptionUpdated,
    Swept,
    TopicCreated,
)
from connectors.broker.need import Part, packed
from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings
from connectors.broker.state import State, Subscription

T, S = "projects/p/topics/abc", "projects/p/subscriptions/abc"
TOPIC = TopicCreated(1, TopicSettings(T))
RETAINING_TOPIC = TopicCreated(1, TopicSettings(T, retention_s=600))
FORGETS = SubscriptionSettings(S, T, retention_s=3_600)
RETAINS = SubscriptionSettings(S, T, retention_s=3_600, retain_acked=True)
SECOND_US = 1_000_000


def publish(count: int, time_s: int) -> Published:
    """Return a publish at a time, which also numbers its segment."""
    return Published(1, 10 * time_s + 1, count, time_s * SECOND_US, Place(time_s + 1, 64, 100))


def state_of(*events: Event) -> State:
    """Return the state after events."""
    state = State()
    for event in events:
        state.apply(event)
    return state


def sought(state: State, time_s: float, now_s: float) -> list[int]:
    """Seek to a time; return what is to be delivered then."""
    subscription = state.subscription(S)
    wanted = seeking.to_time(subscription, int(time_s * SECOND_US), int(now_s * SECOND_US))
    state.apply(seeking.sought(subscription, wanted, int(time_s * SECOND_US)))
    state.check_complete()
    return waiting(subscription)


def waiting(subscription: Subscription) -> list[int]:
    """Return the positions that are to be delivered."""
    part = subscription.part()
    found: list[int] = (np.flatnonzero(part.needed) + part.base).tolist()
    return found


def acked(*positions: int) -> Acked:
    """Return an ack of the subscription."""
    return Acked(2, np.array(positions))


def test_older_messages_are_acked_and_later_ones_stay() -> None:
    """A message that was published just at the time is one of the later ones."""
    events = TOPIC, SubscriptionCreated(2, 1, FORGETS), publish(2, 1), publish(2, 2), publish(2, 3)
    assert sought(state_of(*events), 2, 10) == [2, 3, 4, 5]
    assert sought(state_of(*events), 2.5, 10) == [4, 5]
    assert sought(state_of(*events), 10, 10) == []


def test_acked_messages_come_back_only_where_they_are_retained() -> None:
    """Without retention an ack is for good, even if the rows are still there."""
    for settings, expected in (FORGETS, [1]), (RETAINS, [0, 1]):
        state = state_of(TOPIC, SubscriptionCreated(2, 1, settings), publish(2, 1), acked(0))
        assert sought(state, 0, 10) == expected


def test_topic_retention_brings_back_what_came_before_the_subscription() -> None:
    """It is available to every subscription of the topic, within its own time."""
    state = state_of(
        RETAINING_TOPIC, publish(1, 1), publish(1, 2), SubscriptionCreated(2, 1, FORGETS),
        publish(1, 3), acked(2),
    )  # fmt: skip
    assert sought(state, 0, 10) == [0, 1, 2]
    state.apply(acked(0, 1, 2))
    assert sought(state, 0, 602.5) == [2]


def test_what_is_too_old_does_not_come_back() -> None:
    """Retention is by the clock at the seek, not by when the broker last tidied up."""
    state = state_of(
        TOPIC, SubscriptionCreated(2, 1, RETAINS), publish(1, 1), publish(1, 2), acked(0, 1)
    )
    assert sought(state, 0, 3_602) == [1]


def test_ack_before_acked_messages_were_retained_is_for_good() -> None:
    """Rows that are gone by then don't come back, whatever the settings say later."""
    state = state_of(
        TOPIC, SubscriptionCreated(2, 1, FORGETS), publish(1, 1), publish(1, 2), publish(1, 3),
        acked(1), Swept(), SubscriptionUpdated(2, RETAINS), acked(0, 2),
    )  # fmt: skip
    assert [block.first for block in state.topic(T).blocks] == [0, 2]
    assert sought(state, 0, 10) == [0, 2]


def test_what_was_acked_below_is_not_retained_by_a_later_setting() -> None:
    """Only from the oldest unacked message on; another holder of the rows changes nothing."""
    hold = SnapshotCreated(3, 1, SnapshotSettings("projects/p/snapshots/abc", 9), 0, packed(
        np.zeros(0, np.bool_)))  # fmt: skip
    state = state_of(
        TOPIC, hold, SubscriptionCreated(2, 1, FORGETS), publish(1, 1), publish(1, 2),
        acked(0), SubscriptionUpdated(2, RETAINS), acked(1),
    )  # fmt: skip
    assert sought(state, 0, 10) == [1]


def test_future_time_discards_what_arrives_until_then() -> None:
    """Seeking again ends it."""
    state = state_of(TOPIC, SubscriptionCreated(2, 1, RETAINS), publish(1, 1))
    assert sought(state, 5, 2) == []
    state.apply(publish(1, 4))
    assert waiting(state.subscription(S)) == []
    state.apply(publish(1, 5))
    assert waiting(state.subscription(S)) == [2]
    assert sought(state, 0, 6) == [0, 1, 2]
    assert sought(state, 9, 6) == []
    assert sought(state, 6, 6) == []
    state.apply(publish(1, 7))
    assert waiting(state.subscription(S)) == [3]


def test_messages_that_came_back_are_retained_when_acked_again() -> None:
    """A seek below what was retained so far moves that limit."""
    state = state_of(
        RETAINING_TOPIC, publish(1, 1), SubscriptionCreated(2, 1, RETAINS), publish(1, 2)
    )
    assert sought(state, 0, 10) == [0, 1]
    state.apply(acked(0, 1))
    assert state.subscription(S).needed_from() == 0
    assert sought(state, 0, 900) == [0, 1]  # by its own retention; the topic's is over


def test_snapshot_holds_the_backlog_and_what_comes_later() -> None:
    """It fits any subscription of its topic, and only those."""
    state = state_of(
        TOPIC, SubscriptionCreated(2, 1, FORGETS), publish(3, 1), acked(0, 2),
        SnapshotCreated(
            3, 1, SnapshotSettings("projects/p/snapshots/abc", 9), 1, packed(np.array([0, 1]) > 0)
        ),
        acked(1), publish(1, 2), acked(3),
        SubscriptionCreated(4, 1, SubscriptionSettings(S + "-other", T)),
        TopicCreated(5, TopicSettings(T + "-other")),
        SubscriptionCreated(6, 5, SubscriptionSettings(S + "-strange", T + "-other")),
    )  # fmt: skip
    snapshot = state.snapshot("projects/p/snapshots/abc")
    for name in (S, S + "-other"):
        other = state.subscription(name)
        state.apply(seeking.sought(other, seeking.to_snapshot(other, snapshot), 0))
        assert waiting(other) == [1, 3]
    state.check_complete()
    with pytest.raises(FailedPrecondition, match="of the same topic"):
        seeking.to_snapshot(state.subscription(S + "-strange"), snapshot)


def test_event_begins_at_the_first_wanted_position() -> None:
    """Everything before is acked; with nothing wanted it is all of it."""
    state = state_of(TOPIC, SubscriptionCreated(2, 1, FORGETS), publish(4, 1))
    subscription = state.subscription(S)
    some = seeking.sought(subscription, Part(0, np.array([False, True, False, True])), 7)
    assert (some.uid, some.base, some.discard_until_us) == (2, 1, 7)
    assert seeking.sought(subscription, Part(0, np.zeros(4, np.bool_)), 0).base == 4
