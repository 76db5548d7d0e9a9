"""Upserts and deletes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.bigquery.changes import Changes
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import attribute, column
from transforms.message import attach_message


def batch(**columns: list[object]) -> Batch:
    return Batch(pa.RecordBatch.from_pydict(columns))


def test_kinds_of_change_are_marked() -> None:
    """Each row says what it is, in any case."""
    rows = batch(op=["upsert", "DELETE", "Upsert"])
    marked = Changes(column("op")).mark(rows, rows)
    assert marked.batch.column("_CHANGE_TYPE").to_pylist() == ["UPSERT", "DELETE", "UPSERT"]
    assert marked.faults == {}


@pytest.mark.parametrize("value", [None, "", "INSERT", "UPSERTS"])
def test_other_kinds_are_faults(value: str | None) -> None:
    """BigQuery would take an unknown kind for a new row, or refuse it; here it is told."""
    rows = batch(op=pa.array(["UPSERT", value], pa.string()))
    marked = Changes(column("op")).mark(rows, rows)
    assert list(marked.faults) == [1]
    assert "column:op" in marked.faults[1][1]


def test_sequence_of_integers_is_hexadecimal() -> None:
    """BigQuery compares hexadecimal text."""
    rows = batch(op=["UPSERT"] * 3, at=[0, 255, 2**62])
    marked = Changes(column("op"), column("at")).mark(rows, rows)
    assert marked.batch.column("_CHANGE_SEQUENCE_NUMBER").to_pylist() == ["0", "FF", f"{2**62:X}"]


def test_sequence_of_texts_is_checked() -> None:
    """Up to four numbers of sixteen digits, each hexadecimal."""
    texts = ["0", "a/B/c/D", "f" * 16, "f" * 17, "a/b/c/d/e", "", "g", None]
    rows = batch(op=["UPSERT"] * 8, at=texts)
    marked = Changes(column("op"), column("at")).mark(rows, rows)
    assert sorted(marked.faults) == [3, 4, 5, 6, 7]


def test_negative_or_missing_number_is_a_fault() -> None:
    """A row without its place in the order would overwrite a later one."""
    rows = batch(op=["UPSERT"] * 3, at=[1, -1, None])
    assert sorted(Changes(column("op"), column("at")).mark(rows, rows).faults) == [1, 2]


def test_float_is_no_sequence() -> None:
    """Its type can't be compared as BigQuery does."""
    rows = batch(op=["UPSERT"], at=[1.5])
    with pytest.raises(ConfigError, match="double"):
        Changes(column("op"), column("at")).mark(rows, rows)


def test_attribute_may_say_it() -> None:
    """Where the payload is the row itself, the kind is often an attribute."""
    rows = batch(n=[1])
    with_message = attach_message(rows.rows, message_batch([b""]))
    marked = Changes(attribute("key")).mark(with_message, rows)
    assert "'K1'" in marked.faults[0][1]
    assert Changes(attribute("key")).columns == frozenset()
    assert Changes(column("op"), column("at")).columns == {"op", "at"}
