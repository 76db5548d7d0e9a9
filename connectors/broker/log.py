"""What is on disk, how it gets there, how it recovers.

The log is a directory of segments, numbered files of frames (``frame.py``). Each begins with a
checkpoint of the state. Recovery reads the segments in order, and every checkpoint replaces all
that came before except the places of the rows. So a segment whose rows nobody needs can be
deleted, wherever it stands: its acks are in the next checkpoint.

Guarantees:
- ``write`` returns after the disk has everything; if it raises, nothing of it will ever be seen.
  With ``Durability.INTERVAL`` it returns when the system has everything, and ``sync`` is when the
  disk has: until then no segment is deleted because of it.
- A torn end is cut off on opening. A frame that was durable once and is not whole any more is an
  error, never skipped.
- One process at a time: a second one is refused by a lock that dies with its holder.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from connectors.broker import frame, limits
from connectors.broker.counters import LogCounts
from connectors.broker.errors import CorruptLog, Exhausted, Unavailable
from connectors.broker.events import Checkpoint, Event, Place
from connectors.broker.files import lock_directory, sync_content, sync_directory, write_all
from connectors.broker.store import Disk, Durability

__all__ = ["Log"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Log:
    """The log in a directory; ``write``, ``rotate`` and ``sync`` may run in one other thread.

    Args:
        directory: of the segments; made if it is missing.
        durability: whether each write is synced.

    Raises:
        DataDirInUse: another process has it open.
        OSError: the directory can't be made or written.
    """

    def __init__(self, directory: Path, durability: Durability = Durability.ALWAYS) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._syncs_always = durability is Durability.ALWAYS
        self._synced_bytes = 0
        self._lock = lock_directory(directory)
        self._segments: list[int] = []
        self._file = -1
        self.size_bytes = 0
        self._maps: dict[int, pa.Buffer] = {}
        self._live: Counter[int] = Counter()
        self._failure: str | None = None
        self.counts = LogCounts()

    def recover(self) -> Iterator[Event]:
        """Yield all events since the oldest checkpoint, and open the log for writing at its end.

        Raises:
            CorruptLog: something that was durable is missing or changed.
        """
        self._segments = sorted(int(path.stem) for path in self._directory.glob("*.log"))
        end = 0
        for number in list(self._segments):
            torn = yield from self._replay(number)
            if torn is None:
                end = self._path(number).stat().st_size
            elif torn:
                end = torn
            else:
                self._remove(number)
        if self._segments:
            self._open(end)
        else:
            self._begin(Checkpoint(1, [], []))

    def write(self, bundles: list[list[frame.Entry]]) -> list[list[Place]]:
        """Append events and make them durable together; return where the payload of each is.

        Of a bundle all events will be seen after a restart, or none.

        Raises:
            Exhausted: the disk is full; nothing was written.
            Unavailable: the log has failed.
        """
        self._check_works()
        pieces: frame.Pieces = []
        written: list[list[Place]] = []
        end = self.size_bytes
        for bundle in bundles:
            parts, places = frame.encode(bundle, self._synced_bytes)
            written.append(
                [Place(self._segments[-1], end + p.offset, p.size_bytes) for p in places]
            )
            pieces += parts
            end += sum(map(len, parts))
        self._append(b"".join(pieces))
        return written

    def rotate(self, checkpoint: Checkpoint) -> None:
        """Begin a new segment with a checkpoint of everything written so far.

        Raises:
            Exhausted: it can't be written, most likely for want of room; the old one stays in use.
            Unavailable: the log has failed.
        """
        self.sync()
        try:
            self._begin(checkpoint)
        except OSError as error:
            raise Exhausted(_full_text(self._directory)) from error

    def sync(self) -> None:
        """Make durable what was written.

        Raises:
            Unavailable: the log has failed.
        """
        self._check_works()
        if self.synced:
            return
        began_s, size_bytes = time.perf_counter(), self.size_bytes
        try:
            sync_content(self._file)
        except OSError as error:
            # What a failed sync has left on the disk is unknown, and a second one may lie.
            self._fail(error)
        self._synced_bytes = size_bytes
        self.counts.syncs += 1
        self.counts.sync_s += time.perf_counter() - began_s

    @property
    def synced(self) -> bool:
        """Whether everything that was written is on the disk."""
        return self._synced_bytes == self.size_bytes

    def payload(self, place: Place) -> pa.Buffer:
        """Return the payload of a frame, in place."""
        mapped = self._maps.get(place.segment)
        if mapped is None or mapped.size < place.offset + place.size_bytes:
            mapped = self._maps[place.segment] = self._map(place.segment)
        return mapped.slice(place.offset, place.size_bytes)

    def keep(self, place: Place) -> None:
        """Count rows that are needed; they hold their segment."""
        self._live[place.segment] += 1

    def release(self, places: Iterable[Place]) -> None:
        """Count rows that are not needed any more, and delete segments that hold no others."""
        self._live -= Counter(place.segment for place in places)
        if not self.synced:
            return  # what frees them might be lost, and they with it
        for number in self._segments[:-1]:
            if number not in self._live:
                self._remove(number)

    def closed_bytes(self) -> dict[int, int]:
        """Return the size of each segment but the one in use."""
        return {number: self._path(number).stat().st_size for number in self._segments[:-1]}

    def check_room(self, size_bytes: int) -> None:
        """Refuse what would eat into the reserve that acks and checkpoints need to free space.

        Raises:
            Exhausted: there is too little room.
        """
        if not self.has_room(size_bytes):
            raise Exhausted(_full_text(self._directory))

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether ``check_room`` would pass."""
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize - size_bytes >= limits.DISK_RESERVE_BYTES

    @property
    def failure(self) -> str | None:
        """Why nothing more can be written until a restart; None while all is well."""
        return self._failure

    def disk(self) -> Disk:
        """Return what the log takes and leaves of its disk."""
        sizes = [self._path(number).stat().st_size for number in self._segments]
        free = os.statvfs(self._directory)
        return Disk(len(sizes), sum(sizes), free.f_bavail * free.f_frsize, self.counts)

    def close(self) -> None:
        """Let go of the files and of the lock."""
        if self._file >= 0:
            os.close(self._file)
        self._maps.clear()
        os.close(self._lock)

    def _replay(self, number: int) -> Generator[Event, None, int | None]:
        """Yield the events of a segment; return where it is torn, or None if it is whole."""
        data = memoryview(self._map(number))
        at = 0
        while (found := frame.decode(data, at, number)) is not None:
            yield from found.events
            at = found.end
        if 0 < at == len(data):
            return None
        later = frame.scan(data, at, number)
        if number != self._segments[-1] or (later is not None and later.durable > at):
            raise CorruptLog(
                f"{self._path(number)} is corrupt at byte {at}: what was written there has changed."
                " Restore the file from a backup; deleting it loses its messages"
            )
        return at

    def _map(self, number: int) -> pa.Buffer:
        path = str(self._path(number))
        if os.path.getsize(path) == 0:
            return pa.py_buffer(b"")
        with pa.memory_map(path) as file:
            return file.read_buffer()

    def _open(self, end: int) -> None:
        self._file = os.open(self._path(self._segments[-1]), os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(self._file, end)
        os.fsync(self._file)
        self.size_bytes = self._synced_bytes = end

    def _begin(self, checkpoint: Checkpoint) -> None:
        number = self._segments[-1] + 1 if self._segments else 1
        path = self._path(number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        data = b"".join(frame.encode([(checkpoint, b"")], 0)[0])
        try:
            write_all(file, data, 0)
            os.fsync(file)
            sync_directory(self._directory)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self.size_bytes = file, len(data)
        self._synced_bytes = len(data)
        self._segments.append(number)

    def _append(self, data: bytes) -> None:
        try:
            write_all(self._file, data, self.size_bytes)
        except OSError as error:
            self._roll_back(error)
        self.counts.written_bytes += len(data)
        self.size_bytes += len(data)
        if self._syncs_always:
            self.sync()

    def _roll_back(self, cause: OSError) -> NoReturn:
        try:
            os.ftruncate(self._file, self.size_bytes)
            os.fsync(self._file)
        except OSError as error:
            self._fail(error)
        if cause.errno in _FULL:
            raise Exhausted(_full_text(self._directory)) from cause
        self._fail(cause)

    def _fail(self, cause: OSError) -> NoReturn:
        self._failure = (
            f"Writing to {self._directory} failed ({cause}); restart the broker when it is mended."
        )
        raise Unavailable(self._failure) from cause

    def _check_works(self) -> None:
        if self._failure:
            # A new one each time: the traceback of one that is kept would hold what was refused.
            raise Unavailable(self._failure)

    def _remove(self, number: int) -> None:
        self._path(number).unlink()
        self._segments.remove(number)
        self._maps.pop(number, None)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:020}.log"


def _full_text(directory: Path) -> str:
    return f"The disk of {directory} is full; acknowledge messages or make room on it."
