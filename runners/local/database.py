"""One SQLite file with one connection: its settings, its errors, and the space that it takes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator
from typing import Any

from runners.local.errors import StoreCorrupt, StoreError, StoreFull, StoreVersion
from runners.local.folder import sync_folder

__all__ = ["Database"]

Row = tuple[Any, ...]

APPLICATION = 0x48524C52
"""Marks a file as ours, in SQLite's header."""

PAGE_BYTES = 16_384
CACHE_BYTES = 64 << 20
"""Bound of the memory for pages, changed ones included: beyond, they go to the log early."""
LOG_BYTES_MAX = 64 << 20
"""The write-ahead log is emptied once it takes more of the disk."""
FREE_PAGES_KEPT = 1_024
"""So many free pages stay in the file, to be filled again."""
FREE_PAGES_PART = 64
"""A commit gives this part of the free pages back to the disk."""

_MEND_DAMAGE = (
    "Restore a copy of the folder, or remove the folder and run again: messages that are not "
    "acknowledged come again, but open windows and what was known of duplicates are lost"
)
_MEND_DISK = (
    "Nothing was acknowledged since the last commit. Free space, then run again: the job goes on "
    "where it stopped"
)


class Database:
    """A file of tables. Statements that write stand between ``begin`` and ``commit``.

    Guarantees:
        What was committed survives the process, and with ``durable`` also the loss of power as far
        as the disk keeps what it confirms.
        A failed statement fails the transaction: until ``rollback`` all others are refused. After
        ``rollback`` everything is as committed last, on a new connection if need be; where that
        can't be made yet, the next statement tries again.
        Memory: ``CACHE_BYTES``, and what the statements in work hold.
        Disk: the pages in use, ``FREE_PAGES_KEPT`` and ``LOG_BYTES_MAX``, or as much as one
        transaction wrote. What is deleted beyond goes back to the disk commit by commit.

    Raises:
        StoreFull: the disk is full or fails.
        StoreCorrupt: the file is damaged.
        StoreError: anything else that SQLite reports.
    """

    def __init__(self, path: str, schema: str, version: int, *, durable: bool) -> None:
        self._path, self._version, self._durable = path, version, durable
        self._connection: sqlite3.Connection | None = None
        self._transaction = False
        self._failed = False
        if not os.path.exists(path):
            self._create(schema)
        self._open()

    def begin(self) -> None:
        """Begin a transaction."""
        self.read("BEGIN")
        self._transaction = True

    def commit(self) -> None:
        """Make the transaction's changes durable, and give some free space back."""
        self._give_back()
        self.write("COMMIT")
        self._transaction = False
        self._empty_log()

    def rollback(self) -> None:
        """Return to the last commit; without a transaction, mend what a failure left."""
        self._transaction = False
        if self._connection is not None and not self._failed:
            if self._connection.in_transaction:
                self.read("ROLLBACK")
            return
        self.close()
        with contextlib.suppress(StoreError):  # The next statement tries again and says why.
            self._open()

    def close(self) -> None:
        """Close the connection; what is not committed is gone."""
        connection, self._connection = self._connection, None
        self._transaction = False
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # What is committed is in the log, if not here
                connection.close()

    def write(self, statement: str, values: Row = ()) -> None:
        """Execute a statement of the transaction."""
        if not self._transaction:
            raise RuntimeError(f"{self._path}: a change outside of a transaction")
        self.read(statement, values)

    def read(self, statement: str, values: Row = ()) -> list[Row]:
        """Return all rows of a statement."""
        try:
            return self._ready().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def scan(self, statement: str, values: Row = ()) -> Generator[Row, None, None]:
        """Yield the rows of a statement, read while they are taken. Close the generator."""
        try:
            cursor = self._ready().execute(statement, values)
            with contextlib.closing(cursor):
                yield from cursor
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _ready(self) -> sqlite3.Connection:
        if self._failed:
            raise StoreError(self._path, "a change failed before", "Roll back first")
        return self._connection or self._open()

    def _create(self, schema: str) -> None:
        """Create the file under another name, so that under its own it is always whole."""
        new = self._path + ".new"
        for left in ("", "-wal", "-journal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new + left)
        try:
            with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(
                    f"PRAGMA page_size={PAGE_BYTES};"
                    "PRAGMA auto_vacuum=INCREMENTAL;"
                    "PRAGMA synchronous=FULL;"
                    f"PRAGMA application_id={APPLICATION};"
                    f"PRAGMA user_version={self._version};"
                    f"{schema};"
                    "PRAGMA journal_mode=WAL;"
                )
            os.rename(new, self._path)
            sync_folder(os.path.dirname(self._path))
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise StoreFull(self._path, *_full(error)) from error

    def _open(self) -> sqlite3.Connection:
        self._failed = False
        try:
            connection = self._connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            for statement in (
                "PRAGMA locking_mode=EXCLUSIVE",
                f"PRAGMA synchronous={'FULL' if self._durable else 'OFF'}",
                f"PRAGMA cache_size=-{CACHE_BYTES >> 10}",
                "PRAGMA secure_delete=0",
            ):
                connection.execute(statement)
            self._check()
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from error
        except StoreError:
            self.close()
            raise
        return connection

    def _check(self) -> None:
        """Refuse what is not ours, or of another version, or torn."""
        if os.path.getsize(self._path) < PAGE_BYTES:
            raise self._corrupt("it is too short")
        if self._pragma("application_id") != APPLICATION:
            raise self._corrupt("it is no state of this runner")
        if (version := self._pragma("user_version")) != self._version:
            raise StoreVersion(
                self._path,
                f"it has format {version}, and this version of the runner reads {self._version}",
                "Run the version that wrote it, or give another --state_dir",
            )

    def _pragma(self, name: str) -> int:
        return int(self.read(f"PRAGMA {name}")[0][0])

    def _give_back(self) -> None:
        """Take some free pages off the file, as part of the transaction."""
        free = self._pragma("freelist_count") - FREE_PAGES_KEPT
        if free > 0:
            self.write(f"PRAGMA incremental_vacuum({max(free // FREE_PAGES_PART, 256)})")

    def _empty_log(self) -> None:
        """Move the log into the file where the two take more of the disk than they need."""
        unused = os.path.getsize(self._path) - self._pragma("page_count") * PAGE_BYTES
        if os.path.getsize(self._path + "-wal") + max(unused, 0) > LOG_BYTES_MAX:
            self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def _error(self, error: sqlite3.Error) -> StoreError:
        """Return our error for SQLite's, and refuse everything until ``rollback``."""
        self._failed = True
        text = str(error)
        if type(error) is sqlite3.DatabaseError:
            return self._corrupt(text)
        if "full" in text or "disk I/O" in text or "unable to open" in text:
            return StoreFull(self._path, *_full(error))
        return StoreError(self._path, f"the database failed ({text})", "See the cause")

    def _corrupt(self, reason: str) -> StoreCorrupt:
        return StoreCorrupt(
            self._path,
            f"the file is damaged ({reason})",
            _MEND_DAMAGE,
        )


def _full(error: Exception) -> tuple[str, str]:
    return f"the disk is full or fails ({error})", _MEND_DISK
