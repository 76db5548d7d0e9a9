"""Single values: what each type takes, at its edges, and what it refuses."""

import datetime as dt
from decimal import Decimal

import pytest

from connectors.bigquery_local import parsing
from connectors.bigquery_local.schema import Field

NUMERIC = Field("n", "NUMERIC")
BIGNUMERIC = Field("n", "BIGNUMERIC")
UTC = dt.timezone.utc


@pytest.mark.parametrize("text", ["99999999999999999999999999999.999999999", "-0.000000001", "0"])
def test_numeric_edges(text: str) -> None:
    """29 digits before the point, 9 behind."""
    assert parsing.decimal(text, NUMERIC) == Decimal(text)


@pytest.mark.parametrize("text", ["100000000000000000000000000000", "0.0000000001", "NaN", "x", ""])
def test_numeric_beyond(text: str) -> None:
    """Nothing is rounded and nothing is cut."""
    with pytest.raises(ValueError, match="NUMERIC"):
        parsing.decimal(text, NUMERIC)


def test_bignumeric_edges() -> None:
    """The range is that of 256 bits at 38 digits of fraction."""
    most = Decimal(2**255 - 1).scaleb(-38, parsing._EXACT)
    assert parsing.decimal(str(most), BIGNUMERIC) == most
    with pytest.raises(ValueError, match="out of range"):
        parsing.decimal(Decimal(2**255).scaleb(-38, parsing._EXACT), BIGNUMERIC)


def test_decimal_bytes() -> None:
    """Little-endian two's complement of the unscaled number."""
    assert parsing.decimal((-1_500_000_000).to_bytes(5, "little", signed=True), NUMERIC) == (
        Decimal("-1.5")
    )
    assert parsing.decimal((10**38).to_bytes(17, "little", signed=True), BIGNUMERIC) == 1


def test_precision_and_scale() -> None:
    """A parameterised column refuses what its type would take."""
    small = Field("n", "NUMERIC", precision=4, scale=1)
    assert parsing.decimal("999.9", small) == Decimal("999.9")
    for text in ("1000", "1.25"):
        with pytest.raises(ValueError, match="NUMERIC"):
            parsing.decimal(text, small)


@pytest.mark.parametrize(("value", "expected"), [
    (0, dt.date(1970, 1, 1)), (parsing.DATE_DAYS_MIN, dt.date(1, 1, 1)),
    (parsing.DATE_DAYS_MAX, dt.date(9999, 12, 31)), ("2024-2-29", dt.date(2024, 2, 29)),
])  # fmt: skip
def test_dates(value: int | str, expected: dt.date) -> None:
    """Days since 1970, or text."""
    assert parsing.date(value) == expected


@pytest.mark.parametrize("value", [
    parsing.DATE_DAYS_MIN - 1, parsing.DATE_DAYS_MAX + 1, "2023-02-29", "2024-01-01 00:00:00", "x",
])  # fmt: skip
def test_bad_dates(value: int | str) -> None:
    """Neither days that do not exist, nor times."""
    with pytest.raises(ValueError, match=r"[Dd]ate"):
        parsing.date(value)


@pytest.mark.parametrize(("text", "expected"), [
    ("2024-01-01", dt.datetime(2024, 1, 1, tzinfo=UTC)),
    ("2024-01-01T10:00:00.5Z", dt.datetime(2024, 1, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
    ("2024-01-01 10:00:00 UTC", dt.datetime(2024, 1, 1, 10, tzinfo=UTC)),
    ("2024-01-01 10:00:00+02:30", dt.datetime(2024, 1, 1, 7, 30, tzinfo=UTC)),
    ("2024-01-01T10:00:00-08", dt.datetime(2024, 1, 1, 18, tzinfo=UTC)),
])  # fmt: skip
def test_timestamps(text: str, expected: dt.datetime) -> None:
    """Zones are offsets; without one it is UTC. The day's own hyphen is no offset."""
    assert parsing.timestamp(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "2024-13-01", "2024-01-01 25:00:00", "0001-01-01 00:00:00+05"]
)
def test_bad_timestamps(text: str) -> None:
    """Also not those that leave the calendar by their zone."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parsing.timestamp(text)


def test_packed_civil_times() -> None:
    """The 64 bits of Google's CivilTimeEncoder."""
    time = ((10 << 12 | 11 << 6 | 12) << 20) | 345_678
    day = 2024 << 9 | 2 << 5 | 29
    assert parsing.time(time) == dt.time(10, 11, 12, 345_678)
    assert parsing.datetime(day << 37 | time) == dt.datetime(2024, 2, 29, 10, 11, 12, 345_678)
    for bits in (-1, 1 << 40, (25 << 12) << 20):
        with pytest.raises(ValueError, match="Invalid time"):
            parsing.time(bits)
    with pytest.raises(ValueError, match="Invalid datetime"):
        parsing.datetime((2024 << 9 | 13 << 5 | 1) << 37)


@pytest.mark.parametrize("text", ["10:11:12", "1:2:3.5"])
def test_times(text: str) -> None:
    """Seconds are needed, a fraction is not."""
    assert isinstance(parsing.time(text), dt.time)


@pytest.mark.parametrize("text", ["10:11", "24:00:00", "x"])
def test_bad_times(text: str) -> None:
    """The sentence repeats the value."""
    with pytest.raises(ValueError, match=f"Invalid time: '{text}'"):
        parsing.time(text)


@pytest.mark.parametrize("text", ['{"a": [1, null]}', "1", '"x"', "null"])
def test_json(text: str) -> None:
    """Any JSON value, as it is."""
    assert parsing.json_text(text) == text


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": 1} x'])
def test_bad_json(text: str) -> None:
    """What a strict parser refuses."""
    with pytest.raises(ValueError, match="Invalid JSON value"):
        parsing.json_text(text)


@pytest.mark.parametrize("text", [
    "POINT(1 2)", "point (1.5 -2e1)", "LINESTRING(0 0, 1 1)", "POLYGON((0 0, 1 0, 1 1, 0 0))",
    "MULTIPOINT((1 2), (3 4))", "GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1))",
    "POINT EMPTY", '{"type": "Point", "coordinates": [1, 2]}',
])  # fmt: skip
def test_geographies(text: str) -> None:
    """WKT and GeoJSON."""
    assert parsing.geography(text) == text


@pytest.mark.parametrize(
    "text", ["", "POINT", "POINT(1 2", "CIRCLE(1 2)", "POINT(a b)", '{"a": 1}']
)
def test_bad_geographies(text: str) -> None:
    """What is no geometry by its form."""
    with pytest.raises(ValueError, match=r"geography|GeoJSON"):
        parsing.geography(text)
