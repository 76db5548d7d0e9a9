"""Batches to rows of tables, and dead letters."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from connectors.bigquery.changes import Changes
from connectors.bigquery.plan import Plan
from connectors.bigquery.prepare import Preparer, sort_out
from connectors.bigquery.session import Session
from tests.conftest import message_batch
from tests.fake_bigquery import TABLE, FakeTable
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field, column, message
from transforms.message import attach_message

REASON = ("a_kind", "a reason")


def typed(*ids: int | None, **more: list[object]) -> Batch:
    rows = pa.RecordBatch.from_pydict({"id": pa.array(ids, pa.int64()), **more})
    return attach_message(rows, message_batch([b"%d" % (n or 0) for n in ids]))


def plan(
    table: str = TABLE, add: dict[str, Field] | None = None, changes: Changes | None = None
) -> Plan:
    return Plan(table, add or {}, changes, None, "a step")


def test_no_fault_copies_nothing() -> None:
    """The batch goes through as it came."""
    batch = typed(1, 2)
    assert sort_out(batch, {}, "s") == (batch, None)
    assert sort_out(batch, {}, "s").ok is batch


def test_dead_letters_hold_the_message() -> None:
    """Each row is in exactly one of the two, in order, with its reason."""
    ok, dead = sort_out(typed(1, 2, 3), {1: REASON}, "a step")
    assert ok.column("id").to_pylist() == [1, 3]
    assert dead is not None
    (letter,) = dead.to_pylist()
    assert (letter["error_kind"], letter["error"]) == REASON
    assert (letter["step"], letter["data"], letter["message_id"]) == ("a step", b"2", "2")


def test_messages_that_were_not_parsed_are_their_own_dead_letters() -> None:
    """A batch of messages may be written as it is."""
    _, dead = sort_out(message_batch([b"a", b"b"]), {0: REASON}, "s")
    assert dead is not None
    assert dead.column("data").to_pylist() == [b"a"]


def test_rows_without_a_message_are_kept_as_json() -> None:
    """Also where Python has no time for a value."""
    rows = pa.RecordBatch.from_pydict(
        {"n": [1], "at": pa.array([2**62]).cast(pa.timestamp("us", tz="UTC")),
         "d": pa.array([4_000_000], pa.int32()).cast(pa.date32())}
    )  # fmt: skip
    _, dead = sort_out(Batch(rows), {0: REASON}, "s")
    assert dead is not None
    assert json.loads(dead.column("data")[0].as_py()) == {"n": 1, "at": 2**62, "d": 4_000_000}


def test_message_is_left_out_and_columns_are_added(
    bigquery_session: Session, table: FakeTable
) -> None:
    """The table gets the row's columns and what was asked for of its message."""
    preparer = Preparer(plan(add={"text": message("message_id")}), bigquery_session)
    ((parcel,), dead) = preparer.route(typed(7, 8))
    assert dead is None
    assert preparer.fit(parcel).rows.to_pydict() == {"id": [7, 8], "text": ["1", "2"]}


def test_row_that_names_no_table_is_dead_before_all_else(bigquery_session: Session) -> None:
    """It never gets near a server."""
    preparer = Preparer(plan("project-1.data.{kind}"), bigquery_session)
    parcels, dead = preparer.route(typed(1, 2, kind=["rows", "no.t"]))
    assert [(str(parcel.table), len(parcel.batch)) for parcel in parcels] == [(TABLE, 1)]
    assert dead is not None
    assert dead.column("error_kind").to_pylist() == ["invalid_value"]


def test_altered_table_is_asked_for_once_more(bigquery_session: Session, table: FakeTable) -> None:
    """A column that came since the schema was read is written; one that did not is an error."""
    preparer = Preparer(plan(), bigquery_session)
    for batch in (typed(1), typed(2, more=[5])):
        ((parcel,), _) = preparer.route(batch)
        if "more" in batch.schema.names:
            with pytest.raises(ConfigError, match="more"):
                preparer.fit(parcel)
            table.columns = (*table.columns, ("more", "INT64", "NULLABLE"))
        assert preparer.fit(parcel).rows.num_rows == 1
    assert preparer.fit(parcel).rows.to_pydict() == {"id": [2], "more": [5]}


def test_faults_of_changes_and_of_values_are_joined(
    bigquery_session: Session, table: FakeTable
) -> None:
    """A row may be wrong in two ways; the others are sent, without the column of the kind."""
    changes = Changes(column("op"))
    preparer = Preparer(plan(changes=changes), bigquery_session)
    ((parcel,), _) = preparer.route(typed(1, None, 3, 4, op=["UPSERT", "DELETE", "what", "DELETE"]))
    fitted = preparer.fit(parcel)
    assert sorted(fitted.faults) == [1, 2]
    assert fitted.origin.tolist() == [0, 3]
    assert fitted.rows.to_pydict() == {"id": [1, 4], "_CHANGE_TYPE": ["UPSERT", "DELETE"]}
