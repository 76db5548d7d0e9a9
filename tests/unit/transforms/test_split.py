"""Cutting by a number per row: slices where the order allows, one gathering otherwise."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.batch import Batch
from transforms.split import split_by


def cut(numbers: list[int], times: list[int]) -> list[tuple[list[int], int]]:
    """Return the rows of each part by their position, and the earliest time."""
    batch = Batch(pa.record_batch({"row": pa.array(range(len(numbers)), pa.int64())}))
    parts = split_by(batch, np.array(times, np.int64), np.array(numbers, np.int64))
    return [(part.column("row").to_pylist(), first) for part, first in parts]


@pytest.mark.parametrize(
    ("numbers", "parts"),
    [
        ([7], [([0], 50)]),
        ([1, 1, 2], [([0, 1], 40), ([2], 30)]),
        ([2, 1, 2, 1], [([1, 3], 20), ([0, 2], 30)]),
        # Too far apart for 16 bits.
        ([10**15, -(10**15), 10**15], [([1], 40), ([0, 2], 30)]),
        ([65_536, 0, 65_536, 0], [([1, 3], 20), ([0, 2], 30)]),
    ],
)
def test_parts(numbers: list[int], parts: list[tuple[list[int], int]]) -> None:
    """Parts come by number, rows in order of arrival, with the earliest time of each part."""
    assert cut(numbers, [50, 40, 30, 20][: len(numbers)]) == parts


def test_sorted_rows_are_not_copied() -> None:
    """Slices share the buffers of the batch."""
    batch = Batch(pa.record_batch({"row": pa.array([1, 2, 3])}))
    address = batch.column("row").buffers()[1].address
    for part, _ in split_by(batch, np.array([1, 2, 3]), np.array([0, 0, 1])):
        assert part.column("row").buffers()[1].address == address
