"""One value of a writer to one value of a column; ValueError says what is wrong with it."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from connectors.bigquery_local.schema import Field

__all__ = [
    "DATE_DAYS_MAX",
    "DATE_DAYS_MIN",
    "TIMESTAMP_US_MAX",
    "TIMESTAMP_US_MIN",
    "date",
    "datetime",
    "decimal",
    "geography",
    "json_text",
    "time",
    "timestamp",
]

DATE_DAYS_MIN, DATE_DAYS_MAX = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31, in days since 1970-01-01."""
TIMESTAMP_US_MIN = DATE_DAYS_MIN * 86_400_000_000
TIMESTAMP_US_MAX = (DATE_DAYS_MAX + 1) * 86_400_000_000 - 1
"""The first and the last instant, in microseconds since 1970-01-01 UTC."""

_EPOCH_DAYS = dt.date(1970, 1, 1).toordinal()
_EXACT = Context(prec=100)
_LIMITS = {"NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}
_BIG_MAX = 2**255
_CIVIL = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?)?"
)
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?")
_INSTANT = re.compile(_CIVIL.pattern[:-2] + r"\s*(?:[Zz]|UTC|([+-])(\d{1,2})(?::?(\d{2}))?)?)?")
_SHAPE = r"(?:MULTI)?(?:POINT|LINESTRING|POLYGON)"
_WKT = re.compile(
    rf"\s*(?:FULLGLOBE|(?:{_SHAPE}|GEOMETRYCOLLECTION)\s*"
    rf"(?:EMPTY|\([-+\d.eE,()\s]*(?:{_SHAPE}[-+\d.eE,()\s]*)*\)))\s*",
    re.IGNORECASE,
)


def decimal(value: Any, field: Field) -> Decimal:
    """Return a NUMERIC or BIGNUMERIC.

    Args:
        value: a Decimal, a number, text, or the bytes of Google's BigDecimalByteStringEncoder:
            the unscaled number, little-endian, two's complement.
        field: of the column, with its precision and scale.
    """
    digits, scale = _LIMITS[field.kind]
    if isinstance(value, bytes):
        number = Decimal(int.from_bytes(value, "little", signed=True)).scaleb(-scale, _EXACT)
    else:
        number = _decimal(repr(value) if isinstance(value, float) else value, field.kind)
    if not number.is_finite():
        raise ValueError(f"Invalid {field.kind} value: {value}")
    if field.precision is not None:
        digits, scale = field.precision, field.scale or 0
    unscaled = number.scaleb(scale, _EXACT)
    if unscaled != unscaled.to_integral_value():
        raise ValueError(f"{field.kind} value {value} has more than {scale} digits of fraction")
    if not _in_range(int(unscaled), digits, field):
        raise ValueError(f"{field.kind} value {value} is out of range")
    return unscaled.to_integral_value().scaleb(-scale, _EXACT)


def _decimal(value: Any, kind: str) -> Decimal:
    try:
        return Decimal(value.strip() if isinstance(value, str) else value)
    except (InvalidOperation, TypeError):
        raise ValueError(f"Invalid {kind} value: {value}") from None


def _in_range(unscaled: int, digits: int, field: Field) -> bool:
    if field.kind == "BIGNUMERIC" and field.precision is None:
        # The range is that of 256 bits, somewhat more than 76 digits.
        return -_BIG_MAX <= unscaled < _BIG_MAX
    return abs(unscaled) < 10**digits


def date(value: int | str) -> dt.date:
    """Return a DATE from days since 1970-01-01 or ``YYYY-MM-DD``."""
    if isinstance(value, int):
        if not DATE_DAYS_MIN <= value <= DATE_DAYS_MAX:
            raise ValueError(f"Date value {value} is out of range")
        return dt.date.fromordinal(value + _EPOCH_DAYS)
    found = _CIVIL.fullmatch(value.strip())
    if not found or found[4] is not None:
        raise ValueError(f"Invalid date: '{value}'")
    return _civil(found, value, "date").date()


def datetime(value: int | str) -> dt.datetime:
    """Return a DATETIME from its text or from Google's CivilTimeEncoder's 64 bits."""
    if isinstance(value, int):
        return _packed_datetime(value)
    found = _CIVIL.fullmatch(value.strip())
    if not found:
        raise ValueError(f"Invalid datetime: '{value}'")
    return _civil(found, value, "datetime")


def time(value: int | str) -> dt.time:
    """Return a TIME from its text or from Google's CivilTimeEncoder's 64 bits."""
    if isinstance(value, int):
        try:
            return _packed_time(value)
        except ValueError:
            raise ValueError(f"Invalid time: {value}") from None
    found = _TIME.fullmatch(value.strip())
    try:
        hour, minute, second, fraction = found.groups()  # type: ignore[union-attr]
        return dt.time(int(hour), int(minute), int(second), _micros(fraction))
    except (AttributeError, ValueError):
        raise ValueError(f"Invalid time: '{value}'") from None


def timestamp(value: str) -> dt.datetime:
    """Return a TIMESTAMP from its text; without a zone it is UTC."""
    found = _INSTANT.fullmatch(value.strip())
    if not found:
        raise ValueError(f"Invalid timestamp: '{value}'")
    sign, hours, minutes = found.groups()[7:]
    shift = dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    shift = -shift if sign == "-" else shift
    try:
        return (_civil(found, value, "timestamp") - shift).replace(tzinfo=dt.timezone.utc)
    except OverflowError:
        raise ValueError(f"Invalid timestamp: '{value}'") from None


def json_text(value: str) -> str:
    """Return the text if it is JSON."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"Invalid JSON value: {error}") from None
    return value


def geography(value: str) -> str:
    """Return the text if it looks like a geometry in WKT or GeoJSON."""
    if value.lstrip().startswith("{"):
        found = json.loads(json_text(value))
        if not isinstance(found.get("type"), str):
            raise ValueError(f"Invalid GeoJSON: {value[:80]}")
    elif not _WKT.fullmatch(value) or value.count("(") != value.count(")"):
        raise ValueError(f"Invalid geography: {value[:80]}")
    return value


def _civil(found: re.Match[str], value: str, kind: str) -> dt.datetime:
    year, month, day, hour, minute, second, fraction = found.groups()[:7]
    try:
        return dt.datetime(
            int(year), int(month), int(day),
            int(hour or 0), int(minute or 0), int(second or 0), _micros(fraction),
        )  # fmt: skip
    except ValueError:
        raise ValueError(f"Invalid {kind}: '{value}'") from None


def _micros(fraction: str | None) -> int:
    return int((fraction or "").ljust(6, "0"))


def _packed_time(bits: int) -> dt.time:
    seconds = bits >> 20
    if seconds >> 17:
        raise ValueError(bits)
    return dt.time(seconds >> 12, (seconds >> 6) & 63, seconds & 63, bits & 0xFFFFF)


def _packed_datetime(bits: int) -> dt.datetime:
    day = bits >> 37
    try:
        at = _packed_time(bits & ((1 << 37) - 1))
        return dt.datetime.combine(dt.date(day >> 9, (day >> 5) & 15, day & 31), at)
    except ValueError:
        raise ValueError(f"Invalid datetime: {bits}") from None
