"""Batches to rows of a table, and rows to requests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.rows import Shape, parts
from transforms.errors import ConfigError

TABLE = pa.schema(
    [pa.field("Id", pa.int64(), nullable=False), ("text", pa.string()), ("at", pa.date32())]
)


FORM = ArrowForm(pa.schema([("n", pa.int64())]))


def batch(**columns: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def test_columns_are_named_as_in_the_table() -> None:
    """Order and case are free; what the rows lack is left to the table's default."""
    rows = batch(text=["a"], ID=[1])
    fitted = Shape(rows.schema, TABLE).fit(rows)
    assert fitted.rows.to_pydict() == {"text": ["a"], "Id": [1]}
    assert fitted.origin.tolist() == [0]


def test_rows_with_faults_are_left_out() -> None:
    """The others keep their order, and know where they were."""
    rows = batch(id=[1, None, 3, None, 5])
    fitted = Shape(rows.schema, TABLE).fit(rows)
    assert fitted.rows.to_pydict() == {"Id": [1, 3, 5]}
    assert fitted.origin.tolist() == [0, 2, 4]
    assert sorted(fitted.faults) == [1, 3]


def test_unknown_column_is_refused() -> None:
    """A column that would be lost is named, with those that there are."""
    with pytest.raises(ConfigError, match=r"^more=.*is no column of the table.*Id, text, at"):
        Shape(batch(id=[1], more=[1]).schema, TABLE)


def test_required_column_must_be_there() -> None:
    """Without it every row would be refused."""
    with pytest.raises(ConfigError, match="Id: is REQUIRED"):
        Shape(batch(text=["a"]).schema, TABLE)


def test_repeated_column_may_be_missing() -> None:
    """A list that is not given is empty."""
    item = pa.field("item", pa.int64(), nullable=False)
    table = pa.schema([("id", pa.int64()), pa.field("tags", pa.list_(item), nullable=False)])
    assert Shape(batch(id=[1]).schema, table).fit(batch(id=[1])).faults == {}


def test_columns_of_changes_go_beside_the_tables() -> None:
    """The pseudo columns are known, and the column that they were made of may be missing."""
    rows = batch(id=[1], op=["upsert"], _CHANGE_TYPE=["UPSERT"], _CHANGE_SEQUENCE_NUMBER=["1"])
    fitted = Shape(rows.schema, TABLE, optional={"op"}).fit(rows)
    assert fitted.rows.schema.names == ["Id", "_CHANGE_TYPE", "_CHANGE_SEQUENCE_NUMBER"]


def test_optional_column_is_kept_where_the_table_has_it() -> None:
    """Only what has no place is left out."""
    rows = batch(id=[1], TEXT=["x"])
    assert Shape(rows.schema, TABLE, optional={"TEXT"}).fit(rows).rows.schema.names == [
        "Id",
        "text",
    ]


@given(st.lists(st.integers(0, 3_000), max_size=60), st.integers(600, 4_000))
def test_requests_hold_every_row_once_and_no_more_bytes(sizes: list[int], bytes_max: int) -> None:
    """Whatever sizes rows have: all are in, in order, and what can't be sent is told."""
    rows = batch(text=pa.array(["x" * size for size in sizes], pa.string()))
    cut = list(
        parts(rows, np.arange(len(sizes), dtype=np.int64), ArrowForm(rows.schema), bytes_max)
    )
    assert [n for part in cut for n in part.numbers.tolist()] == list(range(len(sizes)))
    for part in cut:
        assert part.rows.equals(rows.slice(int(part.numbers[0]), len(part.rows)))
        if part.encoded is None:
            assert len(part.rows) == 1
            assert part.rows.serialize().size > bytes_max
        else:
            assert part.nbytes <= bytes_max


def test_part_without_some_rows() -> None:
    """The rest keeps its numbers."""
    (part,) = parts(batch(n=[10, 11, 12, 13]), np.array([4, 5, 8, 9]), FORM)
    (rest,) = part.without({0, 2})
    assert rest.rows.to_pydict() == {"n": [11, 13]}
    assert rest.numbers.tolist() == [5, 9]
    assert list(part.without({0, 1, 2, 3})) == []


def test_halves() -> None:
    """Two parts of nearly the same size."""
    (part,) = parts(batch(n=[1, 2, 3]), np.arange(3), FORM)
    assert [half.numbers.tolist() for half in part.halves()] == [[0, 1], [2]]
