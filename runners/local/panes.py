"""Panes on their way to the next stage: encoded, or with their values left in the store."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from apache_beam.coders import WindowedValueCoder
from apache_beam.coders.coders import SingletonCoder
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfo, WindowedValue

from runners.local.store import Bag, Chunk, Store
from runners.local.windows import Window, whole_millis

__all__ = ["PaneTuple", "Panes", "lend", "release", "retire", "values_of"]

_CHUNK_BYTES = 1 << 20
_PAGE_BYTES = 1 << 20
_HEADERS_MAX = 1_000
_NO_HOLD = 2**63 - 1

PaneTuple = tuple[bool, bool, int, int, int]
"""The arguments of Beam's PaneInfo, which is costly to make for each of many equal panes."""

_count_code = Struct(">i").pack
_lent_code = Struct(">q?")


class Panes:
    """Collects panes as chunks for the next stage.

    Args:
        window_coder: of the windows, as the next stage reads them.
    """

    def __init__(self, window_coder: Any) -> None:
        # A windowed value of no value at all: what stands before the value.
        self._header = WindowedValueCoder(SingletonCoder(None), window_coder).get_impl()
        self._headers: dict[tuple[bytes, int, PaneTuple], bytes] = {}
        self._chunks: list[Chunk] = []
        self._parts: list[bytes] = []
        self._nbytes, self._hold_us = 0, _NO_HOLD

    @property
    def chunks(self) -> int:
        """How many chunks are full and not taken."""
        return len(self._chunks)

    def add(
        self, window: Window, time_us: int, info: PaneTuple, key: bytes, values: tuple[int, bytes]
    ) -> None:
        """Add a pane.

        Args:
            window: of the pane.
            time_us: its timestamp.
            info: its place among the panes of its window.
            key: encoded, nested.
            values: how many there are, and all of them encoded, nested, back to back.
        """
        header = self._header_of(window, time_us, info)
        count, encoded = values
        self._parts += (header, key, _count_code(count), encoded)
        self._nbytes += len(header) + len(key) + 4 + len(encoded)
        self._hold_us = min(self._hold_us, whole_millis(time_us))
        if self._nbytes >= _CHUNK_BYTES:
            self._flush()

    def add_bag(self, window: Window, time_us: int, info: PaneTuple, key: bytes, bag: Bag) -> None:
        """Add a pane whose values stay in the store."""
        self._flush()
        self._chunks.append(
            Chunk(
                self._header_of(window, time_us, info) + key,
                hold_us=whole_millis(time_us),
                bag=bag,
            )
        )

    def take(self) -> list[Chunk]:
        """Return the panes that were added since, in order."""
        self._flush()
        taken, self._chunks = self._chunks, []
        return taken

    def drop(self) -> None:
        """Forget the panes that were not taken."""
        self._chunks = []
        self._clear()

    def _header_of(self, window: Window, time_us: int, info: PaneTuple) -> bytes:
        """Return the encoding of everything before the value; panes of a window share it."""
        pane = window.code, time_us, info
        header = self._headers.get(pane)
        if header is None:
            if len(self._headers) >= _HEADERS_MAX:
                self._headers.clear()
            time, pane_info = Timestamp(micros=time_us), PaneInfo(*info)
            windowed = WindowedValue(None, time, (window.beam,), pane_info)
            header = self._headers[pane] = self._header.encode_nested(windowed)
        return header

    def _flush(self) -> None:
        if self._parts:
            self._chunks.append(Chunk(b"".join(self._parts), hold_us=self._hold_us))
            self._clear()

    def _clear(self) -> None:
        self._parts = []
        self._nbytes, self._hold_us = 0, _NO_HOLD


def values_of(store: Store, bag: Bag) -> Iterator[bytes]:
    """Yield the values of a bag: encoded, nested, back to back, in parts between two values.

    Of a part and the next, one is in memory at a time, a MiB or one row if that is larger.
    """
    after = 0
    while after < bag.upto:
        rows = store.read(bag.cell, after=after, upto=bag.upto, bytes_max=_PAGE_BYTES)
        if not rows:
            return
        for _, data in rows:
            yield data
        after = rows[-1][0]


def release(store: Store, bag: Bag) -> None:
    """Let go of a bag whose values were used; call it once for every bag of a chunk.

    The values go as soon as nobody needs them: accumulating panes of a window share theirs.
    """
    if bag.owned:
        store.delete(bag.cell, upto=bag.upto)
        return
    count, retired = _lent(store, bag.cell)
    if count > 1:
        _note(store, bag.cell, count - 1, retired)
        return
    store.put(_name(bag.cell), None)
    if retired:
        store.delete(bag.cell)


def lend(store: Store, cell: bytes) -> None:
    """Note that one more bag refers to a cell that goes on being used."""
    count, retired = _lent(store, cell)
    _note(store, cell, count + 1, retired)


def retire(store: Store, cell: bytes) -> None:
    """Delete a cell, now or when the last bag that refers to it is released."""
    count, _ = _lent(store, cell)
    if count:
        _note(store, cell, count, True)
    else:
        store.delete(cell)


def _lent(store: Store, cell: bytes) -> tuple[int, bool]:
    """Return how many bags refer to a cell, and whether nothing else does."""
    noted = store.get(_name(cell))
    if noted is None:
        return 0, False
    count, retired = _lent_code.unpack(noted)
    return count, retired


def _note(store: Store, cell: bytes, count: int, retired: bool) -> None:
    store.put(_name(cell), _lent_code.pack(count, retired))


def _name(cell: bytes) -> str:
    return f"lent:{cell.hex()}"
