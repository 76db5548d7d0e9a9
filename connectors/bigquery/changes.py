"""Upserts and deletes instead of new rows: change data capture.

Source: https://cloud.google.com/bigquery/docs/change-data-capture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery.casting import Faults
from transforms import kinds
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field, Source

__all__ = ["PSEUDO_COLUMNS", "Changes", "Marked"]

CHANGE_TYPE = "_CHANGE_TYPE"
CHANGE_SEQUENCE_NUMBER = "_CHANGE_SEQUENCE_NUMBER"
PSEUDO_COLUMNS = (
    pa.field(CHANGE_TYPE, pa.string(), nullable=False),
    pa.field(CHANGE_SEQUENCE_NUMBER, pa.string()),
)
"""Columns that a row of changes has beside those of the table."""

_TYPES = ("UPSERT", "DELETE")
_SEQUENCE = r"^[0-9A-Fa-f]{1,16}(/[0-9A-Fa-f]{1,16}){0,3}$"


@dataclass(frozen=True)
class Marked:
    """A batch with the columns of changes, and the rows that name none."""

    batch: Batch
    faults: Faults


@dataclass(frozen=True)
class Changes:
    """Rows are changes to the row of the same primary key.

    The table needs a primary key, which BigQuery does not enforce otherwise, and a
    ``max_staleness`` for how long a change may wait. Columns that a row lacks become null: a row
    is upserted as a whole.

    Args:
        kind: where ``UPSERT`` or ``DELETE`` stands, in any case: a column or an attribute.
        sequence: which change is later: an integer that is not negative, or up to four
            hexadecimal numbers of 16 digits with ``/`` between. None for order of arrival, which
            Pub/Sub doesn't keep.
    """

    kind: Field
    sequence: Field | None = None

    def mark(self, batch: Batch, rows: Batch) -> Marked:
        """Return ``rows`` with the columns that say what is to be changed.

        Args:
            batch: the rows as they came, in which the fields are found.
            rows: the columns that are to be written.
        """
        faults: Faults = {}
        change = pc.utf8_upper(self.kind.of(batch).cast(pa.string()))
        known = pc.is_in(change, pa.array(_TYPES)).fill_null(False)
        for row in np.flatnonzero(pc.invert(known)).tolist():
            reason = f"{change[row].as_py()!r} in {self.kind} is neither UPSERT nor DELETE"
            faults[row] = (kinds.INVALID_VALUE, reason)
        rows = rows.with_column(CHANGE_TYPE, change)
        if self.sequence is None:
            return Marked(rows, faults)
        numbers, wrong = _sequence(self.sequence.of(batch), self.sequence)
        return Marked(rows.with_column(CHANGE_SEQUENCE_NUMBER, numbers), wrong | faults)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that say what to change; a table need not have them."""
        fields = (self.kind, self.sequence)
        return frozenset(
            field.name for field in fields if field is not None and field.source is Source.COLUMN
        )


def _sequence(values: pa.Array, field: Field) -> tuple[pa.Array, Faults]:
    if pa.types.is_integer(values.type):
        wrong = pc.less(values, 0).fill_null(True)
        texts = [None if value is None else f"{value:X}" for value in values.to_pylist()]
        numbers = pa.array(texts, pa.string())
    elif pa.types.is_string(values.type):
        wrong = pc.invert(pc.match_substring_regex(values, _SEQUENCE)).fill_null(True)
        numbers = values
    else:
        raise ConfigError(
            "sequence", str(field), f"has type {values.type}, which is no sequence number",
            "Give an integer column, or one of hexadecimal texts",
        )  # fmt: skip
    reason = f"The value of {field} is no sequence number"
    return numbers, dict.fromkeys(np.flatnonzero(wrong).tolist(), (kinds.INVALID_VALUE, reason))
