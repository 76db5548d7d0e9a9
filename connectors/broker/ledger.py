"""What has become of each message in one subscription: phases, counts, what is acked.

A position is the number of a message in its topic. One numpy array per fact (phase, deadline,
generation, ...) runs over the positions, so that whatever is done to many messages is a few vector
operations. ``phases.py`` says what may become of a message.

Rules:
- Everything below ``base`` is acked; ``base`` itself is not, or it is ``end``.
- Nothing below ``_cursor`` is READY.
- Only what is LEASED is charged to its owner.
- Messages with an ordering key are QUEUED instead of READY; ``ordering.py`` has their rules.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from connectors.broker import phases
from connectors.broker.charges import Charges, Held
from connectors.broker.columns import Columns, Positions
from connectors.broker.ordering import Ordering

__all__ = ["Ledger"]

_WINDOW = 1_024
_COLUMNS: dict[str, Any] = {
    "phase": np.uint8,
    "deadline_s": np.float64,
    "generation": np.uint32,
    "owner": np.uint32,
    "size_bytes": np.uint32,
    "failures": np.uint16,
}


class Ledger:
    """The durable part of a backlog, and the accounts of all of it.

    Args:
        start: the first position.
        ordered: whether keys that are given to ``extend_to`` order.
    """

    def __init__(self, start: int, *, ordered: bool = False) -> None:
        self.base = self.end = start
        self._cursor = start
        self._charges = Charges()
        self._counts = np.zeros(phases.COUNT, np.int64)
        self._columns = Columns(start, {**_COLUMNS, "key": np.uint32} if ordered else _COLUMNS)
        self._ordering = Ordering(self._columns) if ordered else None

    @property
    def ready(self) -> int:
        """How many messages could be delivered now."""
        queued = self._ordering.available if self._ordering else 0
        return int(self._counts[phases.READY]) + queued

    @property
    def leased(self) -> int:
        """How many messages are with a subscriber, or acked and not yet durably so."""
        counts = self._counts
        return int(counts[phases.LEASED] + counts[phases.SETTLING] + counts[phases.DEFERRED])

    @property
    def waiting(self) -> int:
        """How many messages are neither acked nor leased, whether they could go out or not."""
        return int(self._counts[: phases.ACKED].sum()) - self.leased

    @property
    def dying(self) -> int:
        """How many messages are to be forwarded to the dead letter topic."""
        return int(self._counts[phases.DEAD])

    def extend_to(self, end: int, key: int = 0) -> None:
        """Add the messages up to position ``end``; a key other than 0 orders them."""
        self._columns.reserve(self.base, self.end, end)
        start, self.end = self.end, end
        if self._ordering is None or key == 0:
            self._counts[phases.READY] += end - start
            return
        self._columns.view("phase", start, end)[:] = phases.QUEUED
        self._columns.view("key", start, end)[:] = key
        self._counts[phases.QUEUED] += end - start
        self._ordering.add(key, start, end)

    def unacked(self, positions: Positions) -> Positions:
        """Return those of the positions that are not acked yet, sorted and distinct."""
        positions = self._within(positions)
        return positions[self._columns.at("phase", positions) != phases.ACKED]

    def ack(self, positions: Positions) -> None:
        """Mark positions as acked, whatever lease they are under."""
        self._turn(self.unacked(positions), phases.ACKED)
        self._advance()

    def unacked_in(self, starts: Positions, stops: Positions) -> Positions:
        """Return how many positions of each range, ``start`` to ``stop``, are not acked."""
        unacked = self._view("phase", self.base, self.end) != phases.ACKED
        until = np.concatenate(([0], np.cumsum(unacked)))
        low, high = (np.clip(each, self.base, self.end) - self.base for each in (starts, stops))
        return until[high] - until[low]

    def unacked_mask(self) -> npt.NDArray[np.bool_]:
        """Return for each position from ``base`` to ``end`` whether it is not acked."""
        mask: npt.NDArray[np.bool_] = self._view("phase", self.base, self.end) != phases.ACKED
        return mask

    def held(self, owner: int) -> Held:
        """Return what an owner holds at the moment."""
        return self._charges.held(owner)

    def relieved(self) -> set[int]:
        """Return the owners that hold less since the last call."""
        return self._charges.relieved()

    def acked(self) -> bytes:
        """Return which positions from ``base`` to ``end`` are acked, as a compressed bitmap."""
        bits = np.packbits(self._view("phase", self.base, self.end) == phases.ACKED)
        return zlib.compress(bits.tobytes(), 1)

    @classmethod
    def restored(
        cls, base: int, end: int, acked: bytes, runs: Iterable[tuple[int, int, int]] | None = None
    ) -> Self:
        """Rebuild a backlog from ``acked``; all else is volatile, so the rest can be delivered.

        Args:
            base: the first position.
            end: behind the last position.
            acked: bitmap of the positions between.
            runs: for an ordered subscription: start, stop and key of ranges, ascending, which
                cover at least all that is not acked; None for one that is not ordered.
        """
        backlog = cls(base, ordered=runs is not None)
        for start, stop, key in runs or ():
            backlog.extend_to(min(max(start, backlog.end), end))
            if backlog.end < min(stop, end):
                backlog.extend_to(min(stop, end), key)
        backlog.extend_to(end)
        bits = np.unpackbits(np.frombuffer(zlib.decompress(acked), np.uint8), count=end - base)
        backlog.ack(np.flatnonzero(bits) + base)
        return backlog

    def _view(self, column: str, start: int, stop: int) -> npt.NDArray[Any]:
        return self._columns.view(column, start, min(stop, self.end))

    def _within(self, positions: Positions) -> Positions:
        """Return the positions from ``base`` to ``end`` alone, sorted and distinct."""
        if positions.size > 1 and not np.all(np.diff(positions) == 1):
            positions = np.unique(positions)
        low, high = np.searchsorted(positions, [self.base, self.end])
        return positions[low:high]

    def _in_phase(self, positions: Positions, phase: int) -> Positions:
        return positions[self._columns.at("phase", positions) == phase]

    def _turn(self, positions: Positions, phase: int) -> None:
        """Move sorted, distinct positions to a phase; here alone do phases and counts change."""
        if positions.size == 0:
            return
        where = self._columns.where(positions)
        was = self._columns["phase"][where].copy()
        self._columns["phase"][where] = phase
        self._counts -= np.bincount(was, minlength=phases.COUNT)
        self._counts[phase] += positions.size
        if self._charges:
            left = positions[was == phases.LEASED]
            at = self._columns.at
            self._charges.relieve(at("owner", left), at("size_bytes", left))
        if self._ordering:
            self._ordering.turned(positions, was, phase)

    def _advance(self) -> None:
        window = _WINDOW
        while self.base < self.end:
            phase = self._view("phase", self.base, self.base + window)
            open_ones = np.flatnonzero(phase != phases.ACKED)
            if open_ones.size:
                self.base += int(open_ones[0])
                break
            self.base += phase.size
            window *= 2
        self._cursor = max(self._cursor, self.base)
