"""The Arrow rows of an AppendRows request: a schema once, then record batches."""

from __future__ import annotations

import pyarrow as pa

from connectors.bigquery_local.errors import Code, Refusal

__all__ = ["ArrowRows"]


class ArrowRows:
    """Decodes the batches of one writer's schema.

    Args:
        serialized_schema: what ``pyarrow.Schema.serialize`` returns.

    Raises:
        Refusal: these are not the bytes of a schema.
    """

    format = "arrow"

    def __init__(self, serialized_schema: bytes) -> None:
        try:
            self.schema = pa.ipc.read_schema(pa.py_buffer(serialized_schema))
        except (pa.ArrowException, OSError, EOFError) as error:
            raise _invalid("writer_schema.serialized_schema", error) from None
        _check_names(self.schema.names)

    def decode(self, serialized: bytes) -> pa.RecordBatch:
        """Return the rows of one request.

        Args:
            serialized: what ``pyarrow.RecordBatch.serialize`` returns.

        Raises:
            Refusal: these are not the bytes of a batch of the schema.
        """
        try:
            batch = pa.ipc.read_record_batch(pa.py_buffer(serialized), self.schema)
            batch.validate(full=True)
        except (pa.ArrowException, OSError, EOFError) as error:
            raise _invalid("rows.serialized_record_batch", error) from None
        return batch


def _check_names(names: list[str]) -> None:
    folded = [name.lower() for name in names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise Refusal(Code.INVALID_ARGUMENT, f"Duplicate fields in the Arrow schema: {twice}.")


def _invalid(field: str, error: Exception) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"Invalid arrow_rows.{field}: {error}")
