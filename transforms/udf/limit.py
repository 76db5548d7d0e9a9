"""The time limit of a user's function: what the loop and the watchdog of it agree on.

The loop tells where it is by an iterator that counts down, so that a row costs it nothing. The
watchdog (``connectors/udf/watchdog.py``) looks at it now and then from a thread of its own. Where
it stands still for too long, that place is *accused*, and ``Overrun`` is raised in the loop's
thread, at whatever Python code it is then.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Protocol

__all__ = ["Overrun", "Unlimited", "Watch", "settle"]


class Overrun(BaseException):
    """The function took too long. No ``Exception``, so that a function seldom catches it."""


class Watch(Protocol):
    """Times the calls of one thread."""

    limit_s: float

    def begin(self, remaining: Iterator[Any]) -> None:
        """Start to look; a call lasts while ``operator.length_hint(remaining)`` is the same."""

    def accused(self) -> Set[int]:
        """Return the hints at which a call took too long."""

    def end(self) -> Set[int]:
        """Look no more; return what was accused. ``Overrun`` may strike here for the last time."""


class Unlimited:
    """No limit."""

    limit_s = float("inf")

    def begin(self, remaining: Iterator[Any]) -> None:
        """Look at nothing."""

    def accused(self) -> Set[int]:
        """Return nothing."""
        return frozenset()

    def end(self) -> Set[int]:
        """Return nothing."""
        return frozenset()


def settle(watch: Watch) -> Set[int]:
    """End the watch, also if it strikes meanwhile."""
    while True:
        try:
            return watch.end()
        except Overrun:  # noqa: PERF203 - once
            continue
