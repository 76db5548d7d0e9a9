"""What one subscription still has to deliver: leases and acks over positions of its topic.

Rules, beside those of ``ledger.py``:
- Picking starts at the cursor, below which nothing is READY, so that the oldest goes first.
- Deadlines are rounded up to whole ticks, so that leases given in one tick expire in one sweep.
- Leases, failures and backoffs are volatile: a restart or a seek begins with a new backlog.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.broker import phases
from connectors.broker.charges import Held
from connectors.broker.columns import Positions
from connectors.broker.ledger import Ledger
from connectors.broker.retry import AT_ONCE, Redelivery

__all__ = ["DEADLINE_TICK_S", "Backlog", "Held", "Positions"]

DEADLINE_TICK_S = 0.1
"""Seconds to which deadlines are rounded up."""

_WINDOW = 1_024
_NEVER = math.inf
_FAILURES_MAX = np.iinfo(np.uint16).max


class Backlog(Ledger):
    """Delivery state of a subscription; ``now_s`` is any clock that never runs backwards.

    Args:
        start: the first position.
        ordered: whether keys that are given to ``extend_to`` order.
    """

    def __init__(self, start: int, *, ordered: bool = False) -> None:
        super().__init__(start, ordered=ordered)
        self._expiry_s = _NEVER
        self._reach = start  # nothing from here on was ever leased

    @property
    def expiry_s(self) -> float:
        """When ``expire`` has something to do next, at the earliest."""
        return min(self._expiry_s, self._ordering.due_s if self._ordering else _NEVER)

    def peek(self, count_max: int) -> Positions:
        """Return the oldest positions that could be delivered, ascending, without leasing them."""
        found: list[Positions] = []
        wanted = min(count_max, int(self._counts[phases.READY]))
        at, window = self._cursor, max(count_max, _WINDOW)
        while wanted > 0:
            hits = (
                np.flatnonzero(self._view("phase", at, at + window) == phases.READY)[:wanted] + at
            )
            if not found and hits.size == 0:
                self._cursor = at + window
            found.append(hits)
            wanted -= hits.size
            at, window = at + window, window * 2
        if self._ordering is None:
            return np.concatenate(found) if found else np.empty(0, np.int64)
        found.append(self._ordering.peek(count_max))
        return np.sort(np.concatenate(found))[:count_max]

    def take(
        self,
        positions: Positions,
        sizes_bytes: npt.NDArray[Any],
        now_s: float,
        lease_s: float,
        *,
        generation: int,
        owner: int = 0,
    ) -> None:
        """Lease positions that ``peek`` has just returned, or the first of them.

        Args:
            positions: ascending, none skipped.
            sizes_bytes: size of each message, for the owner's flow control.
            now_s: the time.
            lease_s: seconds until the messages may go to somebody else.
            generation: number of this lease, which later tells it from others.
            owner: number of the stream that is charged for them; 0 is nobody.
        """
        if positions.size == 0:
            return
        where = self._columns.where(positions)
        self._columns["generation"][where] = generation
        self._columns["owner"][where] = owner
        self._columns["size_bytes"][where] = sizes_bytes
        self._turn(positions, phases.LEASED)
        self._set_deadline(positions, now_s + lease_s)
        self._cursor = int(positions[-1]) + 1
        self._reach = max(self._reach, self._cursor)
        self._charges.charge_one(owner, positions.size, int(sizes_bytes.sum()) if owner else 0)

    def attempts(self, positions: Positions) -> npt.NDArray[np.int32]:
        """Return which delivery of each leased message this is, from 1 on."""
        return self._columns.at("failures", positions).astype(np.int32) + 1

    def settle(self, positions: Positions) -> Positions:
        """Accept acks, whatever lease they come from; return what to make durable now.

        Of an ordering key, that is what has no unacked message before it. The rest follows with
        the ack of that message, if it is leased, and is ignored otherwise.
        """
        positions = self.unacked(positions)
        if self._ordering is None:
            return positions
        keyed = self._columns.at("key", positions) != 0
        accepted = self._ordering.accepted(positions[keyed])
        self._turn(accepted, phases.SETTLING)
        self._turn(self._in_phase(positions[keyed], phases.LEASED), phases.DEFERRED)
        return np.sort(np.concatenate((positions[~keyed], accepted)))

    def settle_held(self, positions: Positions) -> Positions:
        """Accept acks of what ``holds`` says is held; return what to make durable now.

        Until it is durable it can't be lost to the deadline, and is accepted again. Of an ordering
        key, nothing is accepted that has an unacked message before it.
        """
        positions = self._within(positions)
        if self._ordering is not None:
            keyed = self._columns.at("key", positions) != 0
            accepted = self._ordering.accepted(positions[keyed])
            positions = np.sort(np.concatenate((positions[~keyed], accepted)))
        self._turn(self._in_phase(positions, phases.LEASED), phases.SETTLING)
        return positions

    def unsettle(self, positions: Positions) -> None:
        """Take back ``settle`` for what could not be made durable: it is leased as before."""
        positions = self._in_phase(self._within(positions), phases.SETTLING)
        if positions.size:
            self._turn(positions, phases.LEASED)
            self._reach = max(self._reach, int(positions[-1]) + 1)  # it may be a late ack
            at = self._columns.at
            self._charges.charge(at("owner", positions), at("size_bytes", positions))
            self._expiry_s = min(self._expiry_s, float(at("deadline_s", positions).min()))

    def extend(self, positions: Positions, generations: Any, now_s: float, lease_s: float) -> None:
        """Move the deadline of leases that are still held, to ``lease_s`` seconds from now.

        A position that was leased anew since, expired or was acked is left alone.
        """
        self._set_deadline(self._held(positions, generations), now_s + lease_s)

    def nack(
        self,
        positions: Positions,
        generations: Any,
        now_s: float,
        redelivery: Redelivery = AT_ONCE,
    ) -> None:
        """Give back what is still held under that generation, to be delivered again."""
        self._fail(self._held(positions, generations), now_s, redelivery)

    def holds(self, positions: Positions, generations: Any) -> npt.NDArray[np.bool_]:
        """Tell for each position whether it is held under that generation.

        Args:
            positions: in any order.
            generations: of the leases: one number, or one per position.
        """
        inside = (positions >= self.base) & (positions < self.end)
        if self.base == self.end:
            return inside
        somewhere = np.where(inside, positions, self.base)
        phase = self._columns.at_any("phase", somewhere)
        held = (phase == phases.LEASED) | (phase == phases.SETTLING)
        return inside & held & (self._columns.at_any("generation", somewhere) == generations)

    def is_leased(self, positions: Positions) -> npt.NDArray[np.bool_]:
        """Tell for each of sorted, unacked positions whether it is with a subscriber."""
        phase = self._columns.at("phase", positions)
        return (phase >= phases.LEASED) & (phase <= phases.DEFERRED)

    def expire(self, now_s: float, redelivery: Redelivery = AT_ONCE) -> int:
        """End leases and backoffs whose time has come; return how many leases."""
        if now_s < self.expiry_s:
            return 0
        reach = max(self.base, self._reach)
        phase = self._view("phase", self.base, reach)
        deadlines = self._view("deadline_s", self.base, reach)
        timed = (phase == phases.LEASED) | (phase == phases.BACKING_OFF)
        due = timed & (deadlines <= now_s)
        self._expiry_s = float(np.min(deadlines[timed & ~due], initial=_NEVER))
        lost = np.flatnonzero(due & (phase == phases.LEASED)) + self.base
        self._make_ready(np.flatnonzero(due & (phase == phases.BACKING_OFF)) + self.base)
        self._fail(lost, now_s, redelivery)
        if self._ordering:
            self._ordering.expire(now_s)
        return lost.size

    def dead(self, count_max: int) -> Positions:
        """Return the oldest messages that are to be forwarded to the dead letter topic."""
        if not self.dying:
            return np.empty(0, np.int64)
        found = np.flatnonzero(self._view("phase", self.base, self.end) == phases.DEAD)
        return found[:count_max] + self.base

    def revive(self, positions: Positions, now_s: float, redelivery: Redelivery = AT_ONCE) -> None:
        """Deliver again what could not be forwarded."""
        self._again(self._in_phase(self._within(positions), phases.DEAD), now_s, redelivery)

    def _held(self, positions: Positions, generations: Any) -> Positions:
        held = self._within(positions[self.holds(positions, generations)])
        return self._in_phase(held, phases.LEASED)

    def _set_deadline(self, positions: Positions, deadline_s: Any) -> None:
        if positions.size:
            deadlines = np.ceil(np.asarray(deadline_s) / DEADLINE_TICK_S) * DEADLINE_TICK_S
            self._columns["deadline_s"][self._columns.where(positions)] = deadlines
            self._expiry_s = min(self._expiry_s, float(deadlines.min()))

    def _fail(self, positions: Positions, now_s: float, redelivery: Redelivery) -> None:
        """Count a failed delivery of leased messages; they come again, or are dead."""
        if positions.size == 0:
            return
        revoked = self._ordering.revoked(positions) if self._ordering else positions
        where = self._columns.where(positions)
        failures = self._columns["failures"]
        failures[where] = np.minimum(failures[where], _FAILURES_MAX - 1) + 1
        exhausted = redelivery.exhausted(failures[where])
        self._turn(positions[exhausted], phases.DEAD)
        self._turn(np.setdiff1d(revoked, positions, assume_unique=True), phases.QUEUED)
        self._again(positions[~exhausted], now_s, redelivery)

    def _again(self, positions: Positions, now_s: float, redelivery: Redelivery) -> None:
        """Let messages be delivered again, at once or when their backoff is over."""
        backoffs_s = redelivery.backoffs_s(self._columns.at("failures", positions))
        if self._ordering:
            keyed = self._columns.at("key", positions) != 0
            self._turn(positions[keyed], phases.QUEUED)
            later = positions[keyed & (backoffs_s > 0)]
            self._ordering.back_off(later, now_s + backoffs_s[keyed & (backoffs_s > 0)])
            positions, backoffs_s = positions[~keyed], backoffs_s[~keyed]
        later = positions[backoffs_s > 0]
        self._turn(later, phases.BACKING_OFF)
        self._set_deadline(later, now_s + backoffs_s[backoffs_s > 0])
        self._make_ready(positions[backoffs_s == 0])

    def _make_ready(self, positions: Positions) -> None:
        if positions.size:
            self._turn(positions, phases.READY)
            self._cursor = min(self._cursor, int(positions[0]))
