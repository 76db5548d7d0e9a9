"""Processing time: the machine's, or that of a test."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "RealClock", "SimulatedClock"]


class Clock(Protocol):
    """Tells processing time in microseconds since 1970."""

    def now_us(self) -> int:
        """Return the time."""


class RealClock:
    """The time of the machine."""

    def now_us(self) -> int:
        """Return the time."""
        return time.time_ns() // 1_000


class SimulatedClock:
    """Stands still until it is moved, as a TestStream wants it."""

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return the time."""
        return self._now_us

    def advance_to(self, time_us: int) -> None:
        """Move to a time, unless that would be backwards."""
        self._now_us = max(self._now_us, time_us)
