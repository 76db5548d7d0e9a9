"""Rows that lost their message keep themselves as JSON."""

import datetime as dt
from decimal import Decimal

import msgspec
import pyarrow as pa

from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, attach_message
from transforms.orphan import with_messages


def test_messages_stay() -> None:
    """Message batches and typed rows with their messages are returned as they are."""
    batch = message_batch([b"x"])
    typed = attach_message(pa.record_batch({"a": [1]}), batch)
    assert with_messages(batch) is batch
    assert with_messages(typed) is typed


def test_rows_become_json() -> None:
    """Every type is written, in the order of the columns; other parts of the message are null."""
    row = {
        "n": 1,
        "x": Decimal("1.50"),
        "b": b"\xff",
        "at": dt.datetime(2024, 1, 1),
        "zoned": dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        "day": dt.date(2024, 1, 2),
        "list": [1, None],
        "nothing": None,
        "wait": dt.timedelta(seconds=5),
    }
    batch = Batch(pa.RecordBatch.from_pylist([row]))
    found = with_messages(batch)
    assert found.schema == MESSAGE_SCHEMA
    data = msgspec.json.decode(found.column("data")[0].as_py())
    assert list(data) == list(row)
    assert data["x"] == "1.50"
    assert data["b"] == "/w=="
    assert data["at"].startswith("2024-01-01 00:00:00")
    assert data["zoned"].startswith("2023-12-31 23:00:00")
    assert data["zoned"].endswith("Z")
    assert data["list"] == [1, None]
    assert found.column("message_id").null_count == 1


def test_moments_beyond_python_are_kept() -> None:
    """A timestamp that Python can't hold is written as its number."""
    batch = Batch(pa.record_batch({"at": pa.array([2**63 - 1]).cast(pa.timestamp("us"))}))
    assert b"9223372036854775807" in with_messages(batch).column("data")[0].as_py()
