"""Durations of the API to seconds and back."""

from __future__ import annotations

from typing import Any

from connectors.broker.errors import InvalidArgument

__all__ = ["checked_s", "show"]

_NANOS = 1_000_000_000


def checked_s(field: str, duration: Any, low: float, high: float | None = None) -> float:
    """Return the seconds of a ``google.protobuf.Duration``.

    Args:
        field: its name, for the message.
        duration: to check.
        low: the least seconds allowed.
        high: the most, if there is a limit.

    Raises:
        InvalidArgument: it is no duration, or out of range.
    """
    seconds, nanos = duration.seconds, duration.nanos
    if abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise InvalidArgument(
            field, f"{seconds} s, {nanos} ns",
            "seconds and nanos must have the same sign, and nanos be below a second",
        )  # fmt: skip
    total_s = float(seconds + nanos / _NANOS)
    if total_s < low or (high is not None and total_s > high):
        limit = f"must be at least {low} s" if high is None else f"must be {low} to {high} s"
        raise InvalidArgument(field, f"{total_s:.10g} s", limit)
    return total_s


def show(duration: Any, seconds: float) -> None:
    """Set a ``google.protobuf.Duration``."""
    duration.FromNanoseconds(round(seconds * _NANOS))
