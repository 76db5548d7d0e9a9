"""Values of partitions in paths, and as Iceberg keeps them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.lake.layout import folder_part
from connectors.tables.spec import Level
from connectors.tables.values import number, texts, unit_type

LEVELS = (Level("date", "at", "date"), Level("carrier", "carrier"))


@pytest.mark.parametrize("value", ["UA", "A/B é=%", "", None, "x y", ".", "a%2Fb"])
def test_a_path_tells_the_value_that_made_it(value: str | None) -> None:
    """Whatever a folder's name had to escape comes back; null and the empty text are apart."""
    folder = folder_part("carrier", value, keep_empty=True)
    path = f"/lake/date=2013-01-31/{folder}/file.parquet"
    assert texts(path, "/lake", LEVELS) == ["2013-01-31", value]


def test_without_levels_there_are_no_values() -> None:
    """A file in the root has none."""
    assert texts("/lake/file.parquet", "/lake", ()) == []


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [("1970-01-03", "date", 2), ("1969-12-31", "date", -1), ("1970-01-01T05", "hour", 5),
     ("1971-02", "month", 13), ("2013", "year", 43), (None, "date", None)],
)  # fmt: skip
def test_times_are_units_since_1970(text: str | None, unit: str, expected: object) -> None:
    """As the specification of Iceberg has it, also before 1970."""
    assert number(text, pa.timestamp("us", "UTC"), unit) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [("7", pa.int64(), 7), ("-7", pa.int32(), -7), ("true", pa.bool_(), True),
     ("", pa.string(), ""), ("false", pa.bool_(), False), ("1970-01-02", pa.date32(), 1),
     (None, pa.string(), None)],
)  # fmt: skip
def test_values_of_columns_have_their_type(
    text: str | None, kind: pa.DataType, expected: object
) -> None:
    """A folder's text becomes what the column holds."""
    assert number(text, kind, "") == expected


def test_a_level_is_told_as_it_was_written() -> None:
    """Errors show it in the form that the flag takes."""
    assert str(Level("date", "at", "date")) == "date(at)"
    assert str(Level("day", "at", "date")) == "day=date(at)"
    assert str(Level("carrier", "carrier")) == "carrier"
    assert unit_type("year") == pa.int32()
    assert unit_type("hour") == pa.string()
