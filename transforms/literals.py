"""Columns of text to timestamps, dates, times of day and decimals, in Arrow kernels.

A text that doesn't follow its form becomes null; the caller compares the nulls before and after.
Whether a text is accepted never depends on the other rows of its batch. A uniform column takes one
cast; only a column in which that fails pays for regular expressions, and never for more than a
fixed number of them.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DECIMAL", "Convert", "converter", "form"]

Convert = Callable[[pa.Array], pa.Array]

# Every day that exists, leap years included: what passes these patterns is always a valid time.
LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
DAY_OF_MONTH = "|".join(
    (
        r"(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])",
        r"(?:0[469]|11)-(?:0[1-9]|[12]\d|30)",
        r"02-(?:0[1-9]|1\d|2[0-8])",
    )
)
DATE = rf"(?:\d{{4}}-(?:{DAY_OF_MONTH})|{LEAP_YEAR}-02-29)"
HOURS, SIXTY = r"(?:[01]\d|2[0-3])", "[0-5][0-9]"
TIME = rf"{HOURS}:{SIXTY}:{SIXTY}(?:\.\d{{1,9}})?"
SHORT_TIME = rf"{HOURS}(?::{SIXTY})?"
ZONE = rf"(?:Z|[+-]{HOURS}(?::?{SIXTY})?)"
DATETIME = rf"{DATE}(?:[ T](?:{TIME}|{SHORT_TIME}))?"
TIMESTAMP = rf"{DATE}(?:[ T](?:{TIME}|{SHORT_TIME}){ZONE}?)?"
HAS_ZONE = r"[ T].*[Z+-]"
DECIMAL = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"

UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
FRACTION_DIGITS = {"s": 0, "ms": 3, "us": 6}
# The years 1 to 9999: what BigQuery stores and Python's datetime holds. Arrow goes further.
SECONDS_MIN, SECONDS_END = -62_135_596_800, 253_402_300_800
DAYS_MIN, DAYS_END = -719_162, 2_932_897


def converter(to: pa.DataType) -> Convert | None:
    """Return the function from an array of text to one of type ``to``; None if there is none."""
    if pa.types.is_timestamp(to) and to.tz in (None, "UTC") and to.unit in UNITS_PER_SECOND:
        return partial(_timestamps, to=to)
    if pa.types.is_date32(to):
        return _dates
    if to == pa.time64("us"):
        return partial(_times, to=to)
    if pa.types.is_decimal(to) and 0 <= to.scale <= to.precision:
        return partial(_decimals, to=to)
    return None


def form(to: pa.DataType) -> str:
    """Say in words what a text must look like to become type ``to``."""
    if pa.types.is_timestamp(to):
        return (
            "timestamp like 2024-01-31T10:00:00.5Z"
            if to.tz
            else "datetime like 2024-01-31T10:00:00.5"
        )
    if pa.types.is_date32(to):
        return "date like 2024-01-31"
    if pa.types.is_time64(to):
        return "time like 10:00:00.5"
    return (
        f"decimal of at most {to.precision - to.scale} digits before and {to.scale} after the point"
    )


def _timestamps(text: pa.Array, to: pa.DataType) -> pa.Array:
    times = _uniform(text, to)
    if times is None:
        times = _mixed(_keep(text, TIMESTAMP if to.tz else DATETIME), to)
    per_second = UNITS_PER_SECOND[to.unit]
    return _within(times, pa.int64(), SECONDS_MIN * per_second, SECONDS_END * per_second)


def _uniform(text: pa.Array, to: pa.DataType) -> pa.Array | None:
    """Convert texts in one cast if all look like the first; None if that fails.

    It is worth a look at the first: where every row fails, a cast costs more than all patterns.
    """
    first = pc.first(text).as_py() or ""
    if re.search(rf"\.\d{{{FRACTION_DIGITS[to.unit] + 1}}}", first):
        return None
    has_zone = re.search(HAS_ZONE, first) is not None
    try:
        return _with_zone(text, to) if to.tz and has_zone else _without_zone(text, to)
    except pa.ArrowInvalid:
        return None


def _with_zone(text: pa.Array, to: pa.DataType) -> pa.Array:
    return text.cast(to)


def _without_zone(text: pa.Array, to: pa.DataType) -> pa.Array:
    naive = text.cast(pa.timestamp(to.unit))
    return pc.assume_timezone(naive, to.tz) if to.tz else naive


def _mixed(text: pa.Array, to: pa.DataType) -> pa.Array:
    """Convert texts some of which have a zone, or more digits than the unit holds."""
    text = _truncate_fractions(text, to.unit)
    if not to.tz:
        return _without_zone(text, to)
    zoned = pc.match_substring_regex(text, HAS_ZONE)
    return pc.coalesce(
        _with_zone(_where(zoned, text), to), _without_zone(_where(pc.invert(zoned), text), to)
    )


def _truncate_fractions(text: pa.Array, unit: str) -> pa.Array:
    digits = FRACTION_DIGITS[unit]
    kept = rf"(\.\d{{{digits}}})\d+" if digits else r"()\.\d+"
    return pc.replace_substring_regex(text, kept, r"\1")


def _dates(text: pa.Array) -> pa.Array:
    to = pa.date32()
    try:
        dates = text.cast(to)
    except pa.ArrowInvalid:
        dates = _keep(text, DATE).cast(to)
    return _within(dates, pa.int32(), DAYS_MIN, DAYS_END)


def _times(text: pa.Array, to: pa.DataType) -> pa.Array:
    # Arrow casts no text to a time of day; but as a time of the first day it is a timestamp.
    shaped = _truncate_fractions(_keep(text, TIME), to.unit)
    moments = pc.binary_join_element_wise("1970-01-01T", shaped, "")
    return moments.cast(pa.timestamp(to.unit)).cast(to)


def _decimals(text: pa.Array, to: pa.DataType) -> pa.Array:
    # Only plain numbers that fit may reach Arrow: with a scale far beyond the type's, as in
    # 1e-500000000, its cast reads outside of a table and the process dies.
    plain = pc.match_substring_regex(text, f"^{_plain_decimal(to)}$")
    numbers = _where(plain, text).cast(to)
    if numbers.null_count == text.null_count:
        return numbers
    odd = pc.fill_null(pc.invert(plain), False)
    exact = [_exact(value, to) for value in text.filter(odd).to_pylist()]
    return pc.replace_with_mask(numbers, odd, pa.array(exact, pa.string()).cast(to))


def _plain_decimal(to: pa.DataType) -> str:
    digits = to.precision - to.scale
    whole = rf"(?:0|[1-9]\d{{0,{digits - 1}}})" if digits else "0"
    return rf"-?{whole}(?:\.\d{{1,{to.scale}}})?" if to.scale else f"-?{whole}"


def _exact(text: str, to: pa.DataType) -> str | None:
    """Return a number with exponent or superfluous zeros in plain form, None if digits get lost."""
    if not re.fullmatch(DECIMAL, text):
        return None
    exact = decimal.Context(prec=to.precision, traps=[decimal.Inexact, decimal.InvalidOperation])
    try:
        number = decimal.Decimal(text).quantize(decimal.Decimal(1).scaleb(-to.scale), context=exact)
    except ArithmeticError:
        return None
    return format(number, "f")


def _keep(text: pa.Array, pattern: str) -> pa.Array:
    return _where(pc.match_substring_regex(text, f"^(?:{pattern})$"), text)


def _where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _within(values: pa.Array, numbers: pa.DataType, first: int, end: int) -> pa.Array:
    """Return the values, null where their number lies outside of [first, end)."""
    edges = pc.min_max(values.view(numbers)).as_py()
    if edges["min"] is None or (first <= edges["min"] and edges["max"] < end):
        return values
    ordinals = values.view(numbers)
    return _where(pc.and_(pc.greater_equal(ordinals, first), pc.less(ordinals, end)), values)
