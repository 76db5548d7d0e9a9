"""Batches to the rows of a table: which columns, in which types, and which rows can't be.

Pure: a ``Shape`` is compiled once for the schema of a batch and the schema of a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.bigquery.casting import Faults, converter, match_fields
from connectors.bigquery.changes import PSEUDO_COLUMNS
from connectors.bigquery.forms import Form
from connectors.bigquery.limits import REQUEST_BYTES_MAX

__all__ = ["TOO_LARGE", "Fitted", "Part", "Shape", "parts"]

TOO_LARGE = (
    "row_too_large",
    f"The row is larger than a request may be, which is {REQUEST_BYTES_MAX:,} bytes",
)
"""Error kind and reason of a row that no request can hold."""

Indices = npt.NDArray[np.int64]


class Fitted(NamedTuple):
    """Rows as they are sent, and the others.

    Attributes:
        rows: columns named and typed as the table's.
        origin: for each of them its index in the batch.
        faults: error kind and reason of every other row, by its index in the batch.
    """

    rows: pa.RecordBatch
    origin: Indices
    faults: Faults


class Shape:
    """The way from batches of one schema to rows of one table.

    Args:
        given: schema of the columns that are to be written, pseudo columns of changes included.
        table: the table's schema, as ``table_types.arrow_schema`` gives it.
        optional: columns that are left out if the table has none of their name.

    Raises:
        ConfigError: a column is not in the table, has a type that the table's column can't take,
            or a REQUIRED column is missing.
    """

    def __init__(self, given: pa.Schema, table: pa.Schema, optional: Collection[str] = ()) -> None:
        columns = [*table, *(field for field in PSEUDO_COLUMNS if field.name in given.names)]
        known = {column.name.casefold() for column in columns}
        fields = [
            field for field in given if field.name not in optional or field.name.casefold() in known
        ]
        pairs = match_fields(fields, columns, "")
        self._names = [column.name for _, column in pairs]
        self._indices = [given.get_field_index(fields[at].name) for at, _ in pairs]
        self._converts = [converter(fields[at].type, column, column.name) for at, column in pairs]

    def fit(self, batch: pa.RecordBatch) -> Fitted:
        """Return the rows that the table takes, and why the others are none."""
        faults: Faults = {}
        arrays = []
        for index, convert in zip(self._indices, self._converts, strict=True):
            cast = convert(batch.column(index))
            arrays.append(cast.values)
            faults = cast.faults | faults if cast.faults else faults
        rows = pa.RecordBatch.from_arrays(arrays, names=self._names)
        origin = np.arange(len(rows), dtype=np.int64)
        if faults:
            origin = np.delete(origin, sorted(faults))
            rows = rows.take(pa.array(origin))
        return Fitted(rows, origin, faults)


class Part(NamedTuple):
    """Rows for one request.

    Attributes:
        rows: what is sent.
        numbers: for each row its number among all that were cut; strictly rising.
        form: in which they are sent.
        encoded: the rows in that form; None if the part is one row, and too large to be sent.
    """

    rows: pa.RecordBatch
    numbers: Indices
    form: Form
    encoded: Any

    @property
    def nbytes(self) -> int:
        """Bytes of the request, nearly."""
        return int(self.encoded.nbytes) if self.encoded is not None else 0

    def without(self, gone: set[int]) -> Iterator[Part]:
        """Yield the rows but for some, given by their positions in this part."""
        kept = np.delete(np.arange(len(self.rows), dtype=np.int64), sorted(gone))
        if len(kept):
            yield from parts(self.rows.take(pa.array(kept)), self.numbers[kept], self.form)

    def halves(self) -> Iterator[Part]:
        """Yield two parts of the rows."""
        half = (len(self.rows) + 1) // 2
        yield from parts(self.rows.slice(0, half), self.numbers[:half], self.form)
        yield from parts(self.rows.slice(half), self.numbers[half:], self.form)


def parts(
    rows: pa.RecordBatch, numbers: Indices, form: Form, bytes_max: int = REQUEST_BYTES_MAX
) -> Iterator[Part]:
    """Cut rows into requests of at most so many bytes.

    Args:
        rows: what is to be sent.
        numbers: for each row its number.
        form: in which it is sent.
        bytes_max: of the encoded rows of a request.
    """
    count = len(rows)
    share = max(1, int(count * bytes_max / max(rows.nbytes + 1, 1))) if count else 1
    for start in range(0, count, share):
        piece = Part(rows.slice(start, share), numbers[start : start + share], form, None)
        yield from _fitting(piece, bytes_max)


def _fitting(piece: Part, bytes_max: int) -> Iterator[Part]:
    """Halve until the encoded rows fit: those of a batch may differ much in size."""
    rows, numbers, form, _ = piece
    encoded = form.encode(rows)
    if encoded.nbytes <= bytes_max:
        yield piece._replace(encoded=encoded)
    elif len(rows) == 1:
        yield piece
    else:
        half = len(rows) // 2
        yield from _fitting(Part(rows.slice(0, half), numbers[:half], form, None), bytes_max)
        yield from _fitting(Part(rows.slice(half), numbers[half:], form, None), bytes_max)
