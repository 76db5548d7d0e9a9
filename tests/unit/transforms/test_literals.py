"""Texts to times and decimals: which forms are taken, and that neighbours have no say in it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from transforms.literals import converter, form

TIMESTAMP = pa.timestamp("us", tz="UTC")
DATETIME = pa.timestamp("us")
NUMERIC = pa.decimal128(38, 9)
BIGNUMERIC = pa.decimal256(76, 38)


def convert(texts: list[str | None], to: pa.DataType) -> list[Any]:
    """Convert texts to Python values."""
    found = converter(to)
    assert found is not None
    made = found(pa.array(texts, pa.string()))
    assert (made.type, len(made)) == (to, len(texts))
    made.validate(full=True)
    return made.to_pylist()


def utc(*parts: int) -> dt.datetime:
    """Return a moment in UTC."""
    return dt.datetime(*parts, tzinfo=dt.timezone.utc)  # type: ignore[misc, arg-type]


TIMESTAMPS = [
    ("2024-01-31T10:00:00Z", utc(2024, 1, 31, 10)),
    ("2024-01-31 10:00:00Z", utc(2024, 1, 31, 10)),
    ("2024-01-31T10:00:00.5Z", utc(2024, 1, 31, 10, 0, 0, 500_000)),
    ("2024-01-31T10:00:00.123456Z", utc(2024, 1, 31, 10, 0, 0, 123_456)),
    ("2024-01-31T10:00:00.123456999Z", utc(2024, 1, 31, 10, 0, 0, 123_456)),
    ("1969-12-31T23:59:59.999999999Z", utc(1969, 12, 31, 23, 59, 59, 999_999)),
    ("2024-01-31T10:00:00+01:00", utc(2024, 1, 31, 9)),
    ("2024-01-31T10:00:00.1234567-0130", utc(2024, 1, 31, 11, 30, 0, 123_456)),
    ("2024-01-31T10:00:00-08", utc(2024, 1, 31, 18)),
    ("2024-01-31T10:00:00", utc(2024, 1, 31, 10)),
    ("2024-01-31 10:00:00.123456789", utc(2024, 1, 31, 10, 0, 0, 123_456)),
    ("2024-01-31T10:00", utc(2024, 1, 31, 10)),
    ("2024-01-31T10Z", utc(2024, 1, 31, 10)),
    ("2024-01-31", utc(2024, 1, 31)),
    ("2024-02-29", utc(2024, 2, 29)),
    ("0001-01-01T00:00:00Z", utc(1, 1, 1)),
    ("9999-12-31T23:59:59.999999999Z", utc(9999, 12, 31, 23, 59, 59, 999_999)),
    ("", None),
    ("yesterday", None),
    ("2024-01-31Z", None),
    ("2024-1-31T10:00:00Z", None),
    ("2024-01-31t10:00:00Z", None),
    ("2024-01-31T10:00:00z", None),
    ("2024-01-31T10:00:00 Z", None),
    (" 2024-01-31T10:00:00Z", None),
    ("2024-01-31T10:00:00Z\n", None),
    ("2024-01-31T10:00:00.Z", None),
    ("2024-01-31T10:00:00,5Z", None),
    ("2024-01-31T10:00:00.1234567890Z", None),
    ("2024-01-31T10:00:00 UTC", None),
    ("2024-01-31T10:00:00+24:00", None),
    ("2024-01-31T24:00:00Z", None),
    ("2024-01-31T23:60:00Z", None),
    ("2016-12-31T23:59:60Z", None),
    ("2023-02-29T10:00:00Z", None),
    ("2024-04-31", None),
    ("2024-02-30", None),
    ("2000-02-29", utc(2000, 2, 29)),
    ("1900-02-29", None),
    ("2300-01-01T00:00:00.1234567Z", utc(2300, 1, 1, 0, 0, 0, 123_456)),
    ("2024-00-01", None),
    ("2024-13-01", None),
    ("20240131T100000Z", None),
    ("1706695200", None),
    ("12024-01-31T10:00:00Z", None),
    ("-2024-01-31T10:00:00Z", None),
    ("0000-12-31T23:59:59Z", None),
    ("9999-12-31T23:59:59-01:00", None),
    ("0001-01-01T00:00:00+01:00", None),
    ("\u0662\u0660\u0662\u0664-01-31", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "moment"), TIMESTAMPS)
def test_timestamp(text: str | None, moment: dt.datetime | None) -> None:
    """A text is taken, or not, whoever its neighbours are; without zone it is in UTC."""
    assert convert([text], TIMESTAMP) == [moment]
    for neighbour in ("2024-01-01T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00.1234567Z", "x"):
        assert convert([neighbour, text, neighbour], TIMESTAMP)[1] == moment


def test_all_timestamps_in_one_column() -> None:
    """Every form beside every other gives what it gives alone."""
    texts, moments = zip(*TIMESTAMPS, strict=True)
    assert convert(list(texts) * 3, TIMESTAMP) == list(moments) * 3


def test_every_day_of_four_centuries() -> None:
    """The pattern of dates knows exactly the days that exist."""
    years, months, days = (1896, 1897, 1900, 2000, 2100, 2400), range(1, 13), range(1, 32)
    texts = [f"{year}-{month:02}-{day:02}" for year in years for month in months for day in days]
    exists = [text if is_day(text) else None for text in texts]
    made = convert(["x", *texts], pa.date32())[1:]
    assert [None if date is None else str(date) for date in made] == exists


def is_day(text: str) -> bool:
    """Tell whether there is such a day."""
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", ["2024-01-31T10:00:00Z", "2024-01-31T10:00:00+01:00"])
def test_datetime_has_no_zone(text: str) -> None:
    """A zone can't be kept in a column without zone, so it is refused rather than dropped."""
    assert convert([text, "2024-01-31 10:00:00.123456789"], DATETIME) == [
        None,
        dt.datetime(2024, 1, 31, 10, 0, 0, 123_456),
    ]


