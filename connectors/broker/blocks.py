"""Where the messages of a topic are: a row per publish, in columns.

A publish of one message is one block, so a block may cost no more than a few numbers. Blocks are in
the order of their positions, and of their publish times, which never go back. Between them there
may be gaps, where nobody needs the messages any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.broker.events import Block, Place

__all__ = ["Blocks"]

_ROW = np.dtype(
    [
        ("first", np.int64),
        ("stop", np.int64),
        ("time_us", np.int64),
        ("offset", np.int64),
        ("size_bytes", np.int64),
        ("segment", np.int32),
        ("key", np.uint32),
    ]
)
_CAPACITY_MIN = 64


class Blocks:
    """The blocks of a topic that somebody still needs."""

    def __init__(self) -> None:
        self._rows = np.zeros(_CAPACITY_MIN, _ROW)
        self._low = self._high = 0

    def __len__(self) -> int:
        return self._high - self._low

    def __getitem__(self, index: int) -> Block:
        """Return the block of that number, counted from the oldest; -1 is the newest."""
        first, stop, time_us, offset, size, segment, key = self._live()[index].item()
        return Block(first, stop - first, time_us, Place(segment, offset, size), key)

    def __iter__(self) -> Iterator[Block]:
        return (self[index] for index in range(len(self)))

    @property
    def firsts(self) -> npt.NDArray[np.int64]:
        """The first position of each block."""
        return self._column("first")

    @property
    def stops(self) -> npt.NDArray[np.int64]:
        """The position behind each block."""
        return self._column("stop")

    @property
    def times_us(self) -> npt.NDArray[np.int64]:
        """The publish time of each block, microseconds since 1970."""
        return self._column("time_us")

    @property
    def keys(self) -> npt.NDArray[np.uint32]:
        """The hash of each block's ordering key; 0 is no key."""
        return self._column("key")

    @property
    def segments(self) -> npt.NDArray[np.int32]:
        """The segment of the log that holds each block."""
        return self._column("segment")

    @property
    def sizes_bytes(self) -> npt.NDArray[np.int64]:
        """The bytes of each block in the log."""
        return self._column("size_bytes")

    def index(self, position: int) -> int:
        """Return the number of the block that holds a position, or of the last one before it."""
        return int(np.searchsorted(self.firsts, position, side="right")) - 1

    def older_than(self, time_us: int) -> int:
        """Return how many blocks were published before a time."""
        return int(np.searchsorted(self.times_us, time_us))

    def keys_of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """Return the hash of the ordering key of each position; 0 is no key."""
        return self.keys[np.searchsorted(self.firsts, positions, side="right") - 1]

    def there(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Return for each position of a range, which ends where the topic does, if it has rows."""
        edges = np.zeros(stop - start + 1, np.int8)
        inside = self.stops > start
        edges[np.maximum(self.firsts[inside], start) - start] += 1
        edges[self.stops[inside] - start] -= 1
        there: npt.NDArray[np.bool_] = np.cumsum(edges, dtype=np.int8)[:-1] > 0
        return there

    def runs(self, start: int) -> Iterator[tuple[int, int, int]]:
        """Yield first position, stop and key of the blocks that end behind a position."""
        live = self._live()[max(0, self.index(start)) :]
        columns = (live[name].tolist() for name in ("first", "stop", "key"))
        return zip(*columns, strict=True)

    def append(self, block: Block) -> None:
        """Add the newest block."""
        if self._high == len(self._rows):
            self._make_room()
        self._rows[self._high] = _row(block)
        self._high += 1

    def replace(self, block: Block) -> list[Place]:
        """Put a block in place of all that overlap with it; return where those were."""
        low = int(np.searchsorted(self.stops, block.first, side="right"))
        high = int(np.searchsorted(self.firsts, block.first + block.messages))
        freed, live = self.places(slice(low, high)), self._live()
        if high - low == 1:  # always but in a recovery: to copy all rows each time is quadratic
            live[low] = _row(block)
        else:
            row = np.array([_row(block)], _ROW)
            self._take_over(np.concatenate((live[:low], row, live[high:])))
        return freed

    def drop_below(self, position: int) -> list[Place]:
        """Let go of the blocks that end at or before a position; return where they were."""
        if self._low == self._high or self._rows["stop"][self._low] > position:
            return []
        count = int(np.searchsorted(self.stops, position, side="right"))
        freed = self.places(slice(count))
        self._low += count
        return freed

    def keep(self, needed: npt.NDArray[np.bool_]) -> list[Place]:
        """Let go of the blocks that are not needed; return where they were."""
        if needed.all():
            return []
        freed = self.places(~needed)
        self._take_over(self._live()[needed])
        return freed

    def places(self, which: Any = slice(None)) -> list[Place]:
        """Return where blocks are; of all, or of a slice or a mask of them."""
        rows = self._live()[which]
        columns = (rows[name].tolist() for name in ("segment", "offset", "size_bytes"))
        return [Place(*each) for each in zip(*columns, strict=True)]

    def _live(self) -> npt.NDArray[Any]:
        return self._rows[self._low : self._high]

    def _column(self, name: str) -> npt.NDArray[Any]:
        return self._rows[name][self._low : self._high]

    def _make_room(self) -> None:
        """Move the rows to the front, of a larger array unless half of this one is free."""
        live = self._live().copy()
        if 2 * live.size > len(self._rows):
            self._rows = np.zeros(2 * len(self._rows), _ROW)
        self._take_over(live)

    def _take_over(self, live: npt.NDArray[Any]) -> None:
        if live.size > len(self._rows):
            self._rows = np.zeros(2 * live.size, _ROW)
        self._rows[: live.size] = live
        self._low, self._high = 0, live.size


def _row(block: Block) -> tuple[int, ...]:
    segment, offset, size = block.place
    return (
        block.first, block.first + block.messages, block.time_us, offset, size, segment, block.key
    )  # fmt: skip
