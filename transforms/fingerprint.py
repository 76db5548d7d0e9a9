"""128-bit fingerprints of keys: what de-duplication remembers instead of the keys themselves.

Fingerprints are kept in state for as long as the horizon, so that they must never change:
neither with the process, nor with the version of a library, nor with the way Arrow holds the
same value (sliced, chunked, dictionary-encoded, 32-bit or 64-bit).

Two different keys have the same fingerprint with a probability of 2**-128. The hash is no
cryptographic one: whoever chooses the keys could make two of their own collide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from transforms.errors import ConfigError

__all__ = ["Fingerprints", "Keys", "fingerprint"]

Keys = npt.NDArray[np.uint64]
"""Fingerprints as an array of shape (n, 2)."""


class Fingerprints(NamedTuple):
    """The fingerprint of each row, and the rows that have no key."""

    keys: Keys
    missing: npt.NDArray[np.bool_]


def fingerprint(columns: Sequence[pa.Array]) -> Fingerprints:
    """Hash the key of each row, made of the values of one or more columns.

    A key with any part null is missing: two unknown values are not known to be the same. NaN is
    a value, equal to itself; 0.0 and -0.0 are equal, as are texts and integers of any width.

    Args:
        columns: the parts of the key, of equal length: text, binary, numbers, decimals, dates
            and times, booleans, or dictionaries of these.

    Raises:
        ConfigError: no column was given, or one of a nested type.
    """
    if not columns:
        raise ConfigError("key", columns, "must have at least one column", "Name one or more")
    keys, missing = _column(columns[0])
    for column in columns[1:]:
        part = _column(column)
        keys = _chain(keys, part.keys)
        missing = missing | part.missing
    return Fingerprints(keys, missing)


def _column(values: pa.Array) -> Fingerprints:
    if pa.types.is_dictionary(values.type):
        return _dictionary(values)
    missing = values.is_null().to_numpy(zero_copy_only=False)
    blobs = _as_binary(values)
    if blobs is not None:
        return Fingerprints(_hash_blobs(blobs), missing)
    return Fingerprints(_hash_words(_as_words(values), _kind(values.type)), missing)


def _dictionary(values: pa.DictionaryArray) -> Fingerprints:
    """Hash each value of the dictionary once."""
    rows_missing = values.is_null().to_numpy(zero_copy_only=False)
    if not len(values.dictionary):
        return Fingerprints(np.zeros((len(values), 2), np.uint64), rows_missing)
    distinct = _column(values.dictionary)
    indices = values.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return Fingerprints(
        distinct.keys.take(indices, axis=0), rows_missing | distinct.missing[indices]
    )


def _as_binary(values: pa.Array) -> pa.Array | None:
    """Return text and binary as bytes without copying, decimals as text; else None."""
    kind = values.type
    if pa.types.is_decimal(kind):
        values, kind = values.cast(pa.string()), pa.string()
    if any(is_kind(kind) for is_kind in _SMALL):
        return values.cast(pa.binary())
    if any(is_kind(kind) for is_kind in _LARGE_OR_VIEW):
        return values.cast(pa.large_binary())
    return None


_SMALL = (pa.types.is_string, pa.types.is_binary, pa.types.is_fixed_size_binary)
_LARGE_OR_VIEW = (
    pa.types.is_large_string,
    pa.types.is_large_binary,
    pa.types.is_string_view,
    pa.types.is_binary_view,
)


def _hash_blobs(blobs: pa.Array) -> Keys:
    # A list of bytes costs 0.02 us a row, the hash 0.05 us: cheaper than any vectorised hash of
    # values of differing lengths. A missing value is hashed as an empty one and masked.
    digests = b"".join(map(xxhash.xxh3_128_digest, blobs.fill_null(b"").to_pylist()))
    return np.frombuffer(digests, "<u8").reshape(-1, 2)


def _as_words(values: pa.Array) -> npt.NDArray[np.uint64]:
    """Return fixed-width values as 64-bit words, equal for equal values."""
    kind = values.type
    if pa.types.is_floating(kind):
        numbers = values.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False) + 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64)
    if pa.types.is_unsigned_integer(kind) or pa.types.is_boolean(kind):
        values = values.cast(pa.uint64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        values = values.cast(pa.int32()).cast(pa.int64())
    elif any(is_kind(kind) for is_kind in _INTEGRAL):
        values = values.cast(pa.int64())
    else:
        raise ConfigError(
            "key", str(kind), "has no single value per row that could be compared",
            "Name its parts as columns of their own",
        )  # fmt: skip
    return values.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)


_INTEGRAL = (
    pa.types.is_signed_integer,
    pa.types.is_timestamp,
    pa.types.is_date64,
    pa.types.is_time64,
    pa.types.is_duration,
    pa.types.is_null,
)


def _kind(kind: pa.DataType) -> bytes:
    """Name the type as far as it tells equal words apart: 5 of any integer width is one value."""
    if pa.types.is_integer(kind):
        return b"integer"
    if pa.types.is_floating(kind):
        return b"float"
    return str(kind).encode()


_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)


def _hash_words(words: npt.NDArray[np.uint64], kind: bytes) -> Keys:
    seed = np.frombuffer(xxhash.xxh3_128_digest(kind), "<u8")
    return _mix(words[:, None] * _ODD + seed)


def _chain(keys: Keys, part: Keys) -> Keys:
    """Hash the fingerprint so far with that of the next column; their order counts."""
    return _mix(keys * _ODD + part)


def _mix(words: Keys) -> Keys:
    """Spread every bit over its word: the finalizer of SplitMix64, by Stafford (variant 13)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
