"""The durable state of one job: named values, cells of rows, waiting chunks, timers."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

from xxhash import xxh3_64_intdigest

from runners.local.database import Database
from runners.local.folder import Folder

__all__ = ["INLINE_BYTES_MAX", "Bag", "Chunk", "Store", "Timer"]

INLINE_BYTES_MAX = 64 << 10
"""Data of a chunk up to this size is read with the chunk, larger data on its own."""

CHUNKS_BYTES_MAX = 16 << 20
"""The data that ``chunks`` reads with the chunks has this size at most."""

_VERSION = 1
_LAST = (1 << 63) - 1
_SCHEMA = """
CREATE TABLE counter (last INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE names (number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
CREATE TABLE named (name BLOB PRIMARY KEY, sum INTEGER NOT NULL, value BLOB NOT NULL);

-- A row lies where it arrived, and is found by its cell: large data is written in one go.
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, cell BLOB NOT NULL, sum INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX rows_of_cell ON rows (cell);

CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, port INTEGER NOT NULL,
    hold_us INTEGER NOT NULL, due_us INTEGER NOT NULL,
    cell BLOB, upto INTEGER, count INTEGER, nbytes INTEGER, owned INTEGER,
    sum INTEGER NOT NULL, data BLOB
);
CREATE TABLE large (number INTEGER PRIMARY KEY, data BLOB NOT NULL);

CREATE TABLE timers (
    owner INTEGER NOT NULL, slot BLOB NOT NULL, domain INTEGER NOT NULL,
    fire_us INTEGER, hold_us INTEGER, data BLOB NOT NULL,
    PRIMARY KEY (owner, slot)
) WITHOUT ROWID;
CREATE INDEX timers_due ON timers (owner, domain, fire_us) WHERE fire_us IS NOT NULL;
CREATE INDEX timers_hold ON timers (owner, hold_us) WHERE hold_us IS NOT NULL;
"""


class Bag(NamedTuple):
    """Rows of a cell up to a row number, ``count`` values of ``nbytes``.

    ``owned``: they are of no use to anybody else, and deleted after use.
    """

    cell: bytes
    upto: int
    count: int  # type: ignore[assignment]  # of more use than the tuple's method
    nbytes: int
    owned: bool


@dataclass(frozen=True)
class Chunk:
    """What waits between two stages.

    Attributes:
        data: encoded windowed elements, nested, back to back; None: not in memory, ask
            ``Store.chunk_data``.
        hold_us: holds the watermark of its consumer.
        due_us: processing time before which it must not be taken.
        bag: ``data`` then ends before the iterable of one KV of a key and values; the values are
            in the bag.
    """

    data: bytes | None
    hold_us: int
    due_us: int = 0
    bag: Bag | None = None


class Timer(NamedTuple):
    """A timer, a watermark hold, or both, as it was set."""

    slot: bytes
    fire_us: int | None
    hold_us: int | None
    data: bytes


class Store:
    """The state of one job in one folder. One thread at a time may use it.

    Changes stand between ``begin`` and ``commit``; reads may stand anywhere, and see the changes
    of the transaction. Times are microseconds since 1970, in 64 bits with a sign.

    Guarantees:
        A transaction is there as a whole or not at all, after any kill; with a folder of one's own
        also after the loss of power, as far as the disk keeps what it confirms.
        After an error only ``rollback`` and ``close`` are possible. ``rollback`` returns to the
        last commit, and once the cause is mended work goes on, in the same process.
        Numbers of rows and chunks rise, and none is given twice.
        Memory and disk are bounded as ``Database`` says.

    Raises:
        StoreFull: the disk is full or fails.
        StoreCorrupt: the file is damaged.
        StoreError: anything else that SQLite reports.
    """

    def __init__(self, folder: Folder, database: Database) -> None:
        self._folder, self._database = folder, database
        self._names: dict[str, int] = {}
        self._last = self._committed = 0

    @classmethod
    def open(cls, folder: str | None) -> Store:
        """Open the state in a folder, and create what is missing.

        Args:
            folder: None gives a temporary one: fast, and removed by ``close``.

        Raises:
            StateFolderInUse: another process, or another store of this one, has it open.
            StoreVersion: it was written by another version.
        """
        held = Folder.temporary() if folder is None else Folder.hold(folder)
        try:
            path = os.path.join(held.path, "state.sqlite3")
            return cls(held, Database(path, _SCHEMA, _VERSION, durable=folder is not None))
        except BaseException:
            held.release()
            raise

    @property
    def path(self) -> str:
        """The folder."""
        return self._folder.path

    def close(self) -> None:
        """Close the files; what is not committed is gone."""
        self._database.close()
        self._folder.release()

    def begin(self) -> None:
        """Begin a transaction."""
        self._database.begin()
        found = self._database.read("SELECT last FROM counter")
        if not found:
            raise self._database.damaged("the counter of rows")
        self._last = self._committed = found[0][0]

    def commit(self) -> None:
        """Make the transaction's changes durable: they are when this returns."""
        if self._last != self._committed:
            self._database.write("UPDATE counter SET last = ?", (self._last,))
        self._database.commit()

    def has_spare_space(self) -> bool:
        """Tell whether a commit is worth its while for the disk: the next ``begin`` frees some."""
        return self._database.has_spare_space()

    def clear(self) -> None:
        """Remove everything that was committed, and give the disk back."""
        self.begin()
        self.delete_prefix(b"")
        for name, _ in self.items(""):
            self.put(name, None)
        self.commit()
        self._database.shrink()

    def rollback(self) -> None:
        """Return to the last commit, after an error as well as without one."""
        self._names.clear()
        self._database.rollback()

    def get(self, name: str) -> bytes | None:
        """Return the value of a name, or None."""
        found = self._database.read("SELECT value, sum FROM named WHERE name = ?", (name.encode(),))
        for value, total in found:
            return self._checked(value, total, 0, "value", name)
        return None

    def put(self, name: str, value: bytes | None) -> None:
        """Give a name a value; None removes it."""
        if value is None:
            self._database.write("DELETE FROM named WHERE name = ?", (name.encode(),))
        else:
            self._database.write(
                "REPLACE INTO named VALUES (?, ?, ?)", (name.encode(), _sum(value, 0), value)
            )

    def items(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the names with this prefix and their values, sorted by name."""
        statement, values = _within(
            "SELECT name, value, sum FROM named WHERE", "name", prefix.encode()
        )
        found = self._database.read(statement + " ORDER BY name", values)
        return [
            (name.decode(), self._checked(value, total, 0, "value", name.decode()))
            for name, value, total in found
        ]

    def append(self, cell: bytes, data: bytes | memoryview) -> int:
        """Add a row to a cell, and return its number, which rises over all cells."""
        self._last += 1
        self._database.write(
            "INSERT INTO rows VALUES (?, ?, ?, ?)", (self._last, cell, _sum(data, self._last), data)
        )
        return self._last

    def read(
        self, cell: bytes, *, after: int = 0, upto: int | None = None, bytes_max: int | None = None
    ) -> list[tuple[int, bytes]]:
        """Return rows of a cell with their numbers, in order of arrival.

        Args:
            cell: its key.
            after: only rows with larger numbers.
            upto: only rows with numbers up to this one.
            bytes_max: stop when the data has this size; one row is returned at least.
        """
        statement = (
            "SELECT row, data, sum FROM rows WHERE cell = ? AND row > ? AND row <= ? ORDER BY row"
        )
        values = (cell, after, _LAST if upto is None else upto)
        if bytes_max is None:
            found = self._database.read(statement, values)
        else:
            found = self._up_to(bytes_max, statement, values)
        return [(row, self._checked(data, total, row, "row", row)) for row, data, total in found]

    def _up_to(self, bytes_max: int, statement: str, values: tuple[object, ...]) -> list[Any]:
        found = []
        with contextlib.closing(self._database.scan(statement, values)) as rows:
            for row in rows:
                found.append(row)
                bytes_max -= len(row[1])
                if bytes_max <= 0:
                    break
        return found

    def delete(self, cell: bytes, *, upto: int | None = None) -> None:
        """Delete the rows of a cell, or only those up to a number."""
        self._database.write(
            "DELETE FROM rows WHERE cell = ? AND row <= ?", (cell, _LAST if upto is None else upto)
        )

    def delete_prefix(self, prefix: bytes) -> None:
        """Delete all cells whose keys have this prefix."""
        self._database.write(*_within("DELETE FROM rows WHERE", "cell", prefix))

    def cells(
        self,
        prefix: bytes,
        *,
        start: bytes = b"",
        stop: bytes | None = None,
        limit: int | None = None,
    ) -> list[bytes]:
        """Return the keys of cells with this prefix, sorted.

        Args:
            prefix: of the keys.
            start: only keys whose rest, after the prefix, is this or more.
            stop: only keys whose rest is less than this.
            limit: so many keys at most.
        """
        statement, values = _within("SELECT DISTINCT cell FROM rows WHERE", "cell", prefix)
        if stop is not None:
            # Instead of the prefix's end, not beside it: SQLite walks to one end only.
            statement = "SELECT DISTINCT cell FROM rows WHERE cell >= ? AND cell < ?"
            values = (prefix, prefix + stop)
        statement += " ORDER BY cell LIMIT ?"
        values = (prefix + start, *values[1:])
        found = self._database.read(statement, (*values, -1 if limit is None else limit))
        return [cell for (cell,) in found]

    def add_chunk(self, port: str, chunk: Chunk) -> int:
        """Let a chunk wait at a port, and return its number."""
        if chunk.data is None:
            raise ValueError(f"A chunk for {port} came without its data")
        port_number = self._number(port)
        self._last += 1
        number = self._last
        large = len(chunk.data) > INLINE_BYTES_MAX
        self._database.write(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                port_number,
                chunk.hold_us,
                chunk.due_us,
                *(chunk.bag or (None,) * 5),
                _sum(chunk.data, number),
                None if large else chunk.data,
            ),
        )
        if large:
            self._database.write("INSERT INTO large VALUES (?, ?)", (number, chunk.data))
        return number

    def remove_chunk(self, number: int) -> None:
        """Forget a chunk; the rows of its bag stay."""
        self._database.write("DELETE FROM chunks WHERE number = ?", (number,))
        self._database.write("DELETE FROM large WHERE number = ?", (number,))

    def chunks(self) -> list[tuple[int, str, Chunk]]:
        """Return number, port and chunk of all that wait, by number.

        Data beyond ``INLINE_BYTES_MAX`` each and ``CHUNKS_BYTES_MAX`` together is left out.
        """
        rows = self._database.scan(
            "SELECT chunks.number, name, hold_us, due_us, cell, upto, count, nbytes, owned,"
            " data, sum FROM chunks JOIN names ON names.number = port ORDER BY chunks.number"
        )
        found: list[tuple[int, str, Chunk]] = []
        room = CHUNKS_BYTES_MAX
        for number, port, hold_us, due_us, *bag, data, total in rows:
            if data is not None and (room := room - len(data)) >= 0:
                kept = self._checked(data, total, number, "chunk", number)
            else:
                kept = None
            found.append((number, port.decode(), Chunk(kept, hold_us, due_us, _bag(*bag))))
        return found

    def chunk_data(self, number: int) -> bytes:
        """Return the data of a chunk.

        Raises:
            KeyError: there is no such chunk.
        """
        found = self._database.read(
            "SELECT coalesce(chunks.data, large.data), sum FROM chunks"
            " LEFT JOIN large USING (number) WHERE number = ?",
            (number,),
        )
        for data, total in found:
            return self._checked(data, total, number, "chunk", number)
        raise KeyError(number)

    def set_timer(
        self,
        owner: str,
        slot: bytes,
        *,
        domain: int,
        fire_us: int | None,
        hold_us: int | None,
        data: bytes,
    ) -> None:
        """Set what an owner has in a slot: when it fires, and which watermark it holds until then.

        It replaces what was in the slot, in whichever domain.
        """
        self._database.write(
            "REPLACE INTO timers VALUES (?, ?, ?, ?, ?, ?)",
            (self._number(owner), slot, domain, fire_us, hold_us, data),
        )

    def clear_timer(self, owner: str, slot: bytes) -> None:
        """Empty a slot."""
        self._database.write(
            "DELETE FROM timers WHERE owner = ? AND slot = ?", (self._number(owner), slot)
        )

    def clear_timers(self, owner: str, prefix: bytes) -> None:
        """Empty all slots of an owner that have this prefix."""
        statement, values = _within("DELETE FROM timers WHERE owner = ? AND", "slot", prefix)
        self._database.write(statement, (self._number(owner), *values))

    def timer(self, owner: str, slot: bytes) -> Timer | None:
        """Return what an owner has in a slot."""
        found = self._database.read(
            "SELECT slot, fire_us, hold_us, data FROM timers WHERE owner = ? AND slot = ?",
            (self._known(owner), slot),
        )
        return Timer(*found[0]) if found else None

    def timers(self, owner: str, prefix: bytes) -> list[Timer]:
        """Return what an owner has in the slots with this prefix, by slot."""
        statement, values = _within(
            "SELECT slot, fire_us, hold_us, data FROM timers WHERE owner = ? AND", "slot", prefix
        )
        found = self._database.read(statement + " ORDER BY slot", (self._known(owner), *values))
        return [Timer(*timer) for timer in found]

    def due_timers(self, owner: str, domain: int, until_us: int, limit: int) -> list[Timer]:
        """Return timers of an owner that fire at ``until_us`` or before, by time and slot."""
        found = self._database.read(
            "SELECT slot, fire_us, hold_us, data FROM timers"
            " WHERE owner = ? AND domain = ? AND fire_us <= ? ORDER BY fire_us, slot LIMIT ?",
            (self._known(owner), domain, until_us, limit),
        )
        return [Timer(*timer) for timer in found]

    def next_timer_us(self, owner: str, domain: int, prefix: bytes = b"") -> int | None:
        """Return when the next timer of an owner fires, of those whose slots have the prefix."""
        if not prefix:
            return self._least(
                "SELECT min(fire_us) FROM timers"
                " WHERE owner = ? AND domain = ? AND fire_us IS NOT NULL",
                (self._known(owner), domain),
            )
        # The plus keeps SQLite off the index by time, which would be walked for the slots.
        statement, values = _within(
            "SELECT min(fire_us) FROM timers WHERE owner = ? AND +domain = ? AND", "slot", prefix
        )
        return self._least(statement, (self._known(owner), domain, *values))

    def earliest_hold_us(self, owner: str) -> int | None:
        """Return the least watermark that a timer of an owner holds."""
        return self._least(
            "SELECT min(hold_us) FROM timers WHERE owner = ? AND hold_us IS NOT NULL",
            (self._known(owner),),
        )

    def _checked(self, data: bytes, total: int, seed: int, kind: str, name: object) -> bytes:
        """Return data that has its checksum."""
        if data is None or _sum(data, seed) != total:
            raise self._database.damaged(f"{kind} {name}")
        return data

    def _least(self, statement: str, values: tuple[object, ...]) -> int | None:
        least: int | None = self._database.read(statement, values)[0][0]
        return least

    def _known(self, name: str) -> int | None:
        """Return the number that stands for a long name, if it was ever used."""
        if (number := self._names.get(name)) is None:
            found = self._database.read("SELECT number FROM names WHERE name = ?", (name.encode(),))
            if found:
                number = self._names[name] = found[0][0]
        return number

    def _number(self, name: str) -> int:
        """Return the number that stands for a long name."""
        if (number := self._known(name)) is None:
            self._last += 1
            number = self._names[name] = self._last
            self._database.write("INSERT INTO names VALUES (?, ?)", (number, name.encode()))
        return number


def _sum(data: bytes | memoryview, seed: int) -> int:
    """Return a checksum that takes 4 bytes in the file: SQLite has none of its own for content."""
    return xxh3_64_intdigest(data, seed) & 0x7FFF_FFFF


def _bag(cell: bytes | None, upto: int, count: int, nbytes: int, owned: int) -> Bag | None:
    return None if cell is None else Bag(cell, upto, count, nbytes, bool(owned))


def _within(statement: str, column: str, prefix: bytes) -> tuple[str, tuple[bytes, ...]]:
    """Complete a statement's condition: the column has the prefix, by range on its index."""
    if end := prefix.rstrip(b"\xff"):
        return f"{statement} {column} >= ? AND {column} < ?", (
            prefix,
            end[:-1] + bytes([end[-1] + 1]),
        )
    return f"{statement} {column} >= ?", (prefix,)
