"""Columns of encoded values to encoded rows: row-wise formats made by column-wise kernels.

JSON lines and Avro hold a row as the encodings of its fields, one after the other. So each column
is encoded on its own, and one kernel joins the columns row by row. The buffer behind the joined
column is then already the content of the file: no Python object is made per row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Part", "as_lists", "content", "join", "list_parts", "slices"]

Part: TypeAlias = pa.Array | pa.Scalar
"""Bytes for each row, or the same bytes for every row; never null."""

_SLICE_BYTES_MAX = 32 << 20
"""Rows that are encoded together; their encoding must stay below the 2 GiB of an Arrow array."""


def slices(table: pa.Table, rows_max: int) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows in pieces of at most ``rows_max`` rows and some bytes."""
    for batch in table.to_batches():
        if batch.num_rows:
            wanted = int(batch.num_rows * _SLICE_BYTES_MAX / max(batch.nbytes, 1))
            size = max(1, min(rows_max, wanted))
            for offset in range(0, batch.num_rows, size):
                yield batch.slice(offset, size)


def join(parts: Sequence[Part], length: int) -> pa.Array:
    """Return for each row its parts, one after the other.

    Args:
        parts: of one type, text or bytes; at least one.
        length: number of rows, which scalars alone don't tell.
    """
    if not any(isinstance(part, pa.Array) for part in parts):
        parts = [pa.repeat(parts[0], length), *parts[1:]]
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*parts, pa.scalar("", parts[0].type))


def content(rows: pa.Array) -> pa.Buffer:
    """Return the bytes of all values of a text or binary array, one after the other."""
    _, offsets, values = rows.buffers()
    if values is None:
        return pa.py_buffer(b"")
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return values.slice(ends[0], ends[-1] - ends[0])


def as_lists(array: pa.Array) -> pa.ListArray:
    """Return lists of any layout in the plain one; Arrow's own cast makes invalid ones of views."""
    if pa.types.is_list(array.type):
        return array
    offsets = np.zeros(len(array) + 1, np.int32)
    np.cumsum(pc.list_value_length(array).fill_null(0), out=offsets[1:])
    kind = pa.list_(array.type.value_field)
    return pa.ListArray.from_arrays(offsets, array.flatten(), kind, mask=array.is_null())


def list_parts(array: pa.Array) -> tuple[np.ndarray, slice]:
    """Return where each list begins and ends, from 0 on, and the part of the children they hold.

    The children of a sliced array are those of the whole.
    """
    offsets = array.offsets.to_numpy()
    return offsets - offsets[0], slice(int(offsets[0]), int(offsets[-1]))
