"""Pages of a cell, and the tokens that lead from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runners.local.store import Store

__all__ = ["PAGE_BYTES", "Page", "read_page"]

# A page ends with the row that reaches this size.
PAGE_BYTES = 8 << 20

Page = tuple[bytes, bytes | None]


def read_page(store: Store, cell: bytes, token: bytes | None, upto: int | None = None) -> Page:
    """Return the rows of a cell, joined, and the token for what follows them or None.

    Args:
        store: where the cell is.
        cell: its key.
        token: of the page before; None for the first page. It is the number of the last row read.
        upto: the last row that belongs to what is read.
    """
    after = int(token) if token else 0
    rows = store.read(cell, after=after, upto=upto, bytes_max=PAGE_BYTES)
    data = b"".join([row for _, row in rows])
    return data, (b"%d" % rows[-1][0] if len(data) >= PAGE_BYTES else None)
