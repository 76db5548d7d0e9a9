"""An archive in the order of publishing: which files to read for which span of time. Pure.

Files of an archive overlap in time: shards and late panes do. To read all of them at once would
take the memory of all of them, so that time is cut where few files overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, PUBLISH_TIME

__all__ = ["Extent", "Span", "extent", "merged", "spans"]


ROWS_MAX = 4_096
"""Messages of one batch."""


class Extent(NamedTuple):
    """A file, its size in memory, and the publish times of its messages in microseconds."""

    path: str
    bytes: int
    first_us: int
    last_us: int


@dataclass(frozen=True)
class Span:
    """A span of time, from ``start_us`` to before ``stop_us``, and the files that have a part."""

    start_us: int
    stop_us: int
    paths: tuple[str, ...]

    def within(self, since_us: int | None, until_us: int | None) -> Span | None:
        """Return the part of the span between two times, None if it is empty."""
        start = self.start_us if since_us is None else max(self.start_us, since_us)
        stop = self.stop_us if until_us is None else min(self.stop_us, until_us)
        return replace(self, start_us=start, stop_us=stop) if start < stop else None


def extent(path: str, batches: Iterable[Batch]) -> Extent | None:
    """Return what a file holds, None if it holds no message.

    A message without a publish time has the time of the one before, or else the next.
    """
    size, first, last = 0, [], []
    for batch in batches:
        size += batch.nbytes
        times = pc.min_max(batch.column(PUBLISH_TIME).cast(pa.int64())).as_py()
        if times["min"] is not None:
            first.append(times["min"])
            last.append(times["max"])
    if not size:
        return None
    return Extent(path, size, min(first, default=0), max(last, default=0))


def spans(files: Sequence[Extent], bytes_max: int) -> list[Span]:
    """Cut time so that the files of a span have about ``bytes_max``, and no cut is needless.

    Time is cut where a file begins: between files that don't overlap, or, if they have too many
    bytes, through those that do; these are then read for both spans.
    """
    by_time = sorted(files, key=lambda file: (file.first_us, file.path))
    starts: list[int] = []
    size, last_us = 0, 0
    for file in by_time:
        apart, full = file.first_us > last_us, size + file.bytes > bytes_max
        if not starts or (file.first_us > starts[-1] and (apart or full)):
            starts.append(file.first_us)
            size = 0
        size += file.bytes
        last_us = max(last_us, file.last_us)
    stops = [*starts[1:], last_us + 1] if starts else []
    return [
        Span(start, stop, tuple(
            file.path for file in by_time if file.first_us < stop and file.last_us >= start
        ))
        for start, stop in zip(starts, stops, strict=True)
    ]  # fmt: skip


def merged(span: Span, files: Iterable[Iterable[Batch]]) -> Iterator[Batch]:
    """Yield the messages of a span in the order of publishing.

    Messages of one time stay in the order of the files and of their rows.

    Args:
        span: its times count, not its paths.
        files: the batches of each of its files.
    """
    parts, times = [], []
    for file in files:
        rows = pa.Table.from_batches([batch.rows for batch in file], MESSAGE_SCHEMA)
        if not len(rows):
            continue
        own = _times(rows.column(PUBLISH_TIME).combine_chunks())
        inside = (own >= span.start_us) & (own < span.stop_us)
        parts.append(rows.filter(pa.array(inside)))
        times.append(own[inside])
    together = pa.concat_tables(parts) if parts else MESSAGE_SCHEMA.empty_table()
    order = np.argsort(np.concatenate([*times, np.zeros(0, np.int64)]), kind="stable")
    for rows in together.take(pa.array(order)).combine_chunks().to_batches(ROWS_MAX):
        yield Batch(rows)


def _times(values: pa.Array) -> np.ndarray:
    filled = pc.fill_null(pc.fill_null_backward(pc.fill_null_forward(values.cast(pa.int64()))), 0)
    return filled.to_numpy(zero_copy_only=False)
