"""Rows as dictionaries: what Arrow would give, faster."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.udfs import messages, numbers
from transforms.udf.dictionaries import dictionaries, message_dictionaries, values_of

UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("values", "to"),
    [
        ([1, None, -(2**63)], pa.int64()),
        ([dt.datetime(1, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        ([dt.datetime(9999, 12, 31, 23, 59, 59, 999999)], pa.timestamp("us")),
        ([dt.datetime(1969, 12, 31, 23, 59, 59, 1)], pa.timestamp("us")),
        ([dt.datetime(2026, 1, 1)], pa.timestamp("ms")),
        ([dt.date(2026, 1, 1), None], pa.date32()),
        ([decimal.Decimal("1.50")], pa.decimal128(9, 2)),
        ([{"a": [1, None]}, None], pa.struct({"a": pa.list_(pa.int64())})),
        ([b"x", None], pa.binary()),
        ([], pa.timestamp("us", "UTC")),
    ],
)
def test_values_are_those_of_arrow(values: list[Any], to: pa.DataType) -> None:
    """For each type, nulls included, and for slices."""
    array = pa.array(values, to)
    assert values_of(array) == values
    assert values_of(array.slice(1)) == values[1:]


def test_times_know_their_zone() -> None:
    """UTC where the column has it, none where it has none."""
    at = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
    (aware,) = values_of(pa.array([at], pa.timestamp("us", "UTC")))
    assert aware.tzinfo is UTC
    (naive,) = values_of(pa.array([at], pa.timestamp("us")))
    assert naive.tzinfo is None


def test_times_that_python_has_not_are_text() -> None:
    """Arrow has years beyond 9999."""
    column = pa.array([253402300800000000, 0], pa.int64()).cast(pa.timestamp("us"))
    assert values_of(column) == ["10000-01-01 00:00:00.000000", "1970-01-01 00:00:00.000000"]


def test_maps_are_dictionaries() -> None:
    """Also of slices, and null ones; each row has its own."""
    to = pa.map_(pa.string(), pa.string())
    column = pa.array([[("a", "b")], None, [], [("c", "d"), ("e", "f")]], to)
    values = [{"a": "b"}, None, {}, {"c": "d", "e": "f"}]
    assert values_of(column) == values
    assert values_of(column.slice(1, 2)) == values[1:3]
    assert values_of(column.slice(3)) == values[3:]
    assert values_of(column.slice(4)) == []


def test_names_may_be_anything() -> None:
    """They become part of code, quoted."""
    names = ["a", "class", 'it\'s "quoted"\\', "ä b"]
    columns = [pa.array([index, index + 1]) for index in range(4)]
    assert dictionaries(columns, names) == [
        dict(zip(names, row, strict=True)) for row in ([0, 1, 2, 3], [1, 2, 3, 4])
    ]
    assert dictionaries([pa.array([1])], ["x"]) == [{"x": 1}]


def test_message_is_found_in_typed_rows_too() -> None:
    """As they came, sliced or not."""
    for batch in (messages(b"5", b"6"), numbers(5, 6)):
        assert message_dictionaries(batch.slice(1)) == [
            {
                "data": b"6", "attributes": {"at": "1"}, "message_id": "1", "publish_time": None,
                "ordering_key": None, "delivery_attempt": None,
            }
        ]  # fmt: skip
