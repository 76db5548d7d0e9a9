"""Counts for metrics."""

from connectors.broker.counters import Counters, SubscriptionCounts, TopicCounts


def test_counts_begin_at_zero_and_are_added_to() -> None:
    """By the number of a topic or a subscription, which never means another one."""
    counters = Counters()
    counters.topic(1).messages += 5
    counters.subscription(2).acked += 3
    assert counters.topic(1) == TopicCounts(messages=5)
    assert counters.subscription(2) == SubscriptionCounts(acked=3)
    assert counters.topic(3) == TopicCounts()


def test_what_is_forgotten_begins_anew() -> None:
    """A deleted resource takes no memory."""
    counters = Counters()
    counters.topic(1).messages += 5
    counters.subscription(2).acked += 3
    for uid in (1, 2, 3):
        counters.forget(uid)
    assert counters.topic(1) == TopicCounts()
    assert counters.subscription(2) == SubscriptionCounts()
