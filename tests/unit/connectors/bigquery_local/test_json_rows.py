"""JSON objects to rows: what is taken, and which field of which row is wrong."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest

from connectors.bigquery_local.json_rows import json_rows, json_value
from connectors.bigquery_local.schema import Field

UTC = dt.timezone.utc


@pytest.mark.parametrize(("kind", "value", "expected"), [
    ("STRING", "x", "x"), ("STRING", 5, "5"), ("STRING", True, "true"),
    ("BYTES", "YWI=", b"ab"), ("INT64", "12", 12), ("INT64", 9.0, 9),
    ("INT64", -(2**63), -(2**63)), ("FLOAT64", "1.5", 1.5), ("FLOAT64", 2, 2.0),
    ("BOOL", "True", True), ("BOOL", False, False), ("NUMERIC", 1.1, Decimal("1.1")),
    ("BIGNUMERIC", "1.50", "1.5"), ("DATE", "2024-01-01", dt.date(2024, 1, 1)),
    ("TIMESTAMP", 1.5, dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
    ("TIMESTAMP", "1", dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("TIMESTAMP", "2024-01-01", dt.datetime(2024, 1, 1, tzinfo=UTC)),
    ("JSON", '{"a":1}', '{"a":1}'), ("JSON", {"a": 1}, '{"a": 1}'),
])  # fmt: skip
def test_values(kind: str, value: Any, expected: Any) -> None:
    """The forms in which the REST API takes each type; a number in TIMESTAMP is seconds."""
    assert json_value(value, Field("c", kind)) == expected


@pytest.mark.parametrize(("kind", "value"), [
    ("STRING", {"a": 1}), ("BYTES", "a"), ("INT64", 9.5), ("INT64", "x"), ("INT64", 2**63),
    ("INT64", True), ("FLOAT64", "x"), ("BOOL", "yes"), ("BOOL", 2), ("NUMERIC", "1e40"),
    ("TIMESTAMP", "x"), ("TIMESTAMP", 1e20), ("DATE", 5), ("JSON", "{"), ("INT64", [1]),
])  # fmt: skip
def test_bad_values(kind: str, value: Any) -> None:
    """Nothing is cut, rounded or guessed."""
    with pytest.raises(ValueError, match="c"):
        json_value(value, Field("c", kind))


SCHEMA = (
    Field("id", "INT64", "REQUIRED"),
    Field("r", "STRUCT", "REPEATED", (Field("x", "INT64"),)),
)


def test_rows() -> None:
    """Names without case; an array that is missing is empty."""
    rows, wrong = json_rows([{"ID": 1}, {"id": 2, "r": [{"X": 5}]}], SCHEMA)
    assert rows.to_pylist() == [{"id": 1, "r": []}, {"id": 2, "r": [{"x": 5}]}]
    assert not wrong


@pytest.mark.parametrize(("row", "location", "text"), [
    ({"id": 1, "zz": 1}, "zz", "no such field: zz"),
    ({"id": 1, "r": [{"zz": 1}]}, "r.zz", r"no such field: r\.zz"),
    ({}, "id", "Missing required field"),
    ({"id": None}, "id", "Missing required field"),
    ({"id": [1]}, "id", "Array specified for non-repeated"),
    ({"id": 1, "r": {"x": 1}}, "r", "must be an array"),
    ({"id": 1, "r": [None]}, "r", "NULL"),
    ({"id": 1, "r": [5]}, "r", "must be an object"),
    ({"id": 1, "r": [{"x": "q"}]}, "r.x", "Cannot convert"),
])  # fmt: skip
def test_wrong_rows(row: dict[str, Any], location: str, text: str) -> None:
    """The path of the field and the reason; the other rows are good."""
    rows, wrong = json_rows([{"id": 7}, row], SCHEMA)
    assert rows.num_rows == 1
    assert list(wrong) == [1]
    assert wrong[1].location == location
    assert re.search(text, wrong[1].text)


def test_unknown_fields_ignored_on_request() -> None:
    """At any depth."""
    rows, wrong = json_rows([{"id": 1, "z": 1, "r": [{"z": 1}]}], SCHEMA, ignore_unknown=True)
    assert not wrong
    assert rows.to_pylist() == [{"id": 1, "r": [{"x": None}]}]
