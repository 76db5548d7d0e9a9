"""Which messages of a topic somebody still needs, at one moment: vector operations over blocks."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Need", "Part", "packed", "unpacked"]

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


class Part(NamedTuple):
    """Positions from ``base`` on, and which of them are needed."""

    base: int
    needed: Mask

    def counts(self, starts: Positions, stops: Positions) -> Positions:
        """Return how many positions of each range, ``start`` to ``stop``, are needed."""
        until = np.concatenate(([0], np.cumsum(self.needed)))
        low, high = (np.clip(each - self.base, 0, self.needed.size) for each in (starts, stops))
        return until[high] - until[low]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first needed position of a range, and the one behind the last."""
        low = min(max(start - self.base, 0), self.needed.size)
        high = min(max(stop - self.base, 0), self.needed.size)
        hits = np.flatnonzero(self.needed[low:high])
        if hits.size == 0:
            return stop, start
        return self.base + low + int(hits[0]), self.base + low + int(hits[-1]) + 1


class Need:
    """What is needed by all who hold messages of a topic.

    Args:
        tail: everything from here on is needed.
        parts: what is needed beside.
    """

    def __init__(self, tail: int, parts: list[Part]) -> None:
        self._tail, self._parts = tail, parts

    def counts(self, starts: Positions, stops: Positions) -> Positions:
        """Return for each range how many messages the one needs who needs most of it."""
        found = np.clip(stops - np.maximum(starts, self._tail), 0, None)
        for part in self._parts:
            np.maximum(found, part.counts(starts, stops), out=found)
        return found

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first needed position of a range, and the one behind the last.

        Where nothing is needed, the second is not above the first.
        """
        spans = [part.span(start, stop) for part in self._parts]
        if self._tail < stop:
            spans.append((max(start, self._tail), stop))
        return min((low for low, _ in spans), default=stop), max(
            (high for _, high in spans), default=start
        )


def packed(mask: Mask) -> bytes:
    """Return a mask as a compressed bitmap."""
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def unpacked(bitmap: bytes, count: int) -> Mask:
    """Return the mask of so many positions that ``packed`` was given."""
    bits = np.frombuffer(zlib.decompress(bitmap), np.uint8)
    return np.unpackbits(bits, count=count).view(np.bool_)
