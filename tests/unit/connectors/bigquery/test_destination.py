"""Which table a row goes to."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.bigquery.destination import Destination
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import attach_message


def batch(kinds: list[str | None]) -> Batch:
    return Batch(pa.RecordBatch.from_pydict({"kind": pa.array(kinds, pa.string())}))


def test_fixed_table_takes_all_rows() -> None:
    """Without a field nothing is looked at, and no row is copied."""
    routed = Destination("my-project.data.rows").route(batch(["a", None]))
    assert [(str(table), rows) for table, rows in routed.groups] == [("my-project.data.rows", None)]
    assert routed.faults == {}


def test_rows_are_grouped_by_the_table_that_they_name() -> None:
    """Each row is in the group of its value, in order."""
    routed = Destination("my-project.data.of_{kind}_rows").route(batch(["a", "b", "a", "b-1", "a"]))
    assert {table.table: rows.tolist() for table, rows in routed.groups if rows is not None} == {
        "of_a_rows": [0, 2, 4],
        "of_b_rows": [1],
        "of_b-1_rows": [3],
    }


def test_attributes_and_several_fields() -> None:
    """A template may use attributes, also for the dataset."""
    rows = attach_message(batch(["a", "b"]).rows, message_batch([b"", b""]))
    routed = Destination("my-project.d_{kind}.t_{attribute:key}").route(rows)
    assert [str(table) for table, _ in routed.groups] == [
        "my-project.d_a.t_k1",
        "my-project.d_b.t_k2",
    ]


@pytest.mark.parametrize("value", [None, "", "a.b", "a b", "a`b", "../x", "é", "x\n"])
def test_value_that_is_no_part_of_a_name_is_a_fault(value: str | None) -> None:
    """A row can't choose another dataset, and what is missing is said."""
    routed = Destination("my-project.data.{kind}").route(batch(["good", value]))
    assert [rows.tolist() for _, rows in routed.groups if rows is not None] == [[0]]
    assert routed.faults[1][0] == "invalid_value"
    assert "column:kind" in routed.faults[1][1]


def test_value_that_makes_a_bad_name_is_a_fault() -> None:
    """A dash may be in a table's name, but not in a dataset's."""
    routed = Destination("my-project.{kind}.rows").route(batch(["a-b", "ab"]))
    assert list(routed.faults) == [0]
    assert "is no table" in routed.faults[0][1]


@pytest.mark.parametrize(
    "text",
    ["rows", "data.rows", "my-project.data.{kind", "my-project.data.kind}", "my-project.data.{}",
     "my-project.data.{message:body}", "{a}", "MY.data.rows"],
)  # fmt: skip
def test_text_that_can_be_no_table_is_refused(text: str) -> None:
    """Before anything starts, whatever a row would put in."""
    with pytest.raises(ConfigError):
        Destination(text)


def test_column_that_is_missing_is_a_clear_error() -> None:
    """The rows have no such column: that is no fault of a single row."""
    with pytest.raises(KeyError, match="gone"):
        Destination("my-project.data.{gone}").route(batch(["a"]))
