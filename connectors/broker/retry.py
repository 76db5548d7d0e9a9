"""When a message that failed is delivered again, and when it is a dead letter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.broker.settings import SubscriptionSettings

__all__ = ["AT_ONCE", "FAULTY", "Redelivery"]


class Redelivery(NamedTuple):
    """What a subscription does with a message that was nacked or whose deadline has passed.

    ``attempts_max`` is how often it is delivered before it is a dead letter; None is without end.
    """

    backoff_min_s: float = 0.0
    backoff_max_s: float = 0.0
    attempts_max: int | None = None

    @classmethod
    def of(cls, settings: SubscriptionSettings) -> Redelivery:
        """Return what the settings of a subscription amount to."""
        retry, dead_letter = settings.retry, settings.dead_letter
        return cls(
            retry.minimum_backoff_s if retry else 0.0,
            retry.maximum_backoff_s if retry else 0.0,
            dead_letter.max_delivery_attempts if dead_letter else None,
        )

    def at_least(self, other: Redelivery) -> Redelivery:
        """Return the same, or one with the waits of another that are longer."""
        if self.backoff_min_s >= other.backoff_min_s:
            return self
        return other._replace(attempts_max=self.attempts_max)

    def backoffs_s(self, failures: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
        """Return how long each message waits: the minimum doubled for each failure but the first.

        Args:
            failures: how often each was nacked or lost to its deadline, at least once.
        """
        # Beyond 2 ** 60 the maximum is long reached, if the minimum is not 0.
        doublings = np.minimum(failures.astype(np.float64) - 1, 60)
        return np.minimum(self.backoff_min_s * 2.0**doublings, self.backoff_max_s)

    def exhausted(self, failures: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
        """Tell which messages were delivered as often as they may be."""
        if self.attempts_max is None:
            return np.zeros(failures.size, np.bool_)
        return failures >= self.attempts_max


AT_ONCE = Redelivery()
"""Without policies: again, at once, without end."""
FAULTY = Redelivery(0.1, 10.0)
"""Of what a transform fails at: nobody has to ask for it, so it would be tried without a pause."""
