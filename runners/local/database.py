"""One SQLite file with one connection: its settings, its errors, and the space that it takes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator
from typing import Any

from runners.local.errors import StoreCorrupt, StoreError, StoreFull, StoreVersion
from runners.local.folder import sync_folder
from runners.local.space import LOG_BYTES_MAX, SETTING, Space

__all__ = ["Database"]

Row = tuple[Any, ...]

APPLICATION = 0x48524C52
"""Marks a file as ours, in SQLite's header."""

PAGE_BYTES = 16_384
CACHE_BYTES = 64 << 20
"""Bound of the memory for pages. Changed pages beyond it are written before the commit."""

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
        as the disk keeps what it confirms. The file appears with all its tables or not at all.
        A failed statement fails the transaction: until ``rollback`` all others are refused. After
        ``rollback`` everything is as in the last commit, on a new connection if need be; where
        none can be had yet, the next statement tries again. A commit that failed may have
        happened, as with a process that dies while it commits: read the state anew.
        Memory: ``CACHE_BYTES``, twice while ``Space`` writes the file anew, and what statements
        return.
        Disk: what is used, and in the long run not more than what ``Space`` leaves beside it; for
        a while also what one transaction wrote or deleted.

    Raises:
        StoreFull: the disk is full or fails.
        StoreCorrupt: the file is damaged.
        StoreVersion: the file was written by another version.
        StoreError: anything else that SQLite reports.
    """

    def __init__(self, path: str, schema: str, version: int, *, durable: bool) -> None:
        self._path, self._version, self._durable = path, version, durable
        self._space = Space(path, PAGE_BYTES)
        self._connection: sqlite3.Connection | None = None
        self._transaction = self._failed = self._closed = False
        if not os.path.exists(path):
            if os.path.exists(path + "-wal"):
                raise self._corrupt("it is gone, and only its log is left")
            self._create(schema)
        self._open()

    def begin(self) -> None:
        """Begin a transaction, and give free space back before it."""
        connection = self._ready()
        try:
            self._space.give_back(connection)
            connection.execute("BEGIN")
        except (sqlite3.Error, MemoryError) as error:
            raise self._error(error) from error
        self._transaction = True

    def commit(self) -> None:
        """Make the transaction's changes durable."""
        self.write("COMMIT")
        self._transaction = False

    def rollback(self) -> None:
        """Return to the last commit; without a transaction, mend what a failure left."""
        self._transaction = False
        if self._connection is not None and not self._failed:
            if self._connection.in_transaction:
                self.read("ROLLBACK")
            return
        self._disconnect()
        with contextlib.suppress(StoreError):  # The next statement tries again and says why.
            self._open()

    def close(self) -> None:
        """Close the file; what is not committed is gone."""
        self._closed = True
        self._disconnect()

    def has_spare_space(self) -> bool:
        """Tell whether the next ``begin`` would give space back, within a transaction as well."""
        connection = self._ready()
        try:
            return self._space.is_due(connection)
        except (sqlite3.Error, MemoryError) as error:
            raise self._error(error) from error

    def shrink(self) -> None:
        """Give all free space back, between two transactions."""
        self._space.shrink(self._ready())

    def write(self, statement: str, values: Row = ()) -> None:
        """Execute a statement of the transaction."""
        if not self._transaction:
            raise RuntimeError(f"{self._path}: a change outside of a transaction")
        self.read(statement, values)

    def read(self, statement: str, values: Row = ()) -> list[Row]:
        """Return all rows of a statement."""
        connection = self._ready()
        try:
            return connection.execute(statement, values).fetchall()
        except (sqlite3.Error, MemoryError) as error:
            raise self._error(error) from error

    def scan(self, statement: str, values: Row = ()) -> Generator[Row, None, None]:
        """Yield the rows of a statement, one at a time in memory. Close it when you stop early."""
        connection = self._ready()
        try:
            with contextlib.closing(connection.execute(statement, values)) as rows:
                yield from rows
        except (sqlite3.Error, MemoryError) as error:
            raise self._error(error) from error

    def damaged(self, what: str) -> StoreCorrupt:
        """Return the error for content that is not what was written; refuse all until rollback."""
        self._failed = True
        return self._corrupt(f"{what} is not what was written")

    def _ready(self) -> sqlite3.Connection:
        if self._failed:
            raise StoreError(self._path, "an operation failed before", "Roll back first")
        return self._connection or self._open()

    def _create(self, schema: str) -> None:
        """Create the file under another name, so that under its own it is always whole."""
        new = self._path + ".new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(
                    f"PRAGMA synchronous={self._synchronous()};"
                    "PRAGMA journal_mode=OFF;"
                    f"PRAGMA page_size={PAGE_BYTES};"
                    f"PRAGMA auto_vacuum={SETTING};"
                    "BEGIN;"
                    f"PRAGMA application_id={APPLICATION};"
                    f"PRAGMA user_version={self._version};"
                    f"{schema};"
                    "COMMIT"
                )
            os.rename(new, self._path)
            if self._durable:
                sync_folder(os.path.dirname(self._path))
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise StoreFull(self._path, *_full(error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        try:
            self._connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._configure(self._connection)
            self._check(self._connection)
        except (sqlite3.Error, StoreError) as error:
            self._disconnect()
            failure = error if isinstance(error, StoreError) else self._error(error)
            self._failed = False
            raise failure from (None if failure is error else error)
        self._failed = False
        return self._connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        # The only connection of the only process keeps its locks, and the log's index in memory.
        # What need not survive a loss of power needs no log: a journal is less to write.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA journal_mode={'WAL' if self._durable else 'PERSIST'}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES_MAX}")
        connection.execute(f"PRAGMA synchronous={self._synchronous()}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_BYTES >> 10}")
        connection.execute("PRAGMA secure_delete=0")

    def _check(self, connection: sqlite3.Connection) -> None:
        """Refuse what is not ours, or of another version."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            raise self._corrupt("it is not the state of a local runner")
        if version != self._version:
            raise StoreVersion(
                self._path,
                f"it has format {version}, and this version of the runner reads {self._version}",
                "Run the version that wrote it, or give another --state_dir",
            )

    def _synchronous(self) -> str:
        return "FULL" if self._durable else "OFF"

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._transaction = False
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # The log has what the file could not take.
                connection.close()

    def _error(self, error: Exception) -> Exception:
        """Return our error for SQLite's, and refuse everything until ``rollback``."""
        self._failed = True
        if isinstance(error, MemoryError):
            return error
        text = str(error)
        # Python 3.10 has no error codes. It raises the bare class for nothing but damage.
        if type(error) is sqlite3.DatabaseError or "unsupported file format" in text:
            return self._corrupt(text)
        if any(sign in text for sign in ("is full", "disk I/O error", "unable to open")):
            return StoreFull(self._path, *_full(error))
        return StoreError(
            self._path,
            f"the database failed ({text})",
            "Nothing was acknowledged since the last commit. Mend the cause, then run again",
        )

    def _corrupt(self, reason: str) -> StoreCorrupt:
        return StoreCorrupt(self._path, f"the file is damaged ({reason})", _MEND_DAMAGE)


def _full(error: Exception) -> tuple[str, str]:
    return f"the disk is full or fails ({error})", _MEND_DISK
