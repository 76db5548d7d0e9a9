"""A log without files: rows stay in memory as long as somebody needs them, events are not kept.

It is as fast as memory, and nothing survives the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import pyarrow as pa

from connectors.broker import frame
from connectors.broker.counters import LogCounts
from connectors.broker.events import Checkpoint, Event, Moved, Place, Published
from connectors.broker.store import Disk

__all__ = ["MemoryLog"]


class MemoryLog:
    """Rows of publishes; the offset of a place is a number that tells them apart."""

    failure = None
    synced = True

    def __init__(self) -> None:
        self.size_bytes = 0
        self.counts = LogCounts()
        self._rows: dict[int, pa.Buffer] = {}
        self._next = 1

    def recover(self) -> Iterator[Event]:
        """Yield an empty checkpoint: nothing was kept."""
        yield Checkpoint(1, [], [])

    def write(self, bundles: list[list[frame.Entry]]) -> list[list[Place]]:
        """Keep the rows of publishes and moves; return where they are."""
        return [[self._kept(*entry) for entry in bundle] for bundle in bundles]

    def rotate(self, checkpoint: Checkpoint) -> None:  # noqa: ARG002 - nothing is written
        """Begin to count anew what was written, so that the state is swept now and then."""
        self.size_bytes = 0

    def sync(self) -> None:
        """Do nothing: there is nothing to sync."""

    def payload(self, place: Place) -> pa.Buffer:
        """Return rows, in place."""
        return self._rows[place.offset]

    def keep(self, place: Place) -> None:
        """Do nothing: all rows are kept until they are released."""

    def release(self, places: Iterable[Place]) -> None:
        """Let go of rows."""
        for place in places:
            self._rows.pop(place.offset, None)

    def closed_bytes(self) -> dict[int, int]:
        """Return nothing: no rows are held by others."""
        return {}

    def check_room(self, size_bytes: int) -> None:
        """Let everything pass: what memory there is only the system knows."""

    def has_room(self, size_bytes: int) -> bool:  # noqa: ARG002 - see check_room
        """Tell that there is room."""
        return True

    def close(self) -> None:
        """Let go of all rows."""
        self._rows.clear()

    def disk(self) -> Disk:
        """Return what the rows take, and the memory that is free."""
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        taken = sum(rows.size for rows in self._rows.values())
        return Disk(0, taken, free, self.counts)

    def _kept(self, event: Event, rows: bytes | memoryview) -> Place:
        if not isinstance(event, (Published, Moved)):
            return Place(0, 0, 0)
        number, self._next = self._next, self._next + 1
        self._rows[number] = pa.py_buffer(rows)
        self.size_bytes += len(rows)
        self.counts.written_bytes += len(rows)
        return Place(0, number, len(rows))
