"""Times of the API to microseconds and back."""

from __future__ import annotations

from typing import Any

from connectors.broker.errors import InvalidArgument

__all__ = ["read_us", "show"]

_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799  # the years 1 to 9999
_NANOS = 1_000_000_000


def read_us(field: str, time: Any) -> int:
    """Return microseconds since 1970 of a ``google.protobuf.Timestamp``; before that it is 0.

    Raises:
        InvalidArgument: it is no time.
    """
    seconds, nanos = time.seconds, time.nanos
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos < _NANOS):
        raise InvalidArgument(
            field, f"{seconds} s, {nanos} ns", "must be in the years 1 to 9999, nanos below 1 s"
        )
    return max(0, int(seconds) * 1_000_000 + int(nanos) // 1_000)


def show(time: Any, time_us: int) -> None:
    """Set a ``google.protobuf.Timestamp``."""
    time.FromMicroseconds(time_us)
