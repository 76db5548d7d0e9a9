"""The ledger of a lake: which runs have committed, and what became of those that died.

A lake's folder holds data files alone, because some readers (Polars) open every file below the
folder that they are given. The state of the lake lies beside it:

    flights/                            the lake
    flights/_lake-4be1f7                empty: ties the folder to its state
    .flights.headrace/lake              the same name; if they differ, the state is another lake's
    .flights.headrace/commits/RUN.json  the record of a commit: once it is there, the run counts
    .flights.headrace/commits/RUN-0.ids the message ids that the commit covers, one file a source
    .flights.headrace/commits/RUN.acknowledged
    .flights.headrace/staging/RUN/      what a run has written so far; locked while the run lives
    .flights.headrace/staging/RUN/primary   the lake that has the record, if it is not this one

Where the state can't lie beside the lake (a mount point, a whole bucket, a parent folder that is
read-only), it lies in ``flights/_headrace``; most readers skip that name, Polars needs the glob
``flights/**/*.parquet`` then.
"""

from __future__ import annotations

import datetime as dt
import logging
import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import abspath

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.objects import store_of
from connectors.store import Store, is_remote
from transforms.errors import ConfigError, TransientError

__all__ = ["PRIMARY", "REDELIVERY_S", "Commit", "LakeFile", "Ledger", "Record", "Recovery"]

REDELIVERY_S = 7 * 86_400.0
"""Pub/Sub may deliver a message again although it was acknowledged; its default retention."""
RETENTION_S = 31 * 86_400.0
"""The longest retention of Pub/Sub: a message that nobody acknowledged comes again until then."""

PRIMARY = "primary"
"""Name of the file in a run's staging folder that tells which lake has the run's record."""

_log = logging.getLogger(__name__)


class LakeFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of a commit: where it was staged and where it is."""

    staged: str
    path: str
    rows: int
    bytes: int


class _Source(msgspec.Struct, frozen=True):
    name: str
    messages: int
    ids: str


class Record(msgspec.Struct, frozen=True):
    """What is written at the moment of a commit; the lake follows from it."""

    id: str
    time: dt.datetime
    counts: dict[str, int]
    files: list[LakeFile]
    sources: list[_Source]
    staging: list[str]
    """Folders that are removed when all files have moved; the one beside the record last."""
    version: int = 1


@dataclass(frozen=True)
class Commit:
    """A run that has committed.

    Attributes:
        id: of the run; file names end with it.
        time: of the commit, UTC.
        counts: figures given by the run.
        files: what became visible.
        sources: the number of messages covered, by the name of the source.
        acknowledged: every message was acknowledged too.
    """

    id: str
    time: dt.datetime
    counts: Mapping[str, int]
    files: tuple[LakeFile, ...]
    sources: Mapping[str, int]
    acknowledged: bool = False


@dataclass
class Recovery:
    """What opening a lake found: the runs that were finished, and those that were removed."""

    finished: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Ledger:
    """The commits of one lake.

    Args:
        root: the lake's folder.
        redelivery_s: how long message ids of acknowledged commits are kept.
        stores: finds the store of a folder.
    """

    def __init__(
        self,
        root: str,
        *,
        redelivery_s: float = REDELIVERY_S,
        stores: Callable[[str], Store] = store_of,
    ) -> None:
        self.root = root.rstrip("/") if is_remote(root) else abspath(root)
        self.store = stores(root)
        self._redelivery_s = redelivery_s
        self._stores = stores
        self._state: str | None = None

    def of(self, root: str) -> Ledger:
        """Return the ledger of another lake, opened in the same way."""
        return Ledger(root, redelivery_s=self._redelivery_s, stores=self._stores)

    @property
    def state(self) -> str:
        """The folder of the state, which exists as soon as the lake was opened."""
        if self._state is None:
            self._state = _find_state(self.store, self.root)
        return self._state

    @property
    def staging(self) -> str:
        """The folder that holds one folder per run that is not finished."""
        return posixpath.join(self.state, "staging")

    def open(self) -> Recovery:
        """Create what is missing, then recover.

        Raises:
            ConfigError: the folder can't be written.
        """
        try:
            self.store.make_folder(self.root)
            self._state = None
            self._adopt()
        except OSError as error:
            raise ConfigError(
                "path", self.root, f"can't be written ({error.strerror or error})",
                "Choose a folder that this user may write, or change its permissions",
            ) from error  # fmt: skip
        return self.recover()

    def _adopt(self) -> None:
        """Tie the state to the folder; the state of a lake that was deleted is dropped."""
        with _held(self.store, self.root):
            self._tie()

    def _tie(self) -> None:
        lakes = [name for name in self.store.names(self.root) if name.startswith("_lake-")]
        tie = posixpath.join(self.state, "lake")
        known = self.store.read(tie).decode() if self.store.exists(tie) else None
        if not lakes or known != lakes[0]:
            self.store.remove_folder(self.state)
        name = lakes[0] if lakes else f"_lake-{secrets.token_hex(8)}"
        for folder in ("commits", "staging"):
            self.store.make_folder(posixpath.join(self.state, folder))
        # Written each time, so that a lake that can't be written is found out at the start.
        self.store.write(tie, name.encode())
        if not lakes:
            self._mark(posixpath.join(self.root, name))

    def recover(self) -> Recovery:
        """Finish the commits of runs that died, and remove what died before its commit.

        Live runs are not touched. Safe to repeat, and to interrupt at any moment.
        """
        recovery = Recovery()
        for run in self.store.names(self.staging):
            primary = self._primary_of(run)
            if primary is None:
                _log.warning("run %s of %s: its lake is missing, left as it is", run, self.root)
                continue
            with primary.locked():
                self._settle(run, primary, recovery)
        with self.locked():
            self._expire()
        return recovery

    def _primary_of(self, run: str) -> Ledger | None:
        pointer = posixpath.join(self.staging, run, PRIMARY)
        if not self.store.exists(pointer):
            return self
        primary = self.of(self.store.read(pointer).decode())
        return primary if primary.store.exists(primary.state) else None

    def _settle(self, run: str, primary: Ledger, recovery: Recovery) -> None:
        record = primary.record(run)
        if record is not None:
            primary.finish(record)
            recovery.finished.append(run)
            return
        folder = posixpath.join(self.staging, run)
        try:
            lock = self.store.lock(folder, wait_s=0)
        except FileNotFoundError:
            return
        if lock is not None:
            self.store.remove_folder(folder)
            lock.release()
            recovery.removed.append(run)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from committing to this lake."""
        with _held(self.store, self.state):
            yield

    def record(self, run: str) -> Record | None:
        """Return the record of a run, or None if it has not committed."""
        exists = self.store.exists(self._commit_file(f"{run}.json"))
        return self._read(run) if exists else None

    def _read(self, run: str) -> Record:
        content = self.store.read(self._commit_file(f"{run}.json"))
        return msgspec.json.decode(content, type=Record)

    def runs(self) -> list[str]:
        """Return the ids of the runs that have committed, oldest first."""
        names = self.store.names(posixpath.join(self.state, "commits"))
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def commits(self) -> list[Commit]:
        """Return what has been committed within the redelivery horizon, oldest first."""
        return [
            commit_of(self._read(run), acknowledged=self._is_acknowledged(run))
            for run in self.runs()
        ]

    def message_ids(self, runs: Iterable[str], source: str) -> pa.ChunkedArray:
        """Return the ids of a source's messages that the given runs have committed."""
        chunks = [pa.array([], pa.string())]
        for record in map(self._read, runs):
            for part in record.sources:
                if part.name == source:
                    content = self.store.read(self._commit_file(part.ids))
                    chunks += pq.read_table(pa.BufferReader(content)).column(0).chunks
        return pa.chunked_array(chunks, pa.string())

    def append(
        self,
        run: str,
        counts: Mapping[str, int],
        files: list[LakeFile],
        ids: Mapping[str, pa.ChunkedArray],
        staging: list[str],
    ) -> Record:
        """Write the record: the moment at which the run has committed. Needs the lock."""
        sources = []
        for number, (name, values) in enumerate(ids.items()):
            sources.append(_Source(name, len(values), f"{run}-{number}.ids"))
            self.store.write(self._commit_file(sources[-1].ids), _encode_ids(values))
        now = dt.datetime.now(dt.timezone.utc)
        record = Record(run, now, dict(counts), files, sources, staging)
        self.store.write(self._commit_file(f"{run}.json"), msgspec.json.encode(record))
        return record

    def finish(self, record: Record) -> None:
        """Move the files of a commit to their final names. Needs the lock; safe to repeat."""
        folders = sorted({posixpath.dirname(file.path) for file in record.files})
        for folder in folders:
            self.store.make_folder(folder)
        for file in record.files:
            if self.store.exists(file.staged):
                self.store.rename(file.staged, file.path)
        for folder in folders:
            self.store.sync_folder(folder)
        for folder in record.staging:
            self.store.remove_folder(folder)

    def mark_acknowledged(self, run: str) -> None:
        """Note that every message of a commit was acknowledged."""
        self._mark(self._commit_file(f"{run}.acknowledged"))

    def _mark(self, path: str) -> None:
        self.store.output(path).close()
        self.store.sync_folder(posixpath.dirname(path))

    def _is_acknowledged(self, run: str) -> bool:
        return self.store.exists(self._commit_file(f"{run}.acknowledged"))

    def _commit_file(self, name: str) -> str:
        return posixpath.join(self.state, "commits", name)

    def _expire(self) -> None:
        """Drop commits whose messages can't come again, and the rests of runs that died."""
        kept = {run for run in self.runs() if not self._is_expired(run)}
        kept.update(self.store.names(self.staging))
        names = self.store.names(posixpath.join(self.state, "commits"))
        # Records go first: one whose ids are gone would be a commit that covers nothing.
        for name in sorted(names, key=lambda name: not name.endswith(".json")):
            run = name.partition(".")[0]
            if run not in kept and run.rpartition("-")[0] not in kept:
                self.store.remove(self._commit_file(name))

    def _is_expired(self, run: str) -> bool:
        now = dt.datetime.now(dt.timezone.utc)
        started = dt.datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=dt.timezone.utc)
        if (now - started).total_seconds() <= self._redelivery_s:
            return False
        horizon_s = self._redelivery_s if self._is_acknowledged(run) else RETENTION_S
        return (now - self._read(run).time).total_seconds() > horizon_s


@contextmanager
def _held(store: Store, folder: str) -> Iterator[None]:
    lock = store.lock(folder)
    if lock is None:
        raise TransientError(f"another process keeps the lock of {folder}; run again later")
    try:
        yield
    finally:
        lock.release()


def commit_of(record: Record, *, acknowledged: bool) -> Commit:
    """Return the public form of a record."""
    sources = {source.name: source.messages for source in record.sources}
    files = tuple(record.files)
    return Commit(record.id, record.time, record.counts, files, sources, acknowledged)


def _encode_ids(ids: pa.ChunkedArray) -> bytes:
    """Ids of one topic have long common beginnings, which this encoding leaves out."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table({"message_id": ids}),
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"message_id": "DELTA_BYTE_ARRAY"},
    )
    return sink.getvalue().to_pybytes()


def _find_state(store: Store, root: str) -> str:
    """Return where the state of a lake is or will be: beside it, if files can move from there."""
    inside = posixpath.join(root, "_headrace")
    parent, name = posixpath.split(root)
    if store.exists(inside) or not store.can_stage(parent, root):
        return inside
    return posixpath.join(parent, f".{name}.headrace")
