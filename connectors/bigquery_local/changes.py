"""Change data capture: of the changes of one key, the one with the highest sequence wins.

https://cloud.google.com/bigquery/docs/change-data-capture. The service applies changes when the
table is read or in the background; here they are applied with the append.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.bigquery_local.errors import Code, Refusal, RowsRefused
from connectors.bigquery_local.matching import Matched
from connectors.bigquery_local.store import Store
from connectors.bigquery_local.tables import Table

__all__ = ["Winner", "apply", "check", "sortable", "winners"]

_SEQUENCE = re.compile(r"[0-9A-Fa-f]{1,16}(?:/[0-9A-Fa-f]{1,16}){0,3}")
_SECTIONS, _DIGITS = 4, 16


class Winner(NamedTuple):
    """The change of a key that holds.

    Args:
        row: its index in the batch.
        delete: the key's row goes away; else the row takes its place.
        sequence: in the form of ``sortable``; empty where the writer sent none.
    """

    row: int
    delete: bool
    sequence: str


def check(types: Sequence[str | None], sequences: Sequence[str | None] | None) -> dict[int, str]:
    """Return what is wrong with the pseudo columns: row -> text."""
    wrong: dict[int, str] = {}
    for row, kind in enumerate(types):
        if kind not in ("UPSERT", "DELETE"):
            wrong[row] = f"_CHANGE_TYPE must be UPSERT or DELETE, not {kind!r}"
    for row, sequence in enumerate(sequences or ()):
        if sequence is not None and not _SEQUENCE.fullmatch(sequence):
            wrong.setdefault(
                row,
                "_CHANGE_SEQUENCE_NUMBER must be up to 4 sections of up to 16 hexadecimal digits, "
                f"separated by '/', not {sequence!r}",
            )
    return wrong


def sortable(sequence: str | None) -> str:
    """Return a sequence number as text of one length whose order is that of the numbers."""
    if sequence is None:
        return ""
    sections = [section.upper().zfill(_DIGITS) for section in sequence.split("/")]
    return "/".join(sections + ["0" * _DIGITS] * (_SECTIONS - len(sections)))


def winners(
    keys: Sequence[str],
    types: Sequence[str | None],
    sequences: Sequence[str],
    known: Mapping[str, str],
) -> dict[str, Winner]:
    """Return the change that holds for each key that changes.

    Args:
        keys: of each row, as text.
        types: of each row, ``UPSERT`` or ``DELETE``.
        sequences: of each row, sortable; of two equal ones the later row wins.
        known: the sequence of the last change of a key that was applied before.
    """
    best: dict[str, Winner] = {}
    for row, (key, kind, sequence) in enumerate(zip(keys, types, sequences, strict=True)):
        before = best[key].sequence if key in best else known.get(key, "")
        if sequence >= before:
            best[key] = Winner(row, kind == "DELETE", sequence)
    return best


def apply(store: Store, table: Table, matched: Matched, rows: pa.Table, entity: str) -> None:
    """Change the rows of a table; the caller holds the transaction.

    Args:
        store: of the rows.
        table: with a primary key.
        matched: with the changes.
        rows: the same rows with default values.
        entity: the stream, for messages.

    Raises:
        Refusal: the table has no primary key.
        RowsRefused: a pseudo column is not valid.
    """
    if not table.key:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "_CHANGE_TYPE needs a table with a primary key; this one has none.",
            entity=entity,
        )
    types = matched.change_types or []
    wrong = check(types, matched.sequences)
    if wrong:
        raise RowsRefused(dict(sorted(wrong.items())), entity)
    keyed = rows.select(_exact(table.key, rows.column_names))
    keys = [json.dumps(list(key.values()), default=_plain) for key in keyed.to_pylist()]
    sequences = [sortable(text) for text in matched.sequences or [None] * len(keys)]
    best = winners(keys, types, sequences, store.sequences(table.uid, keys))
    store.delete_keys(table.name, _taken(keyed, [winner.row for winner in best.values()]))
    upserts = [winner.row for winner in best.values() if not winner.delete]
    store.insert(table.name, _taken(rows, upserts))
    store.save_sequences(table.uid, {key: winner.sequence for key, winner in best.items()})


def _exact(key: Sequence[str], names: Sequence[str]) -> list[str]:
    exact = {name.lower(): name for name in names}
    return [exact[name.lower()] for name in key]


def _taken(rows: pa.Table, at: Sequence[int]) -> pa.Table:
    return rows.take(pa.array(at, pa.int64()))


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
