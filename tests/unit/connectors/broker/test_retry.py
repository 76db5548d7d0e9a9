"""When a failed message comes again, and when it is dead."""

import numpy as np

from connectors.broker.retry import AT_ONCE, Redelivery
from connectors.broker.settings import DeadLetterPolicy, RetryPolicy, SubscriptionSettings

FAILURES = np.array([1, 2, 3, 4, 60_000], np.uint16)


def test_backoff_doubles_up_to_the_maximum() -> None:
    """From the minimum on, however often it failed."""
    assert Redelivery(1.0, 6.0).backoffs_s(FAILURES).tolist() == [1, 2, 4, 6, 6]


def test_without_policy_it_comes_again_at_once_without_end() -> None:
    """No backoff, no dead letter."""
    assert AT_ONCE.backoffs_s(FAILURES).tolist() == [0] * 5
    assert not AT_ONCE.exhausted(FAILURES).any()


def test_attempts_end() -> None:
    """With the failure of the last one."""
    assert Redelivery(attempts_max=3).exhausted(FAILURES).tolist() == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_policies_of_a_subscription() -> None:
    """Each acts without the other."""
    plain = SubscriptionSettings("s", "t")
    assert Redelivery.of(plain) == AT_ONCE
    both = SubscriptionSettings(
        "s", "t", dead_letter=DeadLetterPolicy("d", 7), retry=RetryPolicy(1, 2)
    )
    assert Redelivery.of(both) == (1, 2, 7)
