"""How fast messages go out: at a rate, or as they once came. Decisions are pure; one step waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import PUBLISH_TIME, message_column

__all__ = ["AsPublished", "Pace", "Paced", "Pacer", "Rate", "Wait"]

STEP_S = 0.1
"""Messages that are due within this time go out together."""


Clock: TypeAlias = Callable[[], float]
"""Seconds that only go forward."""


class Pacer(Protocol):
    """The schedule of one process; usable from several threads."""

    def schedule(self, batch: Batch, clock: Clock) -> Iterator[tuple[float, Batch]]:
        """Yield the parts of a batch in their order, each with the time when it is due.

        Args:
            batch: messages, or rows that carry theirs.
            clock: tells the time, which goes on between the parts.
        """


@dataclass(frozen=True)
class Rate:
    """So many messages a second, evenly; time in which there were none is not made up for."""

    per_s: float

    def __post_init__(self) -> None:
        if not self.per_s > 0:
            raise ConfigError("rate", self.per_s, "must be above 0", "Write for example 1000")

    def pacer(self) -> Pacer:
        """Return a schedule that begins with its first batch."""
        return _Evenly(self.per_s)


class _Evenly:
    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._free_s = 0.0
        self._guard = threading.Lock()

    def schedule(self, batch: Batch, clock: Clock) -> Iterator[tuple[float, Batch]]:
        for part in batch.split(max(1, int(self._per_s * STEP_S))):
            with self._guard:
                due_s = max(self._free_s, clock())
                self._free_s = due_s + len(part) / self._per_s
            yield due_s, part


@dataclass(frozen=True)
class AsPublished:
    """In the pace of the publish times, ``speed`` times as fast.

    Time starts with the first message of a process. What comes too late goes out at once; a
    message without a publish time goes with the one before.
    """

    speed: float = 1.0

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ConfigError(
                "speed", self.speed, "must be above 0", "Write for example 1 or 10"
            )  # fmt: skip

    def pacer(self) -> Pacer:
        """Return a schedule that begins with its first batch."""
        return _AsPublished(self.speed)


class _AsPublished:
    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began: tuple[float, int] | None = None
        self._guard = threading.Lock()

    def schedule(self, batch: Batch, clock: Clock) -> Iterator[tuple[float, Batch]]:
        times = message_column(batch, PUBLISH_TIME).cast(pa.int64())
        if times.null_count == len(times):
            yield clock(), batch
            return
        filled = pc.fill_null_backward(pc.fill_null_forward(times))
        micros = np.maximum.accumulate(filled.to_numpy(zero_copy_only=False))
        with self._guard:
            if self._began is None:
                self._began = (clock(), int(micros[0]))
        began_s, first_us = self._began
        due_s = began_s + (micros - first_us) / 1e6 / self._speed
        for start, stop in _runs(due_s):
            yield float(due_s[start]), batch.slice(start, stop - start)


def _runs(due_s: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of rows that go out together."""
    start = 0
    while start < len(due_s):
        stop = int(np.searchsorted(due_s, due_s[start] + STEP_S))
        yield start, max(stop, start + 1)
        start = max(stop, start + 1)


Pace: TypeAlias = Rate | AsPublished


class Paced(beam.PTransform):
    """Hold batches back until they are due, in parts that are due at about the same time.

    The pace is that of a process, whatever threads it has, and a bundle waits here: a source that
    is fused with this step reads no faster. Each process has a pace of its own, so that a job with
    several goes as many times as fast.

    Args:
        pace: a rate, or that of the publish times; None for no waiting.
    """

    def __init__(self, pace: Pace | None) -> None:
        super().__init__()
        self._pace = pace

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wait batch by batch."""
        if self._pace is None:
            return batches
        return batches | "Wait" >> beam.ParDo(Wait(self._pace)).with_output_types(Batch)


class Wait(beam.DoFn):
    """Waits; see ``Paced``.

    Args:
        pace: a rate, or that of the publish times.
        clock: seconds that only go forward.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        pace: Pace,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self._pace = pace
        self._shared = Shared()
        self._clock = clock
        self._sleep = sleep

    def setup(self) -> None:
        """Begin a schedule, or go on with that of another instance in this process."""
        self._pacer = self._shared.acquire(self._pace.pacer)

    def process(self, batch: Batch) -> Iterator[Batch]:
        """Yield the parts of a batch, each when it is due."""
        for due_s, part in self._pacer.schedule(batch, self._clock):
            wait_s = due_s - self._clock()
            if wait_s > 0:
                self._sleep(wait_s)
            yield part
