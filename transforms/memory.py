"""What de-duplication remembers, and what it stores of it: decisions only, no Beam.

A ``Memory`` is rebuilt from the chunks of bytes that it handed out for storage. Its token is a
running hash of everything that changed it. Whoever keeps a memory alive beside the store compares
tokens: equal tokens mean that the memory is what a rebuild would give, and different ones that it
has seen work which was rolled back, or missed work which was done elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from transforms.fingerprint import Keys
from transforms.seen import SeenSet

__all__ = ["NEVER_US", "START", "Memory", "Summary"]

NEVER_US = (1 << 63) - 1
"""A time that no watermark reaches."""

_BUCKETS_PER_HORIZON = 4
_EXPIRY_SHARE = 16
_CHUNK_KEYS_MAX = 1 << 16
_CHUNK_HEAD = struct.Struct("<q")


class Summary(NamedTuple):
    """The state of a memory in three values, stored beside its chunks."""

    token: bytes
    watermark_us: int
    """A time that the watermark is known to have passed: that of the last expiry."""
    due_us: int
    """When to expire next."""


START = Summary(b"", -NEVER_US, NEVER_US)
"""The summary of a memory that was never used."""


class Memory:
    """Keys and how long to remember them.

    Keys are kept in buckets, a quarter of the horizon wide. A key that arrives at element time
    ``t`` is remembered until the watermark passes the end of ``t``'s bucket plus the horizon. If
    ``t`` is behind the last expiry, that takes its place: a late key is remembered as well.

    Expiry lags behind while less than a sixteenth of the keys can go, so that the number of
    expiries grows with the logarithm of the time span, should that exceed the horizon by far.

    Args:
        horizon_us: microseconds; a whole number of milliseconds, the resolution of timers.
    """

    def __init__(self, horizon_us: int) -> None:
        self.summary = START
        self._horizon_us = horizon_us
        self._bucket_us = -(-horizon_us // (_BUCKETS_PER_HORIZON * 1_000)) * 1_000
        self._seen = SeenSet()
        self._stored = 0  # keys in the chunks, the forgotten ones included

    @classmethod
    def restore(cls, horizon_us: int, summary: Summary, chunks: Iterable[bytes]) -> Memory:
        """Rebuild a memory from its chunks, in any order."""
        memory = cls(horizon_us)
        memory.summary = summary
        for chunk in chunks:
            (bucket,) = _CHUNK_HEAD.unpack_from(chunk)
            keys = np.frombuffer(chunk, "<u8", offset=_CHUNK_HEAD.size).reshape(-1, 2)
            memory._stored += len(keys)
            if not memory._is_over(bucket):
                memory._seen.add(keys, bucket)
        return memory

    def __len__(self) -> int:
        return len(self._seen)

    def admit(self, keys: Keys, time_us: int) -> tuple[npt.NDArray[np.bool_], bytes]:
        """Remember keys; return which are new, and the chunk to store, empty if none is new."""
        bucket = self._bucket(max(time_us, self.summary.watermark_us))
        new = self._seen.add(keys, bucket)
        if not new.any():
            return new, b""
        chunk = _chunk(keys.compress(new, axis=0), bucket)
        self._stored += int(new.sum())
        due_us = min(self.summary.due_us, bucket + self._horizon_us)
        self.summary = self.summary._replace(token=self._token(chunk), due_us=due_us)
        return new, chunk

    def expire(self, watermark_us: int) -> Iterator[bytes] | None:
        """Forget what is over; return the chunks that replace all stored ones, or None.

        They are replaced when more than half of the stored keys are forgotten ones, so that each
        key is written twice at most, on average.
        """
        watermark_us = max(watermark_us, self.summary.watermark_us)
        token = self._token(_CHUNK_HEAD.pack(watermark_us))
        self.summary = Summary(token, watermark_us, NEVER_US)
        self._seen.expire(watermark_us - self._horizon_us + 1)
        self.summary = self.summary._replace(due_us=self._due())
        if self._stored <= 2 * len(self._seen):
            return None
        self._stored = len(self._seen)
        return self._chunks()

    def _bucket(self, time_us: int) -> int:
        """Return the end of the bucket: what names it, even if the horizon is changed one day."""
        return (time_us // self._bucket_us + 1) * self._bucket_us

    def _is_over(self, bucket: int) -> bool:
        return bucket + self._horizon_us <= self.summary.watermark_us

    def _due(self) -> int:
        """Return when a sixteenth of the keys will be over."""
        counts = self._seen.counts
        enough = len(self._seen) / _EXPIRY_SHARE
        for bucket, count in zip(counts, accumulate(counts.values()), strict=True):
            if count >= enough:
                return bucket + self._horizon_us
        return NEVER_US

    def _token(self, change: bytes) -> bytes:
        return xxhash.xxh3_128_digest(self.summary.token + change)

    def _chunks(self) -> Iterator[bytes]:
        for bucket in self._seen.counts:
            keys = self._seen.keys_of(bucket)
            for start in range(0, len(keys), _CHUNK_KEYS_MAX):
                yield _chunk(keys[start : start + _CHUNK_KEYS_MAX], bucket)


def _chunk(keys: Keys, bucket: int) -> bytes:
    return _CHUNK_HEAD.pack(bucket) + keys.tobytes()
