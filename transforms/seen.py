"""The keys seen so far: a set of 128-bit fingerprints that forgets by age.

The fingerprints lie in a dense log, in order of arrival; a ``KeyTable`` finds them. Every
operation works on whole arrays: there is no Python object per key. Rows are gathered by ``take``
and ``compress``, for indexing an array of two dimensions by an array is ten times slower.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.fingerprint import Keys
from transforms.key_table import KeyTable, Slots, equal

__all__ = ["SeenSet", "first_occurrences"]

_Mask = npt.NDArray[np.bool_]

_CAPACITY_MIN = 512
_SMALL = 1 << 20
_REBUILD_ROWS = 1 << 14
"""Keys inserted at once by a rebuild: few enough for temporary arrays to stay in the cache."""


class SeenSet:
    """Which fingerprints were seen, by bucket of time; a bucket is any integer.

    Guarantees:
        Exact in all 128 bits, however the keys are distributed; fast for uniform ones.
        28 to 36 bytes a key, up to 52 below four million keys. Forgotten keys hold their room
        until they outnumber the live ones; then it is reclaimed, so that forgetting costs O(1) a
        key.
    """

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}  # live bucket -> index into _alive
        self._counts: dict[int, int] = {}  # live bucket -> number of its keys
        self._alive: _Mask = np.empty(0, np.bool_)
        self._logged = 0
        self._forgotten = 0  # of those that are logged
        self._allocate(_CAPACITY_MIN)

    def _allocate(self, capacity: int) -> None:
        self._table = KeyTable(capacity)
        self._log: Keys = np.empty((self._table.capacity, 2), np.uint64)
        self._ages = np.empty(self._table.capacity, np.int32)  # of each key: index into _alive

    def __len__(self) -> int:
        return self._logged - self._forgotten

    @property
    def nbytes(self) -> int:
        """Bytes in use; the untouched end of the log is address space, no memory."""
        return self._log[: self._logged].nbytes + 4 * self._logged + self._table.nbytes

    @property
    def counts(self) -> dict[int, int]:
        """The number of keys of each bucket, the oldest bucket first."""
        return dict(sorted(self._counts.items()))

    def add(self, keys: Keys, bucket: int) -> _Mask:
        """Remember keys; return true for each that was not remembered until then.

        Of equal keys among the new ones, the first counts. A key that is remembered already
        keeps its bucket.

        Args:
            keys: an array of shape (n, 2).
            bucket: the age that ``expire`` will compare.
        """
        self._reserve(len(keys))
        slots = self._table.find(keys, self._log)
        new = slots < 0
        if self._forgotten:
            self._mark_forgotten(new, slots)
        rows = np.flatnonzero(new)
        new[rows] = first_occurrences(keys.take(rows, axis=0))
        if new.any():
            self._append(keys.compress(new, axis=0), bucket, slots[new])
        return new

    def holds(self, keys: Keys) -> _Mask:
        """Return true for each key that is remembered.

        Args:
            keys: an array of shape (n, 2).
        """
        slots = self._table.find(keys, self._log)
        new = slots < 0
        if self._forgotten:
            self._mark_forgotten(new, slots)
        return ~new

    def expire(self, before: int) -> int:
        """Forget the keys of all buckets below ``before``; return how many they were."""
        gone = [bucket for bucket in self._counts if bucket < before]
        for bucket in gone:
            self._alive[self._codes.pop(bucket)] = False
        count = sum(self._counts.pop(bucket) for bucket in gone)
        self._forgotten += count
        if self._forgotten > len(self):
            self._rebuild(len(self))
        return count

    def keys_of(self, bucket: int) -> Keys:
        """Return the keys of a bucket: what ``add`` takes to restore it."""
        if bucket not in self._codes:
            return np.empty((0, 2), np.uint64)
        own = self._ages[: self._logged] == self._codes[bucket]
        return self._log[: self._logged].compress(own, axis=0)

    def _mark_forgotten(self, new: _Mask, slots: Slots) -> None:
        found = np.flatnonzero(~new)
        new[found] = ~self._alive[self._ages[self._table.places[slots[found]]]]

    def _append(self, keys: Keys, bucket: int, slots: Slots) -> None:
        """Log new keys; those that were forgotten have their slot in the table already."""
        start, end = self._logged, self._logged + len(keys)
        self._log[start:end] = keys
        self._ages[start:end] = self._code(bucket)
        self._counts[bucket] = self._counts.get(bucket, 0) + len(keys)
        self._logged = end
        places = np.arange(start, end, dtype=np.uint32)
        slotted = slots >= 0
        self._table.places[slots[slotted]] = places[slotted]
        self._table.insert(keys.compress(~slotted, axis=0), places[~slotted])

    def _code(self, bucket: int) -> int:
        if bucket not in self._codes:
            self._codes[bucket] = len(self._alive)
            self._alive = np.append(self._alive, True)
        return self._codes[bucket]

    def _reserve(self, count: int) -> None:
        """Make room for as many keys more."""
        if self._logged + count > self._table.capacity:
            self._rebuild(len(self) + count)

    def _rebuild(self, count: int) -> None:
        """Drop what is forgotten, and move the rest to arrays with room to grow."""
        log, ages = self._live()
        # To move the keys of a small set often costs more than the room that it saves.
        self._allocate(max((4 if count < _SMALL else 2) * count, _CAPACITY_MIN))
        self._logged, self._forgotten = len(log), 0
        self._log[: self._logged] = log
        self._ages[: self._logged] = self._renumber()[ages]
        for start in range(0, self._logged, _REBUILD_ROWS):
            keys = log[start : start + _REBUILD_ROWS]
            self._table.insert(keys, np.arange(start, start + len(keys), dtype=np.uint32))

    def _live(self) -> tuple[Keys, npt.NDArray[np.int32]]:
        log, ages = self._log[: self._logged], self._ages[: self._logged]
        if not self._forgotten:
            return log, ages
        alive = self._alive[ages]
        return log.compress(alive, axis=0), ages[alive]

    def _renumber(self) -> npt.NDArray[np.int32]:
        """Number the live buckets from zero on; return the new number of each old one."""
        numbers = np.zeros(len(self._alive), np.int32)
        numbers[list(self._codes.values())] = np.arange(len(self._codes))
        self._codes = {bucket: int(numbers[code]) for bucket, code in self._codes.items()}
        self._alive = np.ones(len(self._codes), np.bool_)
        return numbers


def first_occurrences(keys: Keys) -> _Mask:
    """Return true for the first row of each distinct key.

    Each row claims a spot in a small table, the first one of a spot gets it. Rows that find
    their own key there are repetitions; the few that find another key try again among themselves.
    """
    first = np.zeros(len(keys), np.bool_)
    rows = np.arange(len(keys), dtype=np.int32)
    size = 1 << (8 * len(keys)).bit_length()
    spots = (keys[:, 0] & np.uint64(size - 1)).astype(np.int64)
    owners = np.empty(size, np.int32)
    while rows.size:
        owners[spots[::-1]] = rows[::-1]  # of a repeated index, the last value stays
        holders = owners[spots]
        first[holders] = True
        rest = np.flatnonzero(holders != rows)
        rest = rest[~equal(keys.take(rows[rest], axis=0), keys.take(holders[rest], axis=0))]
        rows, spots = rows[rest], spots[rest]
    return first