@pytest.mark.parametrize(("unit", "micros"), [("s", 0), ("ms", 123_000), ("us", 123_456)])
def test_fraction_is_cut_to_the_unit(unit: str, micros: int) -> None:
    """Digits beyond the unit of the column are cut off, not rounded."""
    texts: list[str | None] = ["2024-01-31T10:00:00.123456789Z"]
    assert convert(texts, pa.timestamp(unit, tz="UTC")) == [utc(2024, 1, 31, 10, 0, 0, micros)]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-02-29", dt.date(2024, 2, 29)),
        ("0001-01-01", dt.date(1, 1, 1)),
        ("9999-12-31", dt.date(9999, 12, 31)),
        ("2023-02-29", None),
        ("2024-2-29", None),
        ("2024-02-29T00:00:00", None),
        ("0000-12-31", None),
        ("x", None),
        ("", None),
    ],
)
def test_date(text: str, date: dt.date | None) -> None:
    """A date is year, month and day."""
    assert convert([text], pa.date32()) == [date]
    assert convert(["x", text, None, "2024-01-01"], pa.date32())[1] == date


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("00:00:00", dt.time()),
        ("23:59:59.999999999", dt.time(23, 59, 59, 999_999)),
        ("10:00:00.5", dt.time(10, 0, 0, 500_000)),
        ("10:00", None),
        ("24:00:00", None),
        ("10:00:60", None),
        ("10:00:00Z", None),
        ("", None),
    ],
)
def test_time(text: str, time: dt.time | None) -> None:
    """A time of day has hours, minutes and seconds, and no zone."""
    assert convert([text, "x", None, "01:02:03"], pa.time64("us"))[0] == time


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("-1.5", "-1.5"),
        ("007", "7"),
        ("+1", "1"),
        ("1e3", "1000"),
        ("1.50E-2", "0.015"),
        ("0.3000000000000000000000000", "0.3"),
        ("0e999999999", "0"),
        ("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"),
        ("100000000000000000000000000000", None),
        ("0.0000000001", None),
        ("1e29", None),
        ("1e999", None),
        ("1e-999", None),
        ("1e-500000000", None),
        ("1e500000000", None),
        ("1e-99999999999999999999", None),
        ("0." + "0" * 5_000 + "1", None),
        ("9" * 5_000, None),
        ("NaN", None),
        ("Infinity", None),
        ("1_000", None),
        (" 1", None),
        ("", None),
        (".5", None),
        ("\u0661", None),
    ],
)
def test_decimal(text: str, number: str | None) -> None:
    """A number is taken if no digit gets lost; an absurd exponent doesn't kill the process."""
    expected = None if number is None else Decimal(number)
    assert convert([text], NUMERIC) == [expected]
    assert convert(["1.5", text, None, "1e1"], NUMERIC)[1] == expected


def test_decimals_at_their_edges() -> None:
    """Types without digits before or after the point, and the widest one, take what fits."""
    assert convert(["0.99", "1", "0"], pa.decimal128(2, 2)) == [Decimal("0.99"), None, Decimal(0)]
    assert convert(["12", "1.0", "1.5", "123"], pa.decimal128(2, 0)) == [12, 1, None, None]
    widest = "9" * 38 + "." + "9" * 38
    assert convert([widest, "1e-38", "1e-39"], BIGNUMERIC) == [
        Decimal(widest),
        Decimal("1e-38"),
        None,
    ]


@pytest.mark.parametrize("to", [TIMESTAMP, DATETIME, pa.date32(), pa.time64("us"), NUMERIC])
def test_empty_and_null_columns(to: pa.DataType) -> None:
    """No rows and no values are no failure, and a sliced column keeps its offset."""
    assert convert([], to) == []
    assert convert([None, None], to) == [None, None]
    found = converter(to)
    assert found is not None
    texts = pa.array(["x", "x", "1", None, "x"]).slice(2, 2)
    assert len(found(texts)) == 2
    assert form(to)


@pytest.mark.parametrize(
    "to",
    [
        pa.int64(),
        pa.timestamp("ns"),
        pa.time64("ns"),
        pa.timestamp("us", tz="Europe/Paris"),
        pa.decimal128(5, -2),
        pa.date64(),
    ],
)
def test_other_types_have_no_form_in_text(to: pa.DataType) -> None:
    """The caller learns that there is no converter."""
    assert converter(to) is None
