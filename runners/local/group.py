"""One key in one window: how far its trigger is, and which values wait."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import msgspec

from runners.local.keys import join
from runners.local.panes import lend, retire
from runners.local.store import Bag, Store

__all__ = ["Group", "Values", "decode_group", "encode_group"]

_INLINE_MAX = 1 << 10
"""Values of a group up to this size are kept with its state, in one row."""

_PANE_INLINE_MAX = 256 << 10
"""Values of a pane up to this size are copied into its chunk."""

_number_code = Struct(">Q").pack


class Group(msgspec.Struct, array_like=True, gc=False):
    """What is stored of a key in a window.

    Attributes:
        trigger: the numbers of its trigger.
        unfired: elements since the last pane.
        panes: how many were fired.
        closing_panes: how many of them when the watermark had passed the window.
        closed: the trigger has finished; elements are dropped.
        output_us: the timestamp of the next pane, None if no element gave one.
        holds: the timestamp lay ahead of the watermark, which therefore waits for the pane.
        clock_us: the processing time it awaits.
        count: values that the next pane consists of.
        nbytes: their size.
        inline: the values, unless they are in a cell.
        cell: number of the cell of the values, 0 for none.
        upto: last row in it.
        lent: panes have referred to the cell, and may still do.
    """

    trigger: list[int]
    unfired: int = 0
    panes: int = 0
    closing_panes: int = 0
    closed: bool = False
    output_us: int | None = None
    holds: bool = False
    clock_us: int | None = None
    count: int = 0
    nbytes: int = 0
    inline: bytes = b""
    cell: int = 0
    upto: int = 0
    lent: bool = False


encode_group = msgspec.msgpack.Encoder().encode
decode_group = msgspec.msgpack.Decoder(Group).decode


class Values:
    """The values of the groups of one grouping, in the store.

    Few and small ones are kept with the group itself. Others get a cell of their own, a row for
    each call of `add`; what is fired never shares a cell with what comes later, unless panes
    accumulate.

    Args:
        store: where they are.
        name: of the grouping, unique in the store.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._prefix = b"g" + join(name.encode())
        self._counter = f"cells:{name}"
        self._last: int | None = None

    def add(self, group: Group, parts: Sequence[bytes | memoryview], count: int) -> None:
        """Add values, encoded and nested; ``parts`` are to be joined."""
        size = sum(map(len, parts))
        group.count += count
        group.nbytes += size
        if not group.cell and group.nbytes <= _INLINE_MAX:
            group.inline = b"".join((group.inline, *parts))
            return
        if not group.cell:
            group.cell = self._next_cell()
            if group.inline:
                parts, group.inline = [group.inline, *parts], b""
        # A single large value goes to the store from where it lies.
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        group.upto = self._store.append(self._cell(group.cell), data)

    def take(self, group: Group) -> bytes | Bag:
        """Remove the values and return them, or a bag that owns them if they are many."""
        if not group.cell:
            values: bytes | Bag = group.inline
        elif group.nbytes <= _PANE_INLINE_MAX:
            values = self._read(group)
            self._drop_cell(group)
        elif group.lent:
            values = self._lend(group)
            self._drop_cell(group)
        else:
            values = Bag(self._cell(group.cell), group.upto, group.count, group.nbytes, owned=True)
        self._clear(group)
        return values

    def look(self, group: Group) -> bytes | Bag:
        """Return the values, or a bag that refers to them if they are many; they stay."""
        if not group.cell:
            return group.inline
        return self._read(group) if group.nbytes <= _PANE_INLINE_MAX else self._lend(group)

    def drop(self, group: Group) -> None:
        """Remove the values."""
        if group.cell:
            self._drop_cell(group)
        self._clear(group)

    def merge(self, group: Group, other: Group) -> None:
        """Move the values of another group to this one; the smaller part is copied."""
        if other.cell and other.nbytes > group.nbytes:
            for name in ("count", "nbytes", "inline", "cell", "upto", "lent"):
                mine, its = getattr(group, name), getattr(other, name)
                setattr(group, name, its)
                setattr(other, name, mine)
        if not other.cell:
            if other.count:
                self.add(group, [other.inline] if other.inline else [], other.count)
            self._clear(other)
            return
        cell = self._cell(other.cell)
        after = 0
        while after < other.upto:
            rows = self._store.read(cell, after=after, upto=other.upto, bytes_max=1 << 20)
            self.add(group, [data for _, data in rows], 0)
            after = rows[-1][0]
        group.count += other.count
        self.drop(other)

    def _read(self, group: Group) -> bytes:
        return b"".join([data for _, data in self._store.read(self._cell(group.cell))])

    def _lend(self, group: Group) -> Bag:
        cell = self._cell(group.cell)
        lend(self._store, cell)
        group.lent = True
        return Bag(cell, group.upto, group.count, group.nbytes, owned=False)

    def _drop_cell(self, group: Group) -> None:
        if group.lent:
            retire(self._store, self._cell(group.cell))
        else:
            self._store.delete(self._cell(group.cell))

    def _clear(self, group: Group) -> None:
        group.count = group.nbytes = group.cell = group.upto = 0
        group.inline, group.lent = b"", False

    def _cell(self, number: int) -> bytes:
        return self._prefix + _number_code(number)

    def _next_cell(self) -> int:
        """Return a number that no cell of this grouping has had; a rollback may leave some out."""
        if self._last is None:
            self._last = int(self._store.get(self._counter) or 0)
        self._last += 1
        self._store.put(self._counter, b"%d" % self._last)
        return self._last
