"""Message batches: the reserved column that carries each row's message along."""

import pyarrow as pa
import pytest

from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import MESSAGE, MESSAGE_SCHEMA, PART, attach_message, message_column


def test_typed_rows_carry_their_messages() -> None:
    """Every row keeps its own message, also in a slice of a slice."""
    typed = pa.RecordBatch.from_pydict({"n": [10, 11, 12, 13]})
    batch = attach_message(typed, message_batch([b"a", b"b", b"c", b"d"]))
    piece = batch.slice(1, 3).slice(1, 2)
    assert message_column(piece, "data").to_pylist() == [b"c", b"d"]
    assert message_column(piece, "message_id").to_pylist() == ["3", "4"]
    assert piece.schema.names == ["n", MESSAGE]


def test_changed_messages_keep_what_they_were() -> None:
    """Rows made of messages that a function has changed carry the message as it came."""
    came = message_batch([b"a", b"b"])
    changed = attach_message(message_batch([b"A", b"B"]).rows, came)
    numbered = changed.with_column(PART, pa.array([0, 1], pa.int32()))
    rows = attach_message(pa.RecordBatch.from_pydict({"n": [1, 2]}), numbered)
    assert message_column(rows, "data").to_pylist() == [b"a", b"b"]
    assert rows.column(PART).to_pylist() == [0, 1]
    assert rows.schema.names == ["n", MESSAGE, PART]


def test_message_column_of_a_fresh_batch_is_its_own() -> None:
    """Before parsing, the parts of the message are ordinary columns."""
    batch = message_batch([b"a"])
    for name in MESSAGE_SCHEMA.names:
        assert message_column(batch, name).equals(batch.column(name))


def test_rows_without_messages_say_so() -> None:
    """Once the messages were dropped, asking for one names the missing column."""
    with pytest.raises(KeyError, match="data"):
        message_column(Batch(pa.RecordBatch.from_pydict({"n": [1]})), "data")
