"""Reading what is to be delivered: positions of a topic to rows, in place in the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.backlog import Positions
from connectors.broker.state import Topic
from connectors.broker.store import Store

__all__ = ["fitting"]


def fitting(
    log: Store, topic: Topic, positions: Positions, size_bytes_max: int
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    """Return the rows of the first positions that fit, at least one, and their sizes."""
    parts: list[pa.RecordBatch] = []
    sizes: list[npt.NDArray[np.int64]] = []
    room = size_bytes_max
    for part in _parts(log, topic, positions):
        size = rows.sizes_bytes(part)
        until = np.cumsum(size)
        fit = int(np.searchsorted(until, room, side="right"))
        if fit == 0 and not parts:
            fit = 1
        parts.append(part.slice(0, fit))
        sizes.append(size[:fit])
        if fit < part.num_rows:
            break
        room -= int(until[-1])
    return rows.join(parts), np.concatenate(sizes)


def _parts(log: Store, topic: Topic, positions: Positions) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ascending positions, block by block, read in place."""
    at = 0
    while at < positions.size:
        block = topic.blocks[topic.blocks.index(int(positions[at]))]
        stop = int(np.searchsorted(positions, block.first + block.messages))
        own = positions[at:stop] - block.first
        batch = pa.ipc.read_record_batch(log.payload(block.place), rows.STORED)
        if own[-1] - own[0] + 1 == own.size:
            yield batch.slice(int(own[0]), own.size)
        else:
            yield batch.take(rows.numbers(own, pa.int64()))
        at = stop
