"""Event times from every type of column, from text, and what is not usable."""

import re
from typing import Any

import pyarrow as pa
import pytest

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.event_time import MICROS_MAX, MICROS_MIN, event_times, reject
from transforms.field import attribute, column, message
from transforms.message import MESSAGE_SCHEMA


def rows(values: pa.Array) -> Batch:
    """Return a batch with the column ``at``."""
    return Batch(pa.record_batch({"at": values}))


def read(values: pa.Array) -> list[int | None]:
    """Return the event times of a column, None where they are not usable."""
    times, usable = event_times(column("at"), rows(values))
    if usable is None:
        return times.tolist()
    return [at if good else None for at, good in zip(times.tolist(), usable, strict=True)]


@pytest.mark.parametrize(
    ("kind", "ticks", "micros"),
    [
        (pa.timestamp("s"), [-1, 2], [-1_000_000, 2_000_000]),
        (pa.timestamp("ms"), [-1, 2], [-1_000, 2_000]),
        (pa.timestamp("us"), [-1, 2], [-1, 2]),
        (pa.timestamp("us", tz="America/New_York"), [-1, 2], [-1, 2]),
        (pa.timestamp("ns"), [-1, -1000, 1999], [-1, -1, 1]),
        (pa.date32(), [-1, 2], [-86_400_000_000, 172_800_000_000]),
        (pa.date64(), [-86_400_000, 0], [-86_400_000_000, 0]),
    ],
    ids=str,
)
def test_units(kind: pa.DataType, ticks: list[int], micros: list[int]) -> None:
    """Every unit becomes microseconds since 1970 UTC; finer ones are rounded down."""
    storage = pa.int32() if kind == pa.date32() else pa.int64()
    assert read(pa.array(ticks, storage).cast(kind)) == micros
    with_null = pa.array([*ticks, None], storage).cast(kind)
    assert read(with_null) == [*micros, None]
    assert read(with_null[1:]) == [*micros[1:], None]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_years_1_to_9999(unit: str) -> None:
    """The first and the last moment are usable; those next to them and the extremes are not."""
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    low, high = MICROS_MIN // scale, MICROS_MAX // scale
    ticks = [-(2**63), low - 1, low, high, high + 1, 2**63 - 1]
    found = read(pa.array(ticks, pa.int64()).cast(pa.timestamp(unit)))
    assert found == [None, None, low * scale, high * scale, None, None]


def test_every_nanosecond_is_in_range() -> None:
    """64 bits of nanoseconds end in 1677 and 2262."""
    assert read(pa.array([-(2**63), 2**63 - 1]).cast(pa.timestamp("ns"))) == [
        -9_223_372_036_854_776,
        9_223_372_036_854_775,
    ]


TEXTS = [
    ("2024-01-01T00:00:00Z", 1_704_067_200_000_000),
    ("2024-01-01t00:00:00.5z", 1_704_067_200_500_000),
    ("2024-01-01 00:00:00+02:00", 1_704_060_000_000_000),
    ("2024-01-01T00:00:00.123456789Z", 1_704_067_200_123_456),
    ("1969-12-31T23:59:59.9999999Z", -1),
    ("0001-01-01T00:00:00Z", MICROS_MIN),
    ("9999-12-31T23:59:59.999999Z", MICROS_MAX),
    ("9999-12-31T23:59:59-01:00", None),
    ("1704067200123", 1_704_067_200_123_000),
    ("0", 0),
    ("-1", -1_000),
    ("2024", 2_024_000),
    ("999999999999999", None),
    ("9999999999999999999999", None),
    ("2023-02-29T00:00:00Z", None),
    ("2024-13-01T00:00:00Z", None),
    ("2024-01-01T00:00:00", None),
    ("2024-01-01T24:00:00Z", None),
    ("2024-01-01", None),
    ("1704067200.5", None),
    ("", None),
    (" 0", None),
    ("now", None),
    ("2024-01-01T00:00:00Z\n", None),
    ("\uff11\uff12", None),
    (None, None),
]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_text(kind: pa.DataType) -> None:
    """RFC 3339 and epoch milliseconds are read side by side; the unreadable stays alone."""
    texts, expected = zip(*TEXTS, strict=True)
    assert read(pa.array(texts, kind)) == list(expected)


@pytest.mark.parametrize(("text", "micros"), TEXTS, ids=repr)
def test_text_alone(text: str | None, micros: int | None) -> None:
    """A text is read alike when it is the only one of its batch."""
    assert read(pa.array([text], pa.string())) == [micros]


def test_attribute_and_publish_time() -> None:
    """Messages have times in attributes and their own publish time; a missing one is unusable."""
    batch = Batch.from_pylist(
        [
            {"data": b"", "attributes": [("at", "5")], "message_id": "1"},
            {"data": b"", "attributes": [], "message_id": "2"},
        ],
        MESSAGE_SCHEMA,
    )
    times, usable = event_times(attribute("at"), batch)
    assert times[0] == 5_000
    assert usable is not None
    assert usable.tolist() == [True, False]
    _, published = event_times(message("publish_time"), batch)
    assert published is not None
    assert not published.any()


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.float64(), pa.bool_(), pa.time64("us"), pa.binary()], ids=str
)
def test_types_without_a_time_are_refused(kind: pa.DataType) -> None:
    """Numbers have no unit: the configuration is wrong, not the row."""
    with pytest.raises(ConfigError, match=re.escape(f"must hold times, not {kind}")):
        event_times(column("at"), rows(pa.nulls(1, kind)))


def test_missing_column_is_refused() -> None:
    """The error names the columns that there are."""
    with pytest.raises(ConfigError, match=r"'at'"):
        event_times(column("when"), rows(pa.nulls(1, pa.date32())))


@pytest.mark.parametrize(
    "values", [pa.array(["x" * 999]), pa.array([2**63 - 1]).cast("timestamp[us]")]
)
def test_reject_shows_a_bounded_value(values: Any) -> None:
    """The dead letter names field, value and rule, and keeps the row, however strange."""
    (dead,) = reject(column("at"), rows(values), "Clock").to_pylist()
    assert dead["error_kind"] == "bad_event_time"
    assert dead["error"].startswith("column:at is ")
    assert len(dead["error"]) < 200
    assert dead["data"].startswith(b'{"at":"')


def test_no_rows() -> None:
    """An empty batch has no times, and all of them are usable."""
    assert read(pa.nulls(0, pa.timestamp("us"))) == []
