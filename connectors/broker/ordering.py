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
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.broker.columns import Columns, Positions
from connectors.broker.phases import ACKED, DEAD, DEFERRED, LEASED, QUEUED, SETTLING

__all__ = ["Ordering"]

_IN_NO_HEAP = -1
_Ranges = Iterator[tuple[int, int]]


class _Queue:
    """What is left of a key; ``out`` counts messages that are out, ``waiting`` the others."""

    __slots__ = ("entry", "out", "ranges", "until_s", "waiting")

    def __init__(self) -> None:
        self.ranges: deque[tuple[int, int]] = deque()
        self.waiting = self.out = 0
        self.until_s = -math.inf
        self.entry = _IN_NO_HEAP

    @property
    def free(self) -> bool:
        return self.out == 0 and self.until_s == -math.inf

    @property
    def available(self) -> int:
        return self.waiting if self.free else 0


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
        queue = self._queues.setdefault(key, _Queue())
        queue.ranges.append((start, stop))
        self._change(key, queue, stop - start, 0)

    def peek(self, count_max: int) -> list[Positions]:
        """Return the oldest positions of free keys, in runs one behind the other."""
        for key in self._peeked:
            self._offer(key)
        self._peeked.clear()
        found: list[Positions] = []
        merging: list[tuple[int, int, int, _Ranges]] = []
        wanted = min(count_max, self.available)
        while wanted > 0:
            start, stop = self._next_range(merging)
            phases = self._columns.view("phase", start, stop)
            found.append(np.flatnonzero(phases == QUEUED)[:wanted] + start)
            wanted -= found[-1].size
        return found

    def turned(self, positions: Positions, was: npt.NDArray[np.uint8], phase: int) -> None:
        """Take notice that positions, which may have no key, went from their phases to another."""
        keys = self._columns.at("key", positions)
        waiting = np.subtract(phase == QUEUED, was == QUEUED, dtype=np.int64)
        out = np.subtract(_is_out(np.full(1, phase)), _is_out(was), dtype=np.int64)
        distinct, which = np.unique(keys, return_inverse=True)
        by_key = (np.bincount(which, each, distinct.size) for each in (waiting, out))
        for key, more_waiting, more_out in zip(distinct.tolist(), *by_key, strict=True):
            if key:
                self._change(key, self._queues[key], int(more_waiting), int(more_out))
                if phase == ACKED:
                    self._trim(key)

    def accepted(self, positions: Positions) -> Positions:
        """Return what is acked at the front of keys, if these positions are, which have a key."""
        found = [np.empty(0, np.int64)]
        for key in np.unique(self._columns.at("key", positions)).tolist():
            for start, stop in self._queues[key].ranges:
                phases = self._columns.view("phase", start, stop)
                given = (phases == DEFERRED) | (phases == SETTLING)
                low, high = np.searchsorted(positions, (start, stop))
                given[positions[low:high] - start] = True
                open_ones = np.flatnonzero(~given & (phases != ACKED))
                until = open_ones[0] if open_ones.size else stop - start
                found.append(np.flatnonzero(given[:until]) + start)
                if open_ones.size:
                    break
        return np.sort(np.concatenate(found))

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
                self._offer(key)
                over = True
        return over

    def _change(self, key: int, queue: _Queue, waiting: int, out: int) -> None:
        self.available -= queue.available
        queue.waiting += waiting
        queue.out += out
        self.available += queue.available
        self._offer(key)

    def _offer(self, key: int) -> None:
        """Put a key into the heap if it has something to deliver and is not there."""
        queue = self._queues.get(key)
        if queue is not None and queue.available and queue.entry == _IN_NO_HEAP:
            queue.entry = queue.ranges[0][0]
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
                ranges = iter(queue.ranges)
                heapq.heappush(merging, (*next(ranges), key, ranges))
        start, stop, key, ranges = heapq.heappop(merging)
        for following in ranges:
            heapq.heappush(merging, (*following, key, ranges))
            break
        return start, stop

    def _trim(self, key: int) -> None:
        queue = self._queues[key]
        if queue.waiting == queue.out == 0:
            del self._queues[key]
            return
        while np.all(self._columns.view("phase", *queue.ranges[0]) == ACKED):
            queue.ranges.popleft()

    def _out_from(self, queue: _Queue, position: int) -> list[Positions]:
        found: list[Positions] = []
        left = queue.out
        for start, stop in queue.ranges:
            if left == 0:
                break
            phases = self._columns.view("phase", start, stop)
            left -= int(np.count_nonzero(_is_out(phases)))
            given = np.flatnonzero((phases == LEASED) | (phases == DEFERRED)) + start
            found.append(given[given >= position])
        return found


def _is_out(phases: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return (phases == LEASED) | (phases == SETTLING) | (phases == DEFERRED) | (phases == DEAD)
