"""The dead letter: one record for every step and every sink, and batches of it.

A rejected message is kept whole, bytes and attributes included, with the reason and the place,
so that it can be looked at, mended and replayed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.timestamp import Timestamp

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, message_column

__all__ = ["FAILED_AT", "FAILURE_SCHEMA", "SCHEMA_VERSION", "failed_at", "failures", "stamp"]

SCHEMA_VERSION = 1
FAILED_AT = pa.timestamp("us", tz="UTC")

FAILURE_SCHEMA = pa.schema(
    [
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("pipeline", pa.string()),
        pa.field("step", pa.string(), nullable=False),
        pa.field("error_kind", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("failed_at", FAILED_AT),
        *MESSAGE_SCHEMA,
    ]
)
"""Columns of a batch of failures: the reason, then the message as it arrived."""


def failures(rejected: Batch, step: str, errors: Sequence[tuple[str, str]]) -> Batch:
    """Return the dead letters of rejected rows.

    ``pipeline`` and ``failed_at`` stay null until a sink stamps them: transforms have no clock.

    Args:
        rejected: messages, or typed rows that still carry theirs.
        step: the name of the step that rejects.
        errors: kind and text for each row, such as ``("malformed_json", "byte 17: ...")``.
    """
    if len(errors) != len(rejected):
        raise ValueError(f"{len(rejected)} rejected rows but {len(errors)} errors")
    count = len(rejected)
    columns = [
        pa.array([SCHEMA_VERSION] * count, pa.int32()),
        pa.nulls(count, pa.string()),
        pa.array([step] * count, pa.string()),
        pa.array([kind for kind, _ in errors], pa.string()),
        pa.array([text for _, text in errors], pa.string()),
        pa.nulls(count, FAILED_AT),
        *(message_column(rejected, name) for name in MESSAGE_SCHEMA.names),
    ]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=FAILURE_SCHEMA))


def stamp(dead: Batch, pipeline: str, now: dt.datetime) -> Batch:
    """Fill in the pipeline's name and the time of the failure, as a sink does before it writes.

    Failures that have them, because they are kept once more, keep theirs.
    """
    names = pc.fill_null(dead.column("pipeline"), pipeline)
    times = pc.fill_null(dead.column("failed_at"), pa.scalar(now, FAILED_AT))
    return dead.with_column("pipeline", names).with_column("failed_at", times)


def failed_at(dead: Batch) -> Timestamp:
    """Return the time of the first failure; 1970 if none is known."""
    micros = pc.min(dead.column("failed_at")).cast(pa.int64()).as_py()
    return Timestamp(micros=micros or 0)
