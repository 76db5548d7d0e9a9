"""Ordering keys of one subscription: which messages may be delivered next, and to whom not.

Rules:
- A key is held while a message of it is out: leased, acked but not yet durable, or to be forwarded.
  Nobody, not even the holder, gets another message of it meanwhile. One batch may hold many.
- When a message fails, everything of its key that was given out after it comes again as well.
- An ack counts from the front: one behind a message that is not acked yet waits for that one.
- A key that backs off waits as a whole; other keys don't wait for it.

A key is a queue of ranges, one per publish, since all messages of a publish have the same key. The
free keys are in a heap by their oldest message, so that a lease merges as many ranges as it takes
and never looks at what is behind a key that is held.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from connectors.broker.columns import Columns, Positions
from connectors.broker.phases import ACKED, COUNT, DEAD, DEFERRED, LEASED, QUEUED, SETTLING

__all__ = ["Ordering"]

_Ranges = Iterator[tuple[int, int]]
_IN_NO_HEAP = -1
_GIVEN = bytes((SETTLING, DEFERRED, ACKED))
_IS_OUT = np.isin(np.arange(COUNT), (LEASED, SETTLING, DEFERRED, DEAD))
_COMPACTED_FROM = 16


class _Queue:
    """What is left of a key; ``out`` counts messages that are out, ``waiting`` the others.

    A message each, a hundred thousand keys: both have to be small, so that ranges are pairs of
    numbers in an array, of which those before ``head`` are done.
    """

    __slots__ = ("bounds", "entry", "head", "out", "until_s", "waiting")

    def __init__(self) -> None:
        self.bounds = array("q")
        self.head = self.waiting = self.out = 0
        self.until_s = -math.inf
        self.entry = _IN_NO_HEAP

    @property
    def available(self) -> int:
        return self.waiting if self.out == 0 and self.until_s == -math.inf else 0

    def ranges(self) -> _Ranges:
        """Yield start and stop of what is left."""
        bounds = self.bounds
        for at in range(self.head, len(bounds), 2):
            yield bounds[at], bounds[at + 1]

    def drop(self) -> None:
        """Let go of the first range."""
        self.head += 2
        if self.head >= _COMPACTED_FROM and 2 * self.head > len(self.bounds):
            del self.bounds[: self.head]
            self.head = 0


class Ordering:
    """The queues of all keys; ``available`` counts the messages of keys that are free.

    Args:
        columns: with ``phase`` and ``key``; a key is a number, 0 is none.
    """

    def __init__(self, columns: Columns) -> None:
        self.available = 0
        self._columns = columns
        self._queues: dict[int, _Queue] = {}
        self._heads: list[tuple[int, int]] = []
        self._peeked: list[int] = []
        self._backoffs: list[tuple[float, int]] = []

    @property
    def due_s(self) -> float:
        """When the first backoff ends."""
        return self._backoffs[0][0] if self._backoffs else math.inf

    def add(self, key: int, start: int, stop: int) -> None:
        """Add the positions of one publish, whose phase is QUEUED."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        queue.bounds.extend((start, stop))
        self._change(key, queue, stop - start, 0)

    def peek(self, count_max: int) -> Positions:
        """Return the oldest positions of free keys."""
        for key in self._peeked:
            self._offer(key, self._queues.get(key))
        self._peeked.clear()
        found = _Runs()
        merging: list[tuple[int, int, int, _Ranges]] = []
        wanted = min(count_max, self.available)
        while wanted > 0:
            start, stop = self._next_range(merging)
            phases = self._columns.view("phase", start, stop).tobytes()
            wanted -= found.add(start, phases, QUEUED)
        return found.positions()[:count_max]

    def turned(self, positions: Positions, was: npt.NDArray[np.uint8], phase: int) -> None:
        """Take notice that positions, which may have no key, went from their phases to another."""
        keys = self._columns.at("key", positions)
        waiting = np.subtract(phase == QUEUED, was == QUEUED, dtype=np.int64)
        out = np.subtract(_IS_OUT[phase], _IS_OUT[was], dtype=np.int64)
        distinct, which = np.unique(keys, return_inverse=True)
        by_key = (
            np.bincount(which, each, distinct.size).astype(np.int64).tolist()
            for each in (waiting, out)
        )
        for key, more_waiting, more_out in zip(distinct.tolist(), *by_key, strict=True):
            if key:
                self._change(key, self._queues[key], more_waiting, more_out)
                if phase == ACKED:
                    self._trim(key, self._queues[key])

    def accepted(self, positions: Positions) -> Positions:
        """Return what is acked at the front of keys, if these positions are, which have a key."""
        column, where = self._columns["phase"], self._columns.where(positions)
        phases = column[where].copy()
        column[where] = DEFERRED  # for the moment, so that they look like all others
        found = _Runs()
        for key in np.unique(self._columns.at("key", positions)).tolist():
            for start, stop in self._queues[key].ranges():
                acked = self._columns.view("phase", start, stop).tobytes()
                behind = acked.lstrip(_GIVEN)
                found.add(start, acked[: len(acked) - len(behind)], DEFERRED, SETTLING)
                if behind:
                    break
        column[where] = phases
        return np.sort(found.positions())

    def revoked(self, positions: Positions) -> Positions:
        """Return what was given out of the same keys after positions that fail, and these."""
        keys, first = np.unique(self._columns.at("key", positions), return_index=True)
        found = [positions]
        for key, position in zip(keys.tolist(), positions[first].tolist(), strict=True):
            if key:
                found += self._out_from(self._queues[key], position)
        return np.unique(np.concatenate(found))

    def back_off(self, positions: Positions, until_s: npt.NDArray[np.float64]) -> None:
        """Let keys wait until the time that their first position of these says."""
        keys, first = np.unique(self._columns.at("key", positions), return_index=True)
        for key, time_s in zip(keys.tolist(), until_s[first].tolist(), strict=True):
            queue = self._queues[key]
            self.available -= queue.available
            queue.until_s = time_s
            heapq.heappush(self._backoffs, (time_s, key))

    def expire(self, now_s: float) -> bool:
        """End the backoffs that are over; tell whether there were any."""
        over = False
        while self._backoffs and self._backoffs[0][0] <= now_s:
            until_s, key = heapq.heappop(self._backoffs)
            queue = self._queues.get(key)
            if queue is not None and queue.until_s == until_s:
                queue.until_s = -math.inf
                self.available += queue.available
                self._offer(key, queue)
                over = True
        return over

    def _change(self, key: int, queue: _Queue, waiting: int, out: int) -> None:
        before = queue.available
        queue.waiting += waiting
        queue.out += out
        self.available += queue.available - before
        self._offer(key, queue)

    def _offer(self, key: int, queue: _Queue | None) -> None:
        """Put a key into the heap if it has something to deliver and is not there."""
        if queue is not None and queue.entry == _IN_NO_HEAP and queue.available:
            queue.entry = queue.bounds[queue.head]
            heapq.heappush(self._heads, (queue.entry, key))

    def _next_range(self, merging: list[tuple[int, int, int, _Ranges]]) -> tuple[int, int]:
        """Return the oldest range of a free key that this peek has not returned yet."""
        while not merging or (self._heads and self._heads[0][0] < merging[0][0]):
            entry, key = heapq.heappop(self._heads)
            queue = self._queues.get(key)
            if queue is None or queue.entry != entry:
                continue  # of a queue that was emptied since
            queue.entry = _IN_NO_HEAP
            if queue.available:
                self._peeked.append(key)
                ranges = queue.ranges()
                heapq.heappush(merging, (*next(ranges), key, ranges))
        start, stop, key, ranges = heapq.heappop(merging)
        for following in ranges:
            heapq.heappush(merging, (*following, key, ranges))
            break
        return start, stop

    def _trim(self, key: int, queue: _Queue) -> None:
        if queue.waiting == queue.out == 0:
            del self._queues[key]
            return
        while True:  # there is something left, which ends it
            start, stop = queue.bounds[queue.head : queue.head + 2]
            if self._columns.view("phase", start, stop).tobytes().count(ACKED) < stop - start:
                break
            queue.drop()

    def _out_from(self, queue: _Queue, position: int) -> list[Positions]:
        found: list[Positions] = []
        left = queue.out
        for start, stop in queue.ranges():
            if left == 0:
                break
            phases = self._columns.view("phase", start, stop)
            left -= int(np.count_nonzero(_IS_OUT[phases]))
            given = np.flatnonzero((phases == LEASED) | (phases == DEFERRED)) + start
            found.append(given[given >= position])
        return found


class _Runs:
    """Positions that are collected range by range, most of them whole."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._counts: list[int] = []

    def add(self, start: int, phases: bytes, *wanted: int) -> int:
        """Add those of the positions from ``start`` on whose phase is wanted; return how many."""
        count = sum(map(phases.count, wanted))
        if count == len(phases):
            self._starts.append(start)
            self._counts.append(count)
        elif count:
            hits = np.isin(np.frombuffer(phases, np.uint8), wanted)
            self._starts += (np.flatnonzero(hits) + start).tolist()
            self._counts += [1] * count
        return count

    def positions(self) -> Positions:
        """Return all positions in the order in which they were added."""
        counts = np.array(self._counts, np.int64)
        ends = np.cumsum(counts)
        firsts = np.array(self._starts, np.int64) - (ends - counts)
        return np.repeat(firsts, counts) + np.arange(ends[-1] if ends.size else 0)
