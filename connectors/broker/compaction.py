"""Giving disk back: what is still needed of a nearly empty segment is copied to the log's end.

So one old message does not hold a whole segment, nor the publish it came with: disk use stays
within about four times what is needed, beside the segment in use.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import numpy as np
import pyarrow as pa

from connectors.broker import limits, rows
from connectors.broker.commits import Commits
from connectors.broker.events import Block, Moved, Swept
from connectors.broker.frame import Entry
from connectors.broker.resources import Topic
from connectors.broker.state import State
from connectors.broker.store import Store

__all__ = ["Compaction"]


class Compaction:
    """Finds segments of which little is needed, and empties them."""

    def __init__(self, state: State, log: Store, commits: Commits) -> None:
        self._state, self._log, self._commits = state, log, commits

    async def run(self) -> None:
        """Empty the segments of which little is needed.

        Raises:
            Exhausted: the disk has no room for the copies.
            Unavailable: the log has failed.
        """
        for segment in self._sparse():
            await self._commits.commit(Swept())
            while any(await self._commits.commit_made(partial(self._step, segment))):
                pass

    def _sparse(self) -> list[int]:
        """Return the segments that are not in use and of which little is needed."""
        sizes = self._log.closed_bytes()
        if not sizes:
            return []
        live: defaultdict[int, float] = defaultdict(float)
        for topic in self._state.all_topics():
            blocks = topic.blocks
            counts = topic.need().counts(blocks.firsts, blocks.stops)
            needed = blocks.sizes_bytes * (counts / (blocks.stops - blocks.firsts))
            for segment in np.unique(blocks.segments).tolist():
                live[segment] += float(needed[blocks.segments == segment].sum())
        share = limits.SEGMENT_LIVE_SHARE_MIN
        few = [number for number, size in sizes.items() if live[number] < share * size]
        return [number for number in few if self._copied_bytes(number) < share * sizes[number]]

    def _copied_bytes(self, segment: int) -> float:
        """Return how much of a segment would be copied: of each block one run of messages."""
        total = 0.0
        for topic in self._state.all_topics():
            need = topic.need()
            for block in _blocks_in(topic, segment):
                low, high = need.span(block.first, block.first + block.messages)
                total += block.place.size_bytes * max(0, high - low) / block.messages
        return total

    def _step(self, segment: int) -> list[Entry]:
        """Return moves of some of a segment's blocks; none if there are no blocks left."""
        bundle: list[Entry] = []
        size_bytes = 0
        for topic in self._state.all_topics():
            need = topic.need()
            for block in _blocks_in(topic, segment):
                low, high = need.span(block.first, block.first + block.messages)
                if low >= high:
                    continue
                payload = self._copied(block, low, high)
                event = Moved(topic.uid, low, high - low, block.time_us, None, block.key)
                bundle.append((event, payload))
                size_bytes += len(payload)
                if size_bytes >= limits.MOVE_BYTES_MAX:
                    return bundle
        return bundle

    def _copied(self, block: Block, low: int, high: int) -> memoryview:
        """Return the rows of a run of a block's messages, as they are written."""
        payload = self._log.payload(block.place)
        if high - low == block.messages:
            return memoryview(payload)
        batch = pa.ipc.read_record_batch(payload, rows.STORED)
        return memoryview(batch.slice(low - block.first, high - low).serialize())


def _blocks_in(topic: Topic, segment: int) -> list[Block]:
    return [topic.blocks[n] for n in np.flatnonzero(topic.blocks.segments == segment).tolist()]
