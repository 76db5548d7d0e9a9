"""Durations of the API to seconds and back."""

from __future__ import annotations

from typing import Any

from connectors.broker.errors import InvalidArgument

__all__ = ["checked_s", "show"]

_NANOS = 1_000_000_000
_SECONDS_MAX = 315_576_000_000  # of any duration: 10,000 years


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
    if abs(seconds) > _SECONDS_MAX or abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise InvalidArgument(
            field, f"{seconds} s, {nanos} ns",
            "must be within 10,000 years, nanos be below a second and of the same sign",
        )  # fmt: skip
    total_s = float((seconds * _NANOS + nanos) / _NANOS)  # rounded once, so that it is shown alike
    if total_s < low or (high is not None and total_s > high):
        limit = f"must be at least {low} s" if high is None else f"must be {low} to {high} s"
        raise InvalidArgument(field, f"{total_s:.10g} s", limit)
    return total_s


def show(duration: Any, seconds: float) -> None:
    """Set a ``google.protobuf.Duration``."""
    duration.FromNanoseconds(round(seconds * _NANOS))
