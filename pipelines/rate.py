"""How fast a number grows, lately."""

from __future__ import annotations

from collections import deque

__all__ = ["RATE_S", "Rate"]

RATE_S = 5.0
"""A rate is that of the last seconds: of so many, or of as many as there are between two looks."""


class Rate:
    """The rate of a number over its last ``RATE_S`` seconds.

    Time is that for which the number is told, not that of the look: a number that is committed now
    and then has the rate of its commits, and keeps it while the next one is at work. Memory: the
    looks of ``RATE_S``.

    Args:
        time_s: when watching begins; seconds of any clock.
        number: the number at that time.
    """

    def __init__(self, time_s: float, number: int) -> None:
        self._seen: deque[tuple[float, int]] = deque([(time_s, number)])

    def after(self, time_s: float, number: int) -> float:
        """Return the rate per second, given what the number was at a time; times never go back."""
        seen = self._seen
        if time_s > seen[-1][0]:
            seen.append((time_s, number))
        while len(seen) > 1 and time_s - seen[1][0] >= RATE_S:
            seen.popleft()
        (first_s, first), (last_s, last) = seen[0], seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0
