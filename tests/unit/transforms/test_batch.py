"""Batch: the element of every PCollection, and its coder."""

import pickle

import apache_beam as beam
import pyarrow as pa
import pytest

from transforms.batch import Batch, BatchCoder
from transforms.message import MESSAGE_SCHEMA, attach_message

NUMBERS = pa.schema([("n", pa.int64()), ("text", pa.string())])


def numbers(count: int) -> Batch:
    return Batch.from_pylist([{"n": n, "text": f"t{n}"} for n in range(count)], NUMBERS)


def test_coder_returns_what_it_was_given() -> None:
    """Encoding and decoding keeps schema and rows."""
    batch = numbers(10)
    assert BatchCoder().decode(BatchCoder().encode(batch)) == batch


def test_coder_keeps_nested_sliced_and_null_values() -> None:
    """Offsets of slices and nulls in nested columns survive the coder."""
    schema = pa.schema(
        [
            ("m", pa.map_(pa.string(), pa.string())),
            ("l", pa.list_(pa.int32())),
            ("s", pa.struct([("x", pa.binary())])),
        ]
    )
    rows = [{"m": [("k", str(i))], "l": [i] * i, "s": {"x": b"%d" % i}} for i in range(9)]
    rows[4] = {"m": None, "l": None, "s": None}
    sliced = Batch.from_pylist(rows, schema).slice(3, 4)
    decoded = BatchCoder().decode(BatchCoder().encode(sliced))
    assert decoded == sliced
    assert decoded.to_pylist()[1] == rows[4]


def test_slice_costs_only_its_own_rows() -> None:
    """Ten rows of a big batch encode to the size of ten rows, by the coder and by pickle."""
    piece = numbers(100_000).slice(50_000, 10)
    assert len(BatchCoder().encode(piece)) < 2_000
    assert len(pickle.dumps(piece)) < 2_000
    assert pickle.loads(pickle.dumps(piece)) == piece


def test_beam_uses_the_coder() -> None:
    """Beam finds the coder by the type hint, so that no batch is pickled."""
    assert isinstance(beam.coders.registry.get_coder(Batch), BatchCoder)


def test_empty_batch_keeps_its_schema() -> None:
    """A batch without rows is a value like any other."""
    empty = numbers(0)
    decoded = BatchCoder().decode(BatchCoder().encode(empty))
    assert decoded.schema == NUMBERS
    assert len(decoded) == 0
    assert list(empty.split(10)) == []


def test_size_estimate_needs_no_encoding() -> None:
    """The estimate of a slice is that of its own rows, near its encoded size."""
    piece = numbers(10_000).slice(10, 1_000)
    assert BatchCoder().estimate_size(piece) == pytest.approx(
        len(BatchCoder().encode(piece)), rel=0.1
    )


def test_concat_keeps_order_and_refuses_nothing_at_all() -> None:
    """Rows stay in order; without any batch the schema would be unknown."""
    batch = numbers(5)
    assert Batch.concat(list(batch.split(2))) == batch
    with pytest.raises(ValueError, match="zero batches"):
        Batch.concat([])


def test_columns_are_picked_dropped_and_replaced() -> None:
    """Selecting, dropping and adding columns leaves the other columns alone."""
    batch = numbers(2)
    assert batch.drop(["n", "unknown"]).schema.names == ["text"]
    assert batch.with_column("n", pa.array([7, 8])).column("n").to_pylist() == [7, 8]
    assert batch.with_column("m", pa.array([7, 8])).schema.names == ["n", "text", "m"]


def test_missing_column_names_those_that_exist() -> None:
    """A wrong column name is answered with the right ones."""
    with pytest.raises(KeyError, match=r"no column 'x'.*\['n', 'text'\]"):
        numbers(1).column("x")


def test_batch_can_not_be_a_key() -> None:
    """Batches compare by value, so they are unhashable."""
    with pytest.raises(TypeError):
        hash(numbers(1))


def test_repr_tells_which_messages() -> None:
    """An error that shows a batch tells the ids by which its messages can be found."""
    rows = [{"message_id": str(number)} for number in range(5)]
    messages = Batch.from_pylist(rows, MESSAGE_SCHEMA)
    assert repr(messages).startswith("Batch(5 rows of messages '0' to '4', ['data', ")
    typed = attach_message(pa.record_batch({"a": pa.array(range(5))}), messages)
    assert repr(typed.slice(1, 3)) == "Batch(3 rows of messages '1' to '3', ['a', '_message'])"
    assert repr(typed.slice(4)) == "Batch(1 row of message '4', ['a', '_message'])"
    assert repr(typed.slice(5)) == "Batch(0 rows, ['a', '_message'])"


def test_repr_without_messages() -> None:
    """A batch that holds no messages, or columns by these names that are none, is shown too."""
    assert repr(Batch(pa.record_batch({"a": [1, 2]}))) == "Batch(2 rows, ['a'])"
    nothing = Batch(pa.record_batch({"message_id": pa.nulls(2)}))
    assert repr(nothing) == "Batch(2 rows of messages None to None, ['message_id'])"
    foreign = pa.array([{"b": 1}, None])
    assert repr(Batch(pa.record_batch({"_message": foreign}))).startswith("Batch(2 rows")
    assert repr(Batch(pa.record_batch({"_message": ["text"]}))).startswith("Batch(1 row")
