"""The edges in memory: sources and sinks of the same shape as the real ones, for tests.

    messages = pipeline | memory.Read([batch, another])     # in place of pubsub.Read
    outcome = rows | memory.Write("rows")                   # in place of pubsub.Write
    ...
    assert memory.written("rows") == [expected]

They work on every runner that executes in this process, such as the FnApiRunner, also with
several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from transforms.batch import Batch
from transforms.message import PUBLISH_TIME, earliest_publish_time

__all__ = ["Read", "Write", "Written", "written"]

_guard = threading.Lock()
_arrived: dict[str, list[Batch]] = {}


@dataclass(eq=False)
class Read(beam.PTransform):
    """Read the batches, as they are.

    Args:
        batches: of messages or of anything else.
        timestamps: one for each batch, in seconds. By default a batch of messages has its
            earliest publish time, as ``pubsub.Read`` gives it, and any other the earliest time.
    """

    batches: Sequence[Batch]
    timestamps: Sequence[float | Timestamp] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        times = self.timestamps
        if times is None:
            times = [_timestamp(batch) for batch in self.batches]
        if len(times) != len(self.batches):
            raise ValueError(f"{len(self.batches)} batches but {len(times)} timestamps")
        self._timed = list(zip(times, self.batches, strict=True))

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """Emit from a single impulse."""
        return begin | beam.Impulse() | beam.ParDo(_Emit(self._timed)).with_output_types(Batch)


class Written(NamedTuple):
    """What ``pubsub.Write`` returns, too: every row is in exactly one of the two."""

    ok: beam.PCollection[Batch]
    """All rows: memory takes everything."""
    dead: beam.PCollection[Batch]
    """Empty."""


@dataclass(eq=False)
class Write(beam.PTransform):
    """Keep the batches for ``written``.

    Args:
        name: under which they are found. A new ``Write`` forgets those of an earlier one.
    """

    name: str

    def __post_init__(self) -> None:
        super().__init__()
        with _guard:
            _arrived[self.name] = []

    def expand(self, batches: beam.PCollection[Batch]) -> Written:
        """Keep each batch and pass it on."""
        keep = beam.ParDo(_Keep(self.name)).with_output_types(Batch, dead=Batch)
        outputs = batches | keep.with_outputs("dead", main="ok")
        return Written(outputs.ok, outputs.dead)


def written(name: str) -> list[Batch]:
    """Return the batches that arrived at ``Write(name)`` in this process, in order of arrival.

    Raises:
        KeyError: there was no such ``Write``.
    """
    with _guard:
        return list(_arrived[name])


def _timestamp(batch: Batch) -> Timestamp:
    holds_messages = PUBLISH_TIME in batch.schema.names
    return earliest_publish_time(batch) if holds_messages else MIN_TIMESTAMP


class _Emit(beam.DoFn):
    def __init__(self, timed: list[tuple[float | Timestamp, Batch]]) -> None:
        super().__init__()
        self._timed = timed

    def process(self, element: bytes) -> Iterator[TimestampedValue]:
        del element  # an impulse carries nothing
        for timestamp, batch in self._timed:
            yield TimestampedValue(batch, timestamp)


class _Keep(beam.DoFn):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def process(self, batch: Batch) -> Iterator[Batch]:
        with _guard:
            _arrived[self._name].append(batch)
        yield batch
