"""A hash table from 128-bit keys to places in a log, worked on by whole arrays.

The table has blocks of eight slots, and five bytes a slot. A slot's tag, seven bits of its key
and one that says "used", is one byte of its block's 64-bit word, so that a lookup reads one word
a key and compares eight slots in a handful of vector operations. Only a slot whose tag fits is
followed into the log, where all 128 bits are compared. A key whose block is full goes to the next.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.fingerprint import Keys

__all__ = ["KeyTable", "Slots", "equal"]

Slots = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]
_Words = npt.NDArray[np.uint64]

_BLOCK_SLOTS = 8
_LOAD_MAX = 0.625
"""Share of the slots that may be in use: above it too many blocks are full."""

_LOW_BITS = np.uint64(0x0101010101010101)
_USED_BITS = np.uint64(0x8080808080808080)
_USED = np.uint64(0x80)
_TAG = np.uint64(0x7F)
_HALF = np.uint64(32)
_BITS_PER_TAG = np.uint64(8)
_BIT_OF_SLOT = np.arange(7, 64, 8, dtype=np.uint64)


class KeyTable:
    """Where each key lies in the log. The keys themselves are the log's.

    Args:
        capacity: keys that it must hold; more must never be inserted.
    """

    def __init__(self, capacity: int) -> None:
        blocks = int(capacity / (_BLOCK_SLOTS * _LOAD_MAX)) + 1
        self._tags = np.zeros(blocks, np.uint64)
        self.places: Places = np.zeros(blocks * _BLOCK_SLOTS, np.uint32)
        """The place of the key in each used slot; overwrite one to move its key."""
        self.capacity = int(blocks * _BLOCK_SLOTS * _LOAD_MAX)

    @property
    def nbytes(self) -> int:
        """Bytes of the table, empty slots included."""
        return self._tags.nbytes + self.places.nbytes

    def find(self, keys: Keys, log: Keys) -> Slots:
        """Return the slot of each key, or -1."""
        found = np.full(len(keys), -1)
        rows = np.arange(len(keys))
        blocks, tags = self._locate(keys)
        while rows.size:
            words = self._tags[blocks]
            which, slots = _fitting(words, tags, blocks)
            same = equal(log.take(self.places[slots], axis=0), keys.take(rows[which], axis=0))
            found[rows[which[same]]] = slots[same]
            on = np.flatnonzero(words & _USED_BITS == _USED_BITS)
            on = on[found[rows[on]] < 0]
            rows, tags, blocks = rows[on], tags[on], self._next(blocks[on])
        return found

    def insert(self, keys: Keys, places: Places) -> None:
        """Add keys that differ from each other and from all that are in the table."""
        blocks, tags = self._locate(keys)
        while blocks.size:
            placed, full = self._place(blocks, tags, places)
            blocks = np.where(full, self._next(blocks), blocks)[~placed]
            tags, places = tags[~placed], places[~placed]

    def _place(
        self, blocks: Slots, tags: _Words, places: Places
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Take the first free slot of each block; of several keys, one gets it.

        All of them write their place, and who reads it back has won: numpy's assignment leaves
        one of the values of a repeated index behind.
        """
        words = self._tags[blocks]
        used = np.bitwise_count(words & _USED_BITS)
        full = used == _BLOCK_SLOTS
        rows = np.flatnonzero(~full)
        slots = blocks[rows] * _BLOCK_SLOTS + used[rows]
        self.places[slots] = places[rows]
        won = rows[self.places[slots] == places[rows]]
        self._tags[blocks[won]] = words[won] | (tags[won] << (used[won] * _BITS_PER_TAG))
        placed = np.zeros(len(blocks), np.bool_)
        placed[won] = True
        return placed, full

    def _locate(self, keys: Keys) -> tuple[Slots, _Words]:
        """Return the home block and the tag of each key, from opposite ends of its first half."""
        halves = np.ascontiguousarray(keys[:, 0])
        blocks = ((halves >> _HALF) * np.uint64(len(self._tags))) >> _HALF
        return blocks.astype(np.int64), (halves & _TAG) | _USED

    def _next(self, blocks: Slots) -> Slots:
        after = blocks + 1
        after[after == len(self._tags)] = 0
        return after


def _fitting(words: _Words, tags: _Words, blocks: Slots) -> tuple[Slots, Slots]:
    """Return the slots whose tag fits, as pairs of row and slot.

    A byte of ``differing`` is zero where the tag fits; the expression sets the highest bit of
    the zero bytes. It may set that of a byte above one, too, but never of an unused slot.
    """
    differing = words ^ (tags * _LOW_BITS)
    fits = (differing - _LOW_BITS) & ~differing & _USED_BITS
    rows = np.flatnonzero(fits)
    which, slot = np.nonzero((fits[rows][:, None] >> _BIT_OF_SLOT) & np.uint64(1))
    rows = rows[which]
    return rows, blocks[rows] * _BLOCK_SLOTS + slot


def equal(some: Keys, others: Keys) -> npt.NDArray[np.bool_]:
    """Compare keys row by row."""
    return (some[:, 0] == others[:, 0]) & (some[:, 1] == others[:, 1])
