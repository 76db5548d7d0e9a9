"""How many rows an element stands for, whatever step it is on its way to."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.grouping import ROWS

__all__ = ["rows_in"]


def rows_in(value: Any) -> int:
    """Return how many rows there are in a batch, or were in those of a partial or a list of them.

    A runner asks it of what it drops for being late, so that rows are counted and not elements.
    What is none of these counts 1.
    """
    if isinstance(value, list):
        return sum(map(rows_in, value))
    if not isinstance(value, Batch):
        return 1
    if ROWS in value.schema.names:
        return int(pc.sum(value.column(ROWS)).as_py() or 0)
    return len(value)
