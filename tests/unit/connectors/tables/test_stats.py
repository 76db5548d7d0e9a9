"""Statistics of Delta Lake, from footers of Parquet."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.tables.stats import statistics


def told(columns: dict[str, pa.Array], **options: Any) -> dict[str, Any]:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    found: dict[str, Any] = json.loads(statistics(pq.read_metadata(file)))
    return found


def test_rows_ends_and_nulls_are_told_over_all_row_groups() -> None:
    """The ends are those of the file, not of its last group."""
    found = told({"n": pa.array([3, None, 9, 1, 5, None])}, row_group_size=2)
    assert found == {
        "numRecords": 6, "minValues": {"n": 1}, "maxValues": {"n": 9}, "nullCount": {"n": 2},
    }  # fmt: skip


TIME = dt.datetime(2013, 1, 31, 5, 0, 0, 123456)


@pytest.mark.parametrize(
    ("values", "least", "largest"),
    [
        (pa.array([1.5, float("nan"), -2.0]), -2.0, None),
        (pa.array([1.5, float("inf")]), 1.5, None),
        (pa.array([1.5, -float("inf")]), None, None),
        (pa.array(["b", "a"]), "a", "b"),
        (pa.array(["x" * 100]), None, None),
        (pa.array([TIME], pa.timestamp("us", "UTC")), "2013-01-31T05:00:00.123456Z",
         "2013-01-31T05:00:00.123456Z"),
        (pa.array([TIME], pa.timestamp("us")), "2013-01-31T05:00:00.123456",
         "2013-01-31T05:00:00.123456"),
        (pa.array([TIME.date()]), "2013-01-31", "2013-01-31"),
        (pa.array([True]), None, None),
        (pa.array([b"x"]), None, None),
        (pa.array([None], pa.int64()), None, None),
    ],
)  # fmt: skip
def test_what_is_told_is_exact(values: pa.Array, least: object, largest: object) -> None:
    """Else it is left out: a reader that trusts a rounded end would skip rows."""
    found = told({"c": values})
    assert found["minValues"].get("c") == least
    assert found["maxValues"].get("c") == largest
    assert found["nullCount"] == {"c": values.null_count}


def test_a_group_of_nulls_does_not_hide_the_ends_of_others() -> None:
    """It has none of its own."""
    assert told({"c": pa.array([None, None, 4, 5])}, row_group_size=2)["maxValues"] == {"c": 5}


def test_nested_columns_and_those_behind_many_are_left_out() -> None:
    """As the format has it by default: the first 32."""
    columns = {f"c{number}": pa.array([number]) for number in range(40)}
    found = told({"s": pa.array([{"a": 1}]), **columns})
    assert list(found["minValues"]) == [f"c{number}" for number in range(31)]


def test_without_statistics_only_rows_are_told() -> None:
    """A file that another writer made may have none."""
    assert told({"c": pa.array([1])}, write_statistics=False) == {
        "numRecords": 1, "minValues": {}, "maxValues": {}, "nullCount": {},
    }  # fmt: skip
