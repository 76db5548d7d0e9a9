"""The element of every PCollection in Headrace: an immutable Arrow record batch.

Beam pays its costs per element. One element that holds thousands of rows makes that cost
vanish, and lets every step work on columns in compiled code.

A bare ``pyarrow.RecordBatch`` must never be put into a PCollection. Beam would pickle it, and a
pickled slice carries the whole parent: ten rows of a 100,000-row batch then cost megabytes.
``Batch`` has a coder of its own, Arrow IPC, which writes exactly the rows of the slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

__all__ = ["Batch", "BatchCoder"]


class Batch:
    """Rows of one schema, held as an Arrow record batch.

    Equality is by value (schema and rows), which is what tests want; a batch can't be a key.
    """

    __slots__ = ("rows",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows

    @classmethod
    def from_pylist(cls, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> Batch:
        """Build a batch from dictionaries, at microseconds a row: for tests and small inputs."""
        return cls(pa.RecordBatch.from_pylist(list(rows), schema=schema))

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """Join batches of one schema into one; the rows keep their order.

        Raises:
            ValueError: no batch was given, so that the schema is unknown.
        """
        if not batches:
            raise ValueError("cannot concatenate zero batches: the schema would be unknown")
        if len(batches) == 1:
            return batches[0]
        return cls(pa.concat_batches([batch.rows for batch in batches]))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return self.rows.schema

    @property
    def nbytes(self) -> int:
        """Size of the rows in bytes; of a slice, only its own share of the buffers."""
        return self.rows.nbytes

    def __len__(self) -> int:
        return self.rows.num_rows

    def column(self, name: str) -> pa.Array:
        """Return a column by its name.

        Raises:
            KeyError: there is no such column; the message lists those that exist.
        """
        index = self.rows.schema.get_field_index(name)
        if index < 0:
            raise KeyError(f"no column {name!r}; the batch has {self.rows.schema.names}")
        return self.rows.column(index)

    def slice(self, offset: int, length: int | None = None) -> Batch:
        """Return ``length`` rows from ``offset`` on, without copying."""
        return Batch(self.rows.slice(offset, length))

    def take(self, indices: pa.Array) -> Batch:
        """Return the rows at ``indices``, in that order."""
        return Batch(self.rows.take(indices))

    def filter(self, mask: pa.BooleanArray) -> Batch:
        """Return the rows where ``mask`` is true; null counts as false."""
        return Batch(self.rows.filter(mask))

    def select(self, names: Sequence[str]) -> Batch:
        """Return only the named columns, in the given order."""
        return Batch(self.rows.select(list(names)))

    def drop(self, names: Iterable[str]) -> Batch:
        """Return the batch without the named columns; names that it lacks are ignored."""
        gone = set(names)
        return self.select([name for name in self.schema.names if name not in gone])

    def with_column(self, name: str, values: pa.Array) -> Batch:
        """Return the batch with a column appended, or replaced if the name is taken."""
        field = pa.field(name, values.type)
        index = self.schema.get_field_index(name)
        if index >= 0:
            return Batch(self.rows.set_column(index, field, values))
        return Batch(self.rows.append_column(field, values))

    def split(self, rows_max: int) -> Iterator[Batch]:
        """Yield consecutive slices of at most ``rows_max`` rows; none for an empty batch."""
        for offset in range(0, len(self), rows_max):
            yield self.slice(offset, rows_max)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, at microseconds a row: for tests and per-row code."""
        return self.rows.to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and self.rows.equals(other.rows)

    def __repr__(self) -> str:
        count = f"{len(self)} row{'' if len(self) == 1 else 's'}"
        return f"Batch({count}{_messages(self.rows)}, {self.schema.names})"

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        # Whoever pickles a batch all the same (a closure, a side input) gets only its own rows.
        return _decode, (_encode(self),)


def _messages(rows: pa.RecordBatch) -> str:
    """Say which messages the rows are or came from, if any: errors show batches by ``repr``."""
    if rows.num_rows == 0:
        return ""
    # The names are those of message.py, which stands on this module.
    ends = [rows.slice(at, 1) for at in (0, rows.num_rows - 1)]
    if "_message" in rows.schema.names and pa.types.is_struct(rows.schema.field("_message").type):
        ends = [pa.RecordBatch.from_struct_array(row["_message"]) for row in ends]
    if "message_id" not in ends[0].schema.names:
        return ""
    first, last = (row["message_id"][0].as_py() for row in ends)
    return f" of message {first!r}" if rows.num_rows == 1 else f" of messages {first!r} to {last!r}"


def _encode(batch: Batch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch.rows)
    return sink.getvalue().to_pybytes()


def _decode(encoded: bytes) -> Batch:
    with pa.ipc.open_stream(pa.py_buffer(encoded)) as reader:
        return Batch(reader.read_next_batch())


class BatchCoder(beam.coders.Coder):
    """Arrow IPC stream with its schema: self-describing, and a slice costs only its own rows.

    Decoding copies nothing: the columns point into the encoded bytes.
    """

    def encode(self, value: Batch) -> bytes:
        """Encode the schema and the rows."""
        return _encode(value)

    def decode(self, encoded: bytes) -> Batch:
        """Decode what ``encode`` wrote."""
        return _decode(encoded)

    def estimate_size(self, value: Batch) -> int:
        """Return the size in bytes without encoding, for Beam asks this of sampled elements."""
        return value.nbytes

    def is_deterministic(self) -> bool:
        """Equal batches have equal bytes, unless their buffers differ behind null slots."""
        return False

    def to_type_hint(self) -> type[Batch]:
        """The Python type that this coder encodes."""
        return Batch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


beam.coders.registry.register_coder(Batch, BatchCoder)
