"""Results in the JSON form of the REST API."""

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.results import page, result_fields
from connectors.bigquery_local.schema import Field, Schema, arrow_schema


def fields(sql: str) -> Schema:
    """Return the columns of a statement of DuckDB."""
    with duckdb.connect() as connection:
        found = connection.sql(sql)
        return result_fields(found.columns, found.types, {})


@pytest.mark.parametrize(("sql", "kind", "mode"), [
    ("1::TINYINT", "INT64", "NULLABLE"), ("sum(1)", "INT64", "NULLABLE"),
    ("1.5::DOUBLE", "FLOAT64", "NULLABLE"), ("1::DECIMAL(38, 9)", "NUMERIC", "NULLABLE"),
    ("1::DECIMAL(20, 12)", "BIGNUMERIC", "NULLABLE"), ("'x'", "STRING", "NULLABLE"),
    ("'{}'::JSON", "JSON", "NULLABLE"), ("now()", "TIMESTAMP", "NULLABLE"),
    ("now()::TIMESTAMP", "DATETIME", "NULLABLE"), ("NULL", "INT64", "NULLABLE"),
    ("[1]", "INT64", "REPEATED"), ("{'a': [1]}", "STRUCT", "NULLABLE"),
    ("[{'a': 1}]", "STRUCT", "REPEATED"), ("uuid()", "STRING", "NULLABLE"),
])  # fmt: skip
def test_types_of_the_engine(sql: str, kind: str, mode: str) -> None:
    """Every type of a result is one of BigQuery's."""
    (field,) = fields(f"SELECT {sql} AS x")
    assert (field.kind, field.mode) == (kind, mode)


@pytest.mark.parametrize("sql", ["[[1]]", "MAP {1: 2}", "INTERVAL 1 DAY"])
def test_types_that_bigquery_lacks(sql: str) -> None:
    """They are refused by name."""
    with pytest.raises(Refusal, match="which BigQuery does not have"):
        fields(f"SELECT {sql} AS x")


AT = dt.datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(("field", "value", "cell"), [
    (Field("x", "INT64"), 5, "5"), (Field("x", "BOOL"), True, "true"),
    (Field("x", "FLOAT64"), float("-inf"), "-Infinity"), (Field("x", "FLOAT64"), 0.1, "0.1"),
    (Field("x", "FLOAT64"), float("nan"), "NaN"), (Field("x", "BYTES"), b"\xff", "/w=="),
    (Field("x", "TIMESTAMP"), AT, "1704067200500000"), (Field("x", "TIME"), dt.time(1), "01:00:00"),
    (Field("x", "INT64"), None, None), (Field("x", "INT64", "REPEATED"), None, []),
    (Field("x", "INT64", "REPEATED"), [1, 2], [{"v": "1"}, {"v": "2"}]),
    (Field("x", "STRUCT", fields=(Field("a", "INT64"),)), {"a": 1}, {"f": [{"v": "1"}]}),
    (Field("x", "RANGE", range_of="DATE"), {"start": dt.date(2024, 1, 1), "end": None},
     "[2024-01-01, UNBOUNDED)"),
])  # fmt: skip
def test_cells(field: Field, value: Any, cell: Any) -> None:
    """Everything is text, NULL is null, arrays and records are nested."""
    rows = pa.Table.from_pylist([{"x": value}], arrow_schema((field,)))
    assert page(rows, (field,), micros=True) == [{"f": [{"v": cell}]}]


def test_timestamps_in_seconds() -> None:
    """Unless microseconds are asked for."""
    schema = (Field("x", "TIMESTAMP"),)
    rows = pa.Table.from_pylist([{"x": AT}], arrow_schema(schema))
    assert page(rows, schema, micros=False) == [{"f": [{"v": "1704067200.5"}]}]
