"""Failure: one dead-letter record for every step and sink."""

import datetime as dt

import pyarrow as pa
import pytest

from tests.conftest import message_batch
from transforms.failure import FAILURE_SCHEMA, failures, stamp
from transforms.message import MESSAGE_SCHEMA, attach_message

NOW = dt.datetime(2026, 5, 4, 3, 2, 1, tzinfo=dt.timezone.utc)


def test_failure_keeps_the_message_whole() -> None:
    """Bytes, attributes, id, time and key of the original are all there, beside the reason."""
    original = message_batch([b"\xff\x00", b"{}"])
    dead = failures(original, "Parse", [("malformed_json", "byte 0"), ("missing_field", "id")])
    assert dead.schema == FAILURE_SCHEMA
    assert dead.select(MESSAGE_SCHEMA.names) == original
    assert dead.column("error_kind").to_pylist() == ["malformed_json", "missing_field"]


def test_typed_rows_fail_with_their_original_message() -> None:
    """A step after parsing rejects a row with the bytes that arrived."""
    original = message_batch([b"a", b"b", b"c"])
    typed = attach_message(pa.RecordBatch.from_pydict({"n": [1, 2, 3]}), original)
    dead = failures(typed.slice(1, 1), "Windowing", [("bad_event_time", "null")])
    assert dead.column("data").to_pylist() == [b"b"]
    assert dead.column("message_id").to_pylist() == ["2"]


def test_stamp_adds_pipeline_and_time() -> None:
    """The sink knows when and where; the transform doesn't."""
    dead = failures(message_batch([b"a"]), "Parse", [("malformed_json", "x")])
    assert dead.column("failed_at").null_count == 1
    stamped = stamp(dead, "flights", NOW)
    assert stamped.schema.equals(FAILURE_SCHEMA)
    assert stamped.column("pipeline").to_pylist() == ["flights"]
    assert stamped.column("failed_at").to_pylist() == [NOW]


def test_stamp_keeps_what_is_known() -> None:
    """A failure that is kept once more stays that of the pipeline where it happened."""
    dead = stamp(failures(message_batch([b"a"]), "Parse", [("malformed_json", "x")]), "one", NOW)
    assert stamp(dead, "two", NOW + dt.timedelta(days=1)) == dead


def test_each_row_needs_its_reason() -> None:
    """A failure without its reason is a programming error, found at once."""
    with pytest.raises(ValueError, match="2 rejected rows but 1 errors"):
        failures(message_batch([b"a", b"b"]), "Parse", [("malformed_json", "x")])
