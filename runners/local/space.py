"""The disk that a SQLite file takes: what is free in it goes back to the file system."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

__all__ = ["LOG_BYTES_MAX", "SETTING", "Space"]

SETTING = "INCREMENTAL"
"""How ``auto_vacuum`` must be set when the file is created."""

LOG_BYTES_MAX = 64 << 20
"""The log is cut, and the file to its pages, once they take so much more than they need."""
PAGES_KEPT = 1_024
"""So many free pages stay in the file, to be filled again."""
PAGES_COPIED = 4_096
"""The file may be written anew, without its free pages, if it has so many others at most."""
SPARE_PER_COPIED = 4
"""It may be as well if so many pages are given back for each that it copies."""
PERIOD_S = 5.0
"""Pages that were free for so long are spare."""
WORK_S = 0.1
"""So much of the period may go into giving spare pages back one by one."""


class Space:
    """Gives pages back that stayed free over some transactions, at a bounded cost.

    SQLite keeps free pages in the file, and has two ways to give them back. To write the file anew
    costs as much as it has in use: 0.1 s for ``PAGES_COPIED``, little after a large window has
    closed. To give them one by one searches the list of free pages for each, 0.1 ms where 1 GB is
    free: that is the way otherwise, for 2 % of the time.
    """

    def __init__(self, path: str, page_bytes: int) -> None:
        self._path, self._page_bytes = path, page_bytes
        self._least_free = 0
        self._review_s = 0.0

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Do what is due, before a transaction. A full disk stops it, and is no error here."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._give_pages(connection)
            self._cut_large(connection)
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def is_due(self, connection: sqlite3.Connection) -> bool:
        """Tell whether there are spare pages to give back, within a transaction as well."""
        return time.monotonic() >= self._review_s and self._spare(connection) > 0

    def shrink(self, connection: sqlite3.Connection) -> None:
        """Give back everything at once, where little is in use any more."""
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("VACUUM")
            _cut(connection)

    def _spare(self, connection: sqlite3.Connection) -> int:
        """Return how many pages are spare; if there are none, look again in a while."""
        free = _pragma(connection, "freelist_count")
        spare = min(self._least_free, free) - PAGES_KEPT
        if spare <= 0:
            self._least_free = free
            self._review_s = time.monotonic() + PERIOD_S
        return spare

    def _give_pages(self, connection: sqlite3.Connection) -> None:
        self._least_free = min(self._least_free, _pragma(connection, "freelist_count"))
        now_s = time.monotonic()
        if now_s < self._review_s or (spare := self._spare(connection)) <= 0:
            return
        free = _pragma(connection, "freelist_count")
        used = _pragma(connection, "page_count") - free
        if used <= max(spare // SPARE_PER_COPIED, PAGES_COPIED):
            connection.execute("VACUUM")
        else:
            _give(connection, spare, now_s + WORK_S)
        self._least_free = _pragma(connection, "freelist_count")
        self._review_s = now_s + PERIOD_S

    def _cut_large(self, connection: sqlite3.Connection) -> None:
        """Cut log and file, where they take much more of the disk than they need.

        SQLite itself writes the log over from its start, and leaves both files at their sizes.
        """
        used = _pragma(connection, "page_count") * self._page_bytes
        if _size(self._path + "-wal") + _size(self._path) - used > LOG_BYTES_MAX:
            _cut(connection)


def _cut(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _give(connection: sqlite3.Connection, pages: int, until_s: float) -> None:
    connection.execute("BEGIN")
    for _ in range(pages):
        # One at a time: Python leaves the statement after its first page.
        connection.execute("PRAGMA incremental_vacuum(1)")
        if time.monotonic() > until_s:
            break
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(path: str) -> int:
    """Return the size of a file, nothing if there is none."""
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0
