"""How long a server may be away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from connectors import retry
from transforms.errors import HeadraceError, TransientError

__all__ = ["Patience"]


class Patience:
    """Waits between attempts, for a bounded time from the first failure after a success on.

    Args:
        outage: the waits, and how long in all.
        sleep: waits so many seconds.
    """

    def __init__(self, outage: retry.Backoff, sleep: Callable[[float], None] = time.sleep) -> None:
        self._outage, self._sleep = outage, sleep
        self._attempt = 0
        self._failing_since_s = 0.0

    def restore(self) -> None:
        """Begin anew: something has succeeded."""
        self._attempt = 0

    def bear(self, error: HeadraceError, *, may_pass: bool = False) -> None:
        """Wait a while after a transient error.

        Args:
            error: what has happened.
            may_pass: it counts as transient, whatever its kind.

        Raises:
            HeadraceError: the error: it is not transient, or the patience is used up.
        """
        now_s = time.monotonic()
        if self._attempt == 0:
            self._failing_since_s = now_s
        delay_s = self._outage.delay_s(self._attempt, random.random())  # noqa: S311 - no secret
        is_over = now_s + delay_s - self._failing_since_s > self._outage.patience_s
        if is_over or not (may_pass or isinstance(error, TransientError)):
            raise error
        self._attempt += 1
        self._sleep(delay_s)
