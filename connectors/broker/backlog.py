"""What one subscription still has to deliver: leases and acks over positions of its topic.

A position is the number of a message in its topic. One numpy array per fact (status, deadline,
generation, ...) runs over the positions, so that picking, acking and expiring are a few vector
operations whatever the number of messages.

Rules:
- Everything below ``base`` is acked; ``base`` itself is not, or it is ``end``.
- Nothing below ``_cursor`` is ready, so that picking starts there and the oldest goes first.
- Deadlines are rounded up to whole ticks, so that leases given in one tick expire in one sweep.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["DEADLINE_TICK_S", "Backlog", "Held", "Positions"]

Positions = npt.NDArray[np.int64]

DEADLINE_TICK_S = 0.1
"""Seconds to which deadlines are rounded up."""

_READY, _LEASED, _ACKED = 0, 1, 2
_CAPACITY_MIN = 16_384
_WINDOW = 1_024
_NEVER = math.inf


class Held(NamedTuple):
    """What an owner has been given and has neither acked, nacked nor lost to the deadline."""

    messages: int
    size_bytes: int


class Backlog:
    """Delivery state of a subscription; ``now_s`` is any clock that never runs backwards."""

    def __init__(self, start: int) -> None:
        self.base = self.end = start
        self.ready = self.leased = 0
        self.expiry_s = _NEVER
        self._cursor = start
        self._origin = start
        self._held: dict[int, Held] = {}
        self._columns: dict[str, npt.NDArray[Any]] = {
            "status": np.zeros(_CAPACITY_MIN, np.uint8),
            "deadline_s": np.zeros(_CAPACITY_MIN, np.float64),
            "generation": np.zeros(_CAPACITY_MIN, np.uint32),
            "owner": np.zeros(_CAPACITY_MIN, np.uint32),
            "size_bytes": np.zeros(_CAPACITY_MIN, np.uint32),
        }

    def extend_to(self, end: int) -> None:
        """Add the messages up to position ``end``, ready to deliver."""
        if end - self._origin > len(self._columns["status"]):
            self._grow(end)
        self.ready += end - self.end
        self.end = end

    def peek(self, count_max: int) -> Positions:
        """Return the oldest ready positions, ascending, without leasing them."""
        found: list[Positions] = []
        wanted = min(count_max, self.ready)
        at, window = self._cursor, max(count_max, _WINDOW)
        while wanted > 0:
            hits = np.flatnonzero(self._view("status", at, at + window) == _READY)[:wanted] + at
            if not found and hits.size == 0:
                self._cursor = at + window
            found.append(hits)
            wanted -= hits.size
            at, window = at + window, window * 2
        return np.concatenate(found) if found else np.empty(0, np.int64)

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
            positions: ascending and ready, none skipped.
            sizes_bytes: size of each message, for the owner's flow control.
            now_s: the time.
            lease_s: seconds until the messages may go to somebody else.
            generation: number of this lease, which later tells it from others.
            owner: number of the stream that is charged for them; 0 is nobody.
        """
        if positions.size == 0:
            return
        where = self._where(positions)
        self._columns["status"][where] = _LEASED
        self._columns["generation"][where] = generation
        self._columns["owner"][where] = owner
        self._columns["size_bytes"][where] = sizes_bytes
        self._set_deadline(where, now_s + lease_s)
        self.ready -= positions.size
        self.leased += positions.size
        self._cursor = int(positions[-1]) + 1
        if owner:
            had = self.held(owner)
            self._held[owner] = Held(
                had.messages + positions.size, had.size_bytes + int(sizes_bytes.sum())
            )

    def unacked(self, positions: Positions) -> Positions:
        """Return those of the positions that are not acked yet, sorted and distinct."""
        positions = self._within(positions)
        return positions[self._at("status", positions) != _ACKED]

    def ack(self, positions: Positions) -> None:
        """Mark positions as acked, whatever lease they are under."""
        positions = self.unacked(positions)
        leased = self._leased(positions)
        self._release(leased)
        self.ready -= positions.size - leased.size
        self._columns["status"][self._where(positions)] = _ACKED
        self._advance()

    def extend(self, positions: Positions, generations: Any, now_s: float, lease_s: float) -> None:
        """Move the deadline of leases that are still held; 0 seconds makes them ready at once.

        A position that was leased anew since, expired or was acked is left alone.

        Args:
            positions: in any order.
            generations: of the leases: one number, or one per position.
            now_s: the time.
            lease_s: seconds from now.
        """
        positions = self._within(positions[self.holds(positions, generations)])
        if lease_s == 0:
            self._make_ready(positions)
        elif positions.size:
            self._set_deadline(self._where(positions), now_s + lease_s)

    def holds(self, positions: Positions, generations: Any) -> npt.NDArray[np.bool_]:
        """Tell for each position whether it is leased under that generation."""
        inside = (positions >= self.base) & (positions < self.end)
        where = np.where(inside, positions, self._origin) - self._origin
        leased = self._columns["status"][where] == _LEASED
        return inside & leased & (self._columns["generation"][where] == generations)

    def expire(self, now_s: float) -> int:
        """Make leases whose deadline has passed ready again; return how many."""
        if now_s < self.expiry_s:
            return 0
        leased = self._view("status", self.base, self.end) == _LEASED
        deadlines = self._view("deadline_s", self.base, self.end)
        self._make_ready(np.flatnonzero(leased & (deadlines <= now_s)) + self.base)
        left = deadlines[leased & (deadlines > now_s)]
        self.expiry_s = float(left.min()) if left.size else _NEVER
        return int(leased.sum() - left.size)

    def unacked_in(self, starts: Positions, stops: Positions) -> Positions:
        """Return how many positions of each range, ``start`` to ``stop``, are not acked."""
        unacked = self._view("status", self.base, self.end) != _ACKED
        until = np.concatenate(([0], np.cumsum(unacked)))
        low, high = (np.clip(each, self.base, self.end) - self.base for each in (starts, stops))
        return until[high] - until[low]

    def held(self, owner: int) -> Held:
        """Return what an owner holds at the moment."""
        return self._held.get(owner, Held(0, 0))

    def acked(self) -> bytes:
        """Return which positions from ``base`` to ``end`` are acked, as a compressed bitmap."""
        bits = np.packbits(self._view("status", self.base, self.end) == _ACKED)
        return zlib.compress(bits.tobytes(), 1)

    @classmethod
    def restored(cls, base: int, end: int, acked: bytes) -> Backlog:
        """Rebuild a backlog from ``acked``; leases are volatile, so the rest is ready."""
        backlog = cls(base)
        backlog.extend_to(end)
        bits = np.unpackbits(np.frombuffer(zlib.decompress(acked), np.uint8), count=end - base)
        backlog.ack(np.flatnonzero(bits) + base)
        return backlog

    def _view(self, column: str, start: int, stop: int) -> npt.NDArray[Any]:
        return self._columns[column][start - self._origin : min(stop, self.end) - self._origin]

    def _at(self, column: str, positions: Positions) -> npt.NDArray[Any]:
        return self._columns[column][self._where(positions)]

    def _where(self, positions: Positions) -> Any:
        """Return the index of sorted, distinct positions: a slice if they are consecutive."""
        if positions.size and positions[-1] - positions[0] + 1 == positions.size:
            return slice(int(positions[0]) - self._origin, int(positions[-1]) - self._origin + 1)
        return positions - self._origin

    def _within(self, positions: Positions) -> Positions:
        """Return the positions from ``base`` to ``end`` alone, sorted and distinct."""
        if positions.size > 1 and not np.all(np.diff(positions) == 1):
            positions = np.unique(positions)
        low, high = np.searchsorted(positions, [self.base, self.end])
        return positions[low:high]

    def _leased(self, positions: Positions) -> Positions:
        return positions[self._at("status", positions) == _LEASED]

    def _set_deadline(self, where: Any, deadline_s: float) -> None:
        deadline_s = math.ceil(deadline_s / DEADLINE_TICK_S) * DEADLINE_TICK_S
        self._columns["deadline_s"][where] = deadline_s
        self.expiry_s = min(self.expiry_s, deadline_s)

    def _make_ready(self, positions: Positions) -> None:
        if positions.size:
            self._release(positions)
            self._columns["status"][self._where(positions)] = _READY
            self.ready += positions.size
            self._cursor = min(self._cursor, int(positions[0]))

    def _release(self, leased: Positions) -> None:
        """Take leased positions off the counts; the caller gives them their new status."""
        self.leased -= leased.size
        if not self._held:
            return
        owners, which = np.unique(self._at("owner", leased), return_inverse=True)
        messages = np.bincount(which, minlength=owners.size)
        sizes = np.bincount(which, weights=self._at("size_bytes", leased), minlength=owners.size)
        for owner, count, size in zip(owners.tolist(), messages, sizes, strict=True):
            had = self._held.pop(owner, Held(0, 0))
            if had.messages > count:
                self._held[owner] = Held(had.messages - int(count), had.size_bytes - int(size))

    def _advance(self) -> None:
        window = _WINDOW
        while self.base < self.end:
            status = self._view("status", self.base, self.base + window)
            open_ones = np.flatnonzero(status != _ACKED)
            if open_ones.size:
                self.base += int(open_ones[0])
                break
            self.base += status.size
            window *= 2
        self._cursor = max(self._cursor, self.base)

    def _grow(self, end: int) -> None:
        """Move what is not settled to the front of arrays that have room up to ``end``."""
        live = slice(self.base - self._origin, self.end - self._origin)
        capacity = max(_CAPACITY_MIN, 2 * (end - self.base))
        for name, old in self._columns.items():
            new = np.zeros(capacity, old.dtype)
            new[: self.end - self.base] = old[live]
            self._columns[name] = new
        self._origin = self.base
