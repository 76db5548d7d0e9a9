"""Arrow rows: whole batches of one schema, and bytes that are none."""

import pyarrow as pa
import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.rows_arrow import ArrowRows

BATCH = pa.RecordBatch.from_pydict({"a": [1, 2], "s": ["x", None]})


def schema(batch: pa.RecordBatch = BATCH) -> bytes:
    """Return the serialized schema of a batch."""
    return bytes(batch.schema.serialize())


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_round_trip(codec: str | None) -> None:
    """Compressed bodies are read as well."""
    options = pa.ipc.IpcWriteOptions(compression=codec)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, BATCH.schema, options=options) as writer:
        writer.write_batch(BATCH)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    reader.read_next_message()
    body = reader.read_next_message().serialize().to_pybytes()
    assert ArrowRows(schema()).decode(body).equals(BATCH)


@pytest.mark.parametrize("data", [b"", b"x" * 40, schema()])
def test_bytes_that_are_no_batch(data: bytes) -> None:
    """The request is refused, not the server broken."""
    with pytest.raises(Refusal, match="serialized_record_batch"):
        ArrowRows(schema()).decode(data)


@pytest.mark.parametrize("data", [b"", b"x" * 40])
def test_bytes_that_are_no_schema(data: bytes) -> None:
    """So for the schema."""
    with pytest.raises(Refusal, match="serialized_schema"):
        ArrowRows(data)


def test_batch_of_another_schema() -> None:
    """A batch that the schema does not describe is refused."""
    other = pa.RecordBatch.from_pydict({"a": [1]})
    with pytest.raises(Refusal, match="serialized_record_batch"):
        ArrowRows(schema()).decode(other.serialize().to_pybytes())


def test_duplicate_names() -> None:
    """Case does not tell columns apart."""
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "A"])
    with pytest.raises(Refusal, match="Duplicate fields"):
        ArrowRows(schema(batch))
