"""Rows of dictionaries: how a rejected one is kept when it carries no message."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import MESSAGE_SCHEMA
from transforms.rows import FromRows, dead_letters

SCHEMA = pa.schema([pa.field("a", pa.int64(), nullable=False)])


def test_message_of_a_rejected_row_is_kept() -> None:
    """A row that still carries its message is rejected with it."""
    message = Batch.from_pylist(
        [{"data": b"x", "message_id": "7", "attributes": [("k", "v")]}], MESSAGE_SCHEMA
    )
    row = {"a": "b", "_message": message.to_pylist()[0]}
    (letter,) = dead_letters([{"a": 1}, row], "step", {1: ("wrong_type", "why")}).to_pylist()
    assert (letter["data"], letter["message_id"], letter["attributes"]) == (b"x", "7", [("k", "v")])
    assert (letter["step"], letter["error_kind"], letter["error"]) == ("step", "wrong_type", "why")


def circular() -> dict[str, Any]:
    """Return a dictionary that contains itself."""
    row: dict[str, Any] = {}
    row["a"] = row
    return row


@pytest.mark.parametrize(
    ("row", "data"),
    [
        ({"a": "b"}, b'{"a": "b"}'),
        ({"a": dt.date(2024, 1, 1)}, b'{"a": "2024-01-01"}'),
        ({"a": "\ud800"}, b'{"a": "\\ud800"}'),
        ({("a",): 1}, b"{('a',): 1}"),
        (circular(), b"{'a': {...}}"),
        ([1], b"[1]"),
        ({"_message": 5}, b'{"_message": 5}'),
        ({"_message": {"data": 5}}, b'{"_message": {"data": 5}}'),
    ],
)
def test_row_without_message_is_kept_as_text(row: Any, data: bytes) -> None:
    """Its data is JSON, or what Python shows of it when JSON can't tell it."""
    (letter,) = dead_letters([row], "step", {0: ("wrong_type", "")}).to_pylist()
    assert letter["data"] == data
    assert letter["message_id"] is None


def test_batches_have_at_least_one_row() -> None:
    """A size that holds nothing is refused."""
    with pytest.raises(ConfigError, match="rows_max"):
        FromRows(SCHEMA, rows_max=0)
