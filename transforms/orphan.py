"""Rows whose message was projected away, as messages again: for steps that must reject them.

Nothing may be lost. A row without its message is kept as what is left of it: JSON.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa

from transforms.batch import Batch
from transforms.message import DATA, MESSAGE, MESSAGE_SCHEMA

__all__ = ["with_messages"]

_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="string")


def with_messages(rows: Batch) -> Batch:
    """Return rows that carry messages as they are, and others as messages with the row as JSON.

    Bytes become base64, times RFC 3339 text, decimals text; the other parts of the message are
    null. It costs microseconds a row, for the few rows that are rejected.
    """
    names = set(rows.schema.names)
    if MESSAGE in names or names.issuperset(MESSAGE_SCHEMA.names):
        return rows
    data = [_ENCODER.encode(row) for row in _portable(rows).to_pylist()]
    columns = [
        pa.array(data, field.type) if field.name == DATA else pa.nulls(len(rows), field.type)
        for field in MESSAGE_SCHEMA
    ]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA))


def _portable(rows: Batch) -> Batch:
    """Write times as text, for Python's end at the year 9999 and at microseconds."""
    for field in rows.schema:
        if pa.types.is_timestamp(field.type):
            zone = field.type.tz and "UTC"
            times = rows.column(field.name).cast(pa.timestamp(field.type.unit, zone))
            rows = rows.with_column(field.name, times.cast(pa.string()))
    return rows
