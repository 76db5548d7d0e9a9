"""Elements that wait between two stages, in memory within an epoch and in the store beyond it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from runners.local.panes import release
from runners.local.store import Chunk, Store

__all__ = ["Item", "Pending"]

MEMORY_BYTES_MAX = 128 << 20
"""Chunks that may stay in memory when an epoch ends; the others are read again when taken."""


@dataclass
class Item:
    """A chunk at a port.

    Attributes:
        chunk: the elements.
        epoch: the first epoch in which they may be taken.
        number: of the stored chunk, None while it was never stored.
        checked: what its side inputs were like when it was last found not to be ready.
        windows: those of its elements, if they are known: what there is to wait for.
        read: its data is in the store, and was read from there when it was taken.
    """

    chunk: Chunk
    epoch: int
    number: int | None = None
    checked: tuple[object, ...] | None = None
    windows: Collection[Any] | None = None
    read: bool = False

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return len(self.chunk.data) if self.chunk.data is not None else 0


class Pending:
    """The chunks of all ports.

    Args:
        store: keeps what is still here when an epoch ends.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._items: dict[str, deque[Item]] = defaultdict(deque)
        self._holds: dict[str, int | None] = {}

    def reload(self, epoch: int) -> None:
        """Forget what is in memory and take what is in the store; all of it may be taken now."""
        self._items.clear()
        self._holds.clear()
        for number, port, chunk in self._store.chunks():
            self._items[port].append(Item(chunk, epoch, number))

    @property
    def ports(self) -> list[str]:
        """The ports at which something waits."""
        return [port for port, items in self._items.items() if items]

    def add(self, port: str, chunk: Chunk, epoch: int) -> None:
        """Let a chunk wait at a port until this epoch at least."""
        self._items[port].append(Item(chunk, epoch))
        self._holds.pop(port, None)

    def put_back(self, port: str, items: Iterable[Item]) -> None:
        """Return items that were taken and not used, ahead of the others."""
        returned = list(items)
        for item in returned:
            if item.read:
                item.chunk, item.read = replace(item.chunk, data=None), False
        self._items[port].extendleft(reversed(returned))
        self._holds.pop(port, None)

    def has(self, port: str, epoch: int, now_us: int) -> bool:
        """Tell whether anything may be taken."""
        return any(_is_due(item, epoch, now_us) for item in self._items[port])

    def take(
        self,
        port: str,
        epoch: int,
        now_us: int,
        bytes_max: int,
        is_wanted: Callable[[Item], bool] = lambda _: True,
    ) -> list[Item]:
        """Remove and return what may be taken, oldest first, until the bytes are reached.

        A later ``discard`` removes it from the store too.

        Args:
            port: where it waits.
            epoch: the one at work.
            now_us: processing time.
            bytes_max: no more is taken behind so much data.
            is_wanted: is asked of each item before its data is read from the store.
        """
        items = self._items[port]
        taken: list[Item] = []
        kept: list[Item] = []
        size = 0
        while items and size < bytes_max:
            item = items.popleft()
            if _is_due(item, epoch, now_us) and is_wanted(item):
                self._load(item)
                taken.append(item)
                size += item.nbytes
            else:
                kept.append(item)
        items.extendleft(reversed(kept))
        if taken:
            self._holds.pop(port, None)
        return taken

    def discard(self, items: Iterable[Item]) -> None:
        """Remove what was processed from the store, with the values that belong to it."""
        for item in items:
            if item.number is not None:
                self._store.remove_chunk(item.number)
            if item.chunk.bag is not None:
                release(self._store, item.chunk.bag)

    def hold_us(self, port: str) -> int | None:
        """Return the earliest time at which anything here holds the watermark."""
        if port not in self._holds:
            holds = (item.chunk.hold_us for item in self._items[port])
            self._holds[port] = min(holds, default=None)
        return self._holds[port]

    def next_due_us(self, epoch: int) -> int | None:
        """Return the processing time at which the next chunk may be taken in this epoch."""
        times = (
            item.chunk.due_us
            for items in self._items.values()
            for item in items
            if item.epoch <= epoch and item.checked is None
        )
        return min(times, default=None)

    def save(self) -> None:
        """Store what was never stored, and keep no more in memory than allowed."""
        room = MEMORY_BYTES_MAX
        for port, items in self._items.items():
            for item in items:
                if item.number is None:
                    item.number = self._store.add_chunk(port, item.chunk)
                room -= item.nbytes
                if room < 0 and item.nbytes:
                    item.chunk = replace(item.chunk, data=None)

    def _load(self, item: Item) -> None:
        if item.chunk.data is None and item.number is not None:
            item.chunk = replace(item.chunk, data=self._store.chunk_data(item.number))
            item.read = True


def _is_due(item: Item, epoch: int, now_us: int) -> bool:
    return item.epoch <= epoch and item.chunk.due_us <= now_us
