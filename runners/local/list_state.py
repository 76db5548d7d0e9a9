"""Ordered list state: a cell for each sort key, whose last part sorts as the sort key does."""

from __future__ import annotations

from collections import defaultdict
from struct import Struct
from typing import TYPE_CHECKING, Any

from runners.local.internals import coder_impl
from runners.local.keys import list_state
from runners.local.paging import PAGE_BYTES, Page

if TYPE_CHECKING:
    from runners.local.store import Store

__all__ = ["append", "clear", "read"]

# Sort keys are signed 64-bit numbers; shifted, their bytes sort as they do.
_SORT = Struct(">Q")
_SHIFT = 1 << 63
_TOKEN = Struct(">Qq")
_CELLS = 1_000

_ENTRY = coder_impl.TupleCoderImpl(
    [coder_impl.VarIntCoderImpl(), coder_impl.LengthPrefixCoderImpl(coder_impl.BytesCoderImpl())]
)


def append(store: Store, key: Any, data: bytes) -> None:
    """Add encoded entries ``(sort key, value)``; within a sort key they keep their order."""
    entries: dict[int, list[bytes]] = defaultdict(list)
    for entry in _ENTRY.decode_all(data):
        entries[entry[0]].append(_ENTRY.encode_nested(entry))
    prefix = _prefix(key)
    for sort_key, encoded in entries.items():
        store.append(prefix + _SORT.pack(sort_key + _SHIFT), b"".join(encoded))


def clear(store: Store, key: Any) -> None:
    """Remove the entries of the key's range."""
    prefix = _prefix(key)
    start, stop = _range(key)
    while cells := store.cells(prefix, start=start, stop=stop, limit=_CELLS):
        for cell in cells:
            store.delete(cell)


def read(store: Store, key: Any, token: bytes | None) -> Page:
    """Return a page of the entries of the key's range, in order, and the token of the next.

    The token is the sort key and the number of the last row that was read.
    """
    prefix = _prefix(key)
    start, stop = _range(key)
    first, after = _TOKEN.unpack(token) if token else (None, 0)
    if first is not None:
        start = _SORT.pack(first)
    pages: list[bytes] = []
    size = 0
    while cells := store.cells(prefix, start=start, stop=stop, limit=_CELLS):
        for cell in cells:
            rows = store.read(cell, after=after, bytes_max=PAGE_BYTES - size)
            pages += [row for _, row in rows]
            size += sum(len(row) for _, row in rows)
            if size >= PAGE_BYTES:
                (sort_key,) = _SORT.unpack(cell[len(prefix) :])
                return b"".join(pages), _TOKEN.pack(sort_key, rows[-1][0])
            after = 0
        start = cells[-1][len(prefix) :] + b"\0"
    return b"".join(pages), None


def _prefix(key: Any) -> bytes:
    return list_state(key.transform_id, key.window, key.user_state_id, key.key)


def _range(key: Any) -> tuple[bytes, bytes]:
    return _SORT.pack(key.range.start + _SHIFT), _SORT.pack(key.range.end + _SHIFT)
