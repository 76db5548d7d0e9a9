"""What the Storage Read API returns of a table."""

from decimal import Decimal

import pyarrow as pa
import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.projection import project_rows, selected
from connectors.bigquery_local.schema import Field, arrow_schema

SCHEMA = (
    Field("a", "INT64", "REQUIRED"),
    Field("r", "STRUCT", "REPEATED", (Field("x", "INT64"), Field("b", "BIGNUMERIC"))),
)
ROWS = pa.Table.from_pylist(
    [{"a": 1, "r": []}, {"a": 2, "r": [{"x": 1, "b": "1.5"}, {"x": None, "b": None}]}],
    arrow_schema(SCHEMA),
)


def test_all() -> None:
    """BIGNUMERIC is a decimal of 256 bits; a REQUIRED column can't be NULL."""
    found = project_rows(ROWS, selected(SCHEMA, []))
    assert found.to_pylist()[1]["r"][0]["b"] == Decimal("1.5")
    assert not found.schema.field("a").nullable
    assert found.schema.field("r").type.value_type.field("b").type == pa.decimal256(76, 38)


def test_slices() -> None:
    """The rows of a slice are its own."""
    found = project_rows(ROWS.slice(1), SCHEMA)
    assert found.to_pylist()[0]["r"][0]["x"] == 1


def test_inner_fields() -> None:
    """In the order of the schema, whatever that of the paths."""
    part = selected(SCHEMA, ["R.X", "a"])
    assert [field.name for field in part] == ["a", "r"]
    assert project_rows(ROWS, part).to_pylist()[1] == {"a": 2, "r": [{"x": 1}, {"x": None}]}
    assert selected(SCHEMA, ["r.x", "r"])[0] == SCHEMA[1]


@pytest.mark.parametrize("path", ["z", "r.z", "a.x"])
def test_unknown_fields(path: str) -> None:
    """The sentence names them."""
    with pytest.raises(Refusal, match="do not exist"):
        selected(SCHEMA, [path])
