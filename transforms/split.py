"""Cut a batch into parts by a number per row, with as little copying as its order allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.batch import Batch
from transforms.event_time import Micros

__all__ = ["Part", "split_by"]

Part = tuple[Batch, int]
"""Some rows, and the earliest of their event times in microseconds."""


def split_by(batch: Batch, times: Micros, part_of_row: npt.NDArray[np.int64]) -> Iterator[Part]:
    """Yield the rows of each part, parts in the order of their numbers, rows in that of arrival.

    Rows that come sorted by part cost no copy: slices are cut. Others are gathered once. Numbers
    close to each other are sorted in linear time.

    Args:
        batch: at least one row.
        times: the event time of each row.
        part_of_row: rows with the same number stay together.
    """
    steps = np.diff(part_of_row)
    if steps.min(initial=0) < 0:
        order = np.argsort(_narrow(part_of_row), kind="stable")
        batch, times = batch.take(pa.array(order)), times[order]
        steps = np.diff(part_of_row[order])
    starts = np.concatenate(([0], np.flatnonzero(steps) + 1))
    earliest = np.minimum.reduceat(times, starts)
    lengths = np.diff(starts, append=len(times))
    for start, length, first in zip(
        starts.tolist(), lengths.tolist(), earliest.tolist(), strict=True
    ):
        yield batch.slice(start, length), first


def _narrow(numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    # numpy sorts 16-bit integers by radix.
    low = numbers.min()
    fits = numbers.max() - low <= np.iinfo(np.uint16).max
    return (numbers - low).astype(np.uint16) if fits else numbers
