"""The event time of each row, in microseconds, from any column, attribute or message part.

Times are those of RFC 3339 and of protocol buffers: the years 1 to 9999, UTC. What is finer than
a microsecond is rounded down, before 1970 as well. A timestamp without a zone counts as UTC.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.failure import failures
from transforms.field import Field
from transforms.lookup import look_up
from transforms.orphan import with_messages

__all__ = ["MICROS_MAX", "MICROS_MIN", "Micros", "event_times", "reject"]

Micros = npt.NDArray[np.int64]
"""Microseconds since 1970-01-01T00:00:00Z, one per row."""

MICROS_MIN: Final = -62_135_596_800_000_000
MICROS_MAX: Final = 253_402_300_799_999_999

# Ticks to microseconds: multiplied by the first, divided (rounding down) by the second.
_SCALES: Final = {
    pa.timestamp("s"): (1_000_000, 1),
    pa.timestamp("ms"): (1_000, 1),
    pa.timestamp("us"): (1, 1),
    pa.timestamp("ns"): (1, 1_000),
    pa.date32(): (86_400_000_000, 1),
    pa.date64(): (1_000, 1),
}

_BAD: Final = "{} is {}; it must be a time from year 1 to 9999"
_SHOWN_MAX: Final = 100

_UTC_MICROS: Final = pa.timestamp("us", tz="UTC")
_EPOCH_MILLIS: Final = r"^-?[0-9]{1,15}$"
_RFC_3339: Final = (
    r"^[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-][0-2][0-9]:[0-5][0-9])$"
)


def event_times(field: Field, batch: Batch) -> tuple[Micros, npt.NDArray[np.bool_] | None]:
    """Return the event time of each row, and which of them are usable; None if all are.

    A time is not usable when it is null, unreadable or outside the years 1 to 9999; its
    microseconds are then meaningless. Text is RFC 3339 or milliseconds since the epoch, as in
    Pub/Sub's timestamp attributes.

    Raises:
        ConfigError: there is no such field, or its type holds no time. Numbers are refused:
            nobody can know their unit.
    """
    ticks, multiplier, divisor = _ticks(field, look_up("event_time", field, batch))
    low, high = MICROS_MIN * divisor // multiplier, MICROS_MAX * divisor // multiplier
    raw = _int64(ticks)
    usable = _usable(ticks, raw, low, high)
    if multiplier > 1:
        raw = (raw if usable is None else np.where(usable, raw, 0)) * multiplier
    return (raw // divisor if divisor > 1 else raw), usable


def reject(field: Field, rejected: Batch, step: str) -> Batch:
    """Return the dead letters of rows without a usable event time, with what was found."""
    values = look_up("event_time", field, rejected)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    errors = [_BAD.format(field, str(value)[:_SHOWN_MAX]) for value in values.to_pylist()]
    return failures(with_messages(rejected), step, [("bad_event_time", text) for text in errors])


def _ticks(field: Field, values: pa.Array) -> tuple[pa.Array, int, int]:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _read_text(values), 1, 1
    plain = pa.timestamp(values.type.unit) if pa.types.is_timestamp(values.type) else values.type
    if plain not in _SCALES:
        raise ConfigError(
            "event_time", str(field), f"must hold times, not {values.type}",
            "Declare the column as timestamp or date, or as RFC 3339 text",
        )  # fmt: skip
    return values, *_SCALES[plain]


def _int64(ticks: pa.Array) -> Micros:
    width = pa.int32() if pa.types.is_date32(ticks.type) else pa.int64()
    numbers: Any = pc.fill_null(ticks.cast(width), 0) if ticks.null_count else ticks.cast(width)
    return numbers.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)


def _usable(ticks: pa.Array, raw: Micros, low: int, high: int) -> npt.NDArray[np.bool_] | None:
    if not len(raw) or (not ticks.null_count and raw.min() >= low and raw.max() <= high):
        return None
    return ticks.is_valid().to_numpy(zero_copy_only=False) & (raw >= low) & (raw <= high)


def _read_text(text: pa.Array) -> pa.Array:
    try:
        return text.cast(_UTC_MICROS)
    except pa.ArrowInvalid:
        return _read_mixed_text(text)


def _read_mixed_text(text: pa.Array) -> pa.Array:
    """Read text of both forms, with unreadable values in between, which become null."""
    nothing = pa.scalar(None, text.type)
    numeric = pc.match_substring_regex(text, _EPOCH_MILLIS)
    millis = pc.if_else(numeric, text, nothing).cast(pa.int64())
    # Finer digits are cut off, for Arrow would refuse them.
    cut = pc.replace_substring_regex(pc.utf8_upper(text), r"(\.[0-9]{6})[0-9]+", r"\1")
    shaped = pc.if_else(pc.match_substring_regex(cut, _RFC_3339), cut, nothing)
    return pc.coalesce(_read_shaped(shaped), pc.multiply(millis, 1_000).cast(_UTC_MICROS))


def _read_shaped(text: pa.Array) -> pa.Array:
    """Read RFC 3339 text; halve around values such as February 30, which Arrow refuses."""
    try:
        return text.cast(_UTC_MICROS)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, _UTC_MICROS)
        half = len(text) // 2
        return pa.concat_arrays([_read_shaped(text[:half]), _read_shaped(text[half:])])
