"""Columns to JSON, against Python's own encoder."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.storage.json_columns import json_rows, json_values
from transforms.errors import PermanentError

UTC = dt.timezone.utc
TIME = dt.datetime(2026, 1, 31, 9, 30, 0, 5)


def values(column: pa.Array) -> list[object]:
    return [json.loads(text) for text in json_values(column).to_pylist()]


@given(st.lists(st.none() | st.text()))
def test_any_text_comes_back(texts: list[str | None]) -> None:
    """Quotes, backslashes, control characters, other planes: what JSON must escape is escaped."""
    assert values(pa.array(texts, pa.string())) == texts


@given(st.lists(st.none() | st.floats(allow_nan=False)))
def test_any_number_comes_back(numbers: list[float | None]) -> None:
    """To the last bit; what JSON has no number for is text."""
    infinite = {math.inf: "Infinity", -math.inf: "-Infinity"}
    expected = [number if number is None else infinite.get(number, number) for number in numbers]
    assert values(pa.array(numbers, pa.float64())) == expected


def test_not_a_number_is_text() -> None:
    """As BigQuery reads it."""
    assert values(pa.array([math.nan, 1.5])) == ["NaN", 1.5]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True, None, False]), [True, None, False]),
        (pa.array([2**63 - 1, -(2**63)]), [2**63 - 1, -(2**63)]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array([decimal.Decimal("1.10"), None]), ["1.10", None]),
        (pa.array([TIME], pa.timestamp("us", "UTC")), ["2026-01-31T09:30:00.000005Z"]),
        (pa.array([TIME], pa.timestamp("us", "America/New_York")), ["2026-01-31T09:30:00.000005Z"]),
        (pa.array([TIME, None], pa.timestamp("us")), ["2026-01-31T09:30:00.000005", None]),
        (pa.array([TIME.date()]), ["2026-01-31"]),
        (pa.array([TIME.time()]), ["09:30:00.000005"]),
        (pa.array([dt.timedelta(seconds=1)], pa.duration("us")), [1_000_000]),
        (pa.nulls(2), [None, None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array(["a\n"], pa.large_string()), ["a\n"]),
        (pa.array([b"\x00\xff", None, b""]), ["AP8=", None, ""]),
        (pa.array([b"abc"], pa.binary(3)), ["YWJj"]),
        (pa.array([[1, None], [], None, [3]]), [[1, None], [], None, [3]]),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), [[1, 2]]),
        (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        (pa.array([[1, None], [], None, [3]], pa.large_list_view(pa.int64())),
         [[1, None], [], None, [3]]),
        (pa.array([{"a": 1, "b": None}, None]), [{"a": 1, "b": None}, None]),
        (pa.array([[("k", "v"), ('"', "")], [], None], pa.map_(pa.string(), pa.string())),
         [{"k": "v", '"': ""}, {}, None]),
        (pa.array([[(1, [2])]], pa.map_(pa.int32(), pa.list_(pa.int8()))), [{"1": [2]}]),
        (pa.array([[{"a": [{"b": "x"}]}]]), [[{"a": [{"b": "x"}]}]]),
    ],
)  # fmt: skip
def test_each_type_has_its_form(column: pa.Array, expected: list[object]) -> None:
    """The table of the module, and the same for slices, whose children are those of the whole."""
    assert values(column) == expected
    for start in range(len(column) + 1):
        assert values(column.slice(start)) == expected[start:]
        assert values(column.slice(0, start)) == expected[:start]


def test_a_type_without_form_is_named() -> None:
    """The error says what to do."""
    with pytest.raises(PermanentError, match=r"column of type month_day_nano_interval.*cast it"):
        json_values(pa.nulls(1, pa.month_day_nano_interval()))


def test_rows_have_all_columns_in_order() -> None:
    """Names are escaped too; binary data is base64."""
    data = bytes(range(256))
    rows = pa.record_batch({'a"b': [1, None], "data": [data, b""]})
    first, second = json_rows(rows).to_pylist()
    assert json.loads(first) == {'a"b': 1, "data": base64.b64encode(data).decode()}
    assert second == '{"a\\"b":null,"data":""}'


def test_rows_without_columns_are_empty_objects() -> None:
    """As many as there are rows."""
    rows = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    assert json_rows(rows).to_pylist() == ["{}", "{}"]
