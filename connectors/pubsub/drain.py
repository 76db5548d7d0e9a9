"""When a bounded read pulls, and when it ends: decisions only.

No clock, no socket: ``now_s`` comes in, what came over the wire comes in as counts, and out comes
the next step. The rules, in this order:

1. ``max_messages`` were taken: stop.
2. ``max_seconds`` are over: stop.
3. Every message of the subscription that is not acknowledged was taken by us: drained, stop. Only
   a server that counts for us makes this known.
4. Nothing came for ``idle_s``: drained as far as can be known, stop. It is longer than the ack
   deadline, so that messages that a dead predecessor held have come back by then.
5. Else pull. The first pull does not wait: it finds out how matters stand.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from enum import Enum

__all__ = ["Drain", "Pull", "Stop"]

POLL_S = 1.0
"""Longest wait of one pull: how late a limit in time is noticed."""


UNLIMITED = sys.maxsize


@dataclass(frozen=True)
class Pull:
    """Take at most ``messages_max`` messages and wait at most ``wait_s`` for the first."""

    messages_max: int
    wait_s: float


class Stop(Enum):
    """Why the read ends."""

    MAX_MESSAGES = "max_messages reached"
    MAX_SECONDS = "max_seconds reached"
    DRAINED = "the backlog is drained"
    IDLE = "nothing arrived for longer than the ack deadline"


@dataclass
class Drain:
    """The state of one bounded read.

    Args:
        started_s: when the read began; every later time is of the same clock.
        idle_s: how long nothing may arrive before the read ends; infinite for a subscription that
            is expected to be empty at first.
        max_messages: limit of messages taken, None for none.
        max_seconds: limit of time, None for none.
    """

    started_s: float
    idle_s: float
    max_messages: int | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        self._taken = 0
        self._held = 0
        self._unacknowledged: int | None = None
        self._idle_s = 0.0
        self._asked = Pull(0, 0.0)
        self._longest_wait_s = 0.0
        self._asked_s = self.started_s

    def next(self, now_s: float) -> Pull | Stop:
        """Return the next step."""
        if self._messages_left <= 0:
            return Stop.MAX_MESSAGES
        seconds_left = self._seconds_left(now_s)
        if seconds_left <= 0:
            return Stop.MAX_SECONDS
        if self._is_drained:
            return Stop.DRAINED
        if self._idle_s >= self.idle_s:
            return Stop.IDLE
        wait_s = min(self._longest_wait_s, seconds_left, self.idle_s - self._idle_s)
        self._asked, self._asked_s = Pull(self._messages_left, wait_s), now_s
        return self._asked

    def pulled(
        self, now_s: float, *, delivered: int, new: int, held: int, unacknowledged: int | None
    ) -> None:
        """Note what the pull of the last step brought.

        Args:
            now_s: when it came.
            delivered: messages in the delivery.
            new: those that count against ``max_messages``.
            held: different messages that this read holds by now.
            unacknowledged: as the server counts them, None where it does not.
        """
        self._longest_wait_s = POLL_S
        self._taken += new
        self._held = held
        if delivered or _fewer(self._unacknowledged, unacknowledged):
            self._idle_s = 0.0
        else:
            # An outage that a pull sat out is no idleness: then nothing could have come.
            self._idle_s += min(now_s - self._asked_s, self._asked.wait_s)
        self._unacknowledged = unacknowledged

    @property
    def held_elsewhere(self) -> int:
        """Messages that are not acknowledged and not held by us, as far as the server tells."""
        return max(0, (self._unacknowledged or 0) - self._held)

    @property
    def _messages_left(self) -> int:
        return UNLIMITED if self.max_messages is None else self.max_messages - self._taken

    def _seconds_left(self, now_s: float) -> float:
        if self.max_seconds is None:
            return math.inf
        return self.started_s + self.max_seconds - now_s

    @property
    def _is_drained(self) -> bool:
        counted = self._unacknowledged is not None and math.isfinite(self.idle_s)
        return counted and self.held_elsewhere == 0


def _fewer(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after < before
