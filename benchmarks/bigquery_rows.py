"""The rows that ``benchmarks.bigquery`` writes, about 80 bytes each, and the clock of a client."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["BATCH_ROWS", "COLUMNS", "batch", "cpu_s", "dictionaries"]

BATCH_ROWS = 10_000
COLUMNS = (
    ("id", "STRING"), ("user_id", "INTEGER"), ("carrier", "STRING"), ("delay", "FLOAT"),
    ("cancelled", "BOOLEAN"), ("at", "TIMESTAMP"),
)  # fmt: skip


def batch(number: int) -> pa.RecordBatch:
    """Return a batch; ``user_id`` counts the rows through all of them."""
    first = number * BATCH_ROWS
    numbers = np.arange(first, first + BATCH_ROWS)
    micros = pa.array(1_767_225_600_000_000 + numbers * 1_000)
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([f"event-{n:030d}" for n in numbers.tolist()]),
            "user_id": pa.array(numbers),
            "carrier": pa.array([("AA", "UA", "DL", "B6")[n % 4] for n in numbers.tolist()]),
            "delay": pa.array(numbers * 0.25),
            "cancelled": pa.array(numbers % 10 == 0),
            "at": micros.cast(pa.timestamp("us", tz="UTC")),
        }
    )


def dictionaries(rows: pa.RecordBatch, at: pa.DataType) -> list[dict[str, Any]]:
    """Return a dictionary for each row, with the time in a type of the caller's choice."""
    place = rows.schema.get_field_index("at")
    return rows.set_column(place, "at", rows.column(place).cast(at)).to_pylist()


def cpu_s() -> float:
    """Return the seconds of CPU that this process has used, in all of its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
