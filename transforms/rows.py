"""Batches to dictionaries and back, for code that must look at one row at a time.

One row costs microseconds here and nanoseconds in a batch: keep such code to where it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.failure import failures
from transforms.fitting import Errors, Row, fit
from transforms.message import DATA, MESSAGE, MESSAGE_SCHEMA

__all__ = ["FromRows", "Made", "ToRows", "dead_letters"]

DICTIONARIES_AT_ONCE = 1_024


class ToRows(beam.PTransform):
    """Turn each row of a batch into a dictionary.

    Typed rows have their message under ``_message``; ``Project`` it away where it isn't needed.
    """

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Row]:
        """Wire the conversion."""
        return batches | beam.FlatMap(_to_rows).with_output_types(dict[str, Any])


def _to_rows(batch: Batch) -> Iterator[Row]:
    for part in batch.split(DICTIONARIES_AT_ONCE):
        yield from part.to_pylist()


def dead_letters(rows: Sequence[Row], step: str, errors: Errors) -> Batch:
    """Return the failures of those rows that have an error: their messages, or their JSON text."""
    bad = sorted(errors)
    envelope = [_message(rows[index]) for index in bad]
    messages = Batch.from_pylist(envelope, MESSAGE_SCHEMA)
    return failures(messages, step, [errors[index] for index in bad])


def _message(row: Row) -> Row:
    carried = row.get(MESSAGE) if isinstance(row, dict) else None
    if isinstance(carried, dict) and not fit([carried], MESSAGE_SCHEMA)[1]:
        return carried
    return {DATA: _text(row)}


def _text(row: Row) -> bytes:
    try:
        # What JSON lacks, such as times, is written as Python shows it.
        return json.dumps(row, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        return repr(row).encode(errors="backslashreplace")


class Made(NamedTuple):
    """What ``FromRows`` gives: batches, and the failures of rows that don't fit."""

    ok: beam.PCollection[Batch]
    dead: beam.PCollection[Batch]


class FromRows(beam.PTransform):
    """Gather dictionaries to batches of a schema.

    A batch holds rows of one bundle and one window, and has the earliest of their timestamps, so
    that nothing in it becomes late. A row that doesn't fit goes to dead: its message, if it has
    one under ``_message``, else its JSON text.

    Guarantees: each row is in exactly one output; the order is kept within a bundle and window.
    State is bounded by ``rows_max`` dictionaries per window of a bundle.
    """

    def __init__(self, schema: pa.Schema, rows_max: int = 4_096, step: str = "FromRows") -> None:
        """Describe the batches.

        Args:
            schema: the columns to make; other keys of a row are ignored.
            rows_max: rows after which a batch is full.
            step: the name of this step in dead letters.
        """
        super().__init__()
        if rows_max < 1:
            raise ConfigError("rows_max", rows_max, "must be at least 1", "Use 4096")
        self._schema = schema
        self._rows_max = rows_max
        self._step = step

    def expand(self, rows: beam.PCollection[Row]) -> Made:
        """Wire the buffers."""
        gather = beam.ParDo(_Gather(self._schema, self._rows_max, self._step))
        typed = gather.with_output_types(Batch, dead=Batch)
        outputs = rows | typed.with_outputs("dead", main="ok")
        return Made(outputs.ok, outputs.dead)


class _Buffer:
    """Rows of one window and their earliest timestamp."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.earliest: Timestamp | None = None

    def add(self, row: Row, timestamp: Timestamp) -> None:
        self.rows.append(row)
        self.earliest = timestamp if self.earliest is None else min(self.earliest, timestamp)


class _Gather(beam.DoFn):
    def __init__(self, schema: pa.Schema, rows_max: int, step: str) -> None:
        self._schema = schema
        self._rows_max = rows_max
        self._step = step

    def start_bundle(self) -> None:
        self._buffers: dict[BoundedWindow, _Buffer] = {}

    def process(
        self,
        row: Row,
        window: BoundedWindow = beam.DoFn.WindowParam,
        timestamp: Timestamp = beam.DoFn.TimestampParam,
    ) -> Iterable[WindowedValue | beam.pvalue.TaggedOutput]:
        buffer = self._buffers.setdefault(window, _Buffer())
        buffer.add(row, timestamp)
        if len(buffer.rows) < self._rows_max:
            return ()
        return self._flush(window)

    def finish_bundle(self) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        for window in list(self._buffers):
            yield from self._flush(window)

    def _flush(self, window: BoundedWindow) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        buffer = self._buffers.pop(window)
        ok, errors = fit(buffer.rows, self._schema)
        if len(ok):
            yield WindowedValue(ok, buffer.earliest, (window,))
        if errors:
            metrics.DEAD_LETTERS.inc(len(errors))
            dead = dead_letters(buffer.rows, self._step, errors)
            yield beam.pvalue.TaggedOutput("dead", WindowedValue(dead, buffer.earliest, (window,)))
