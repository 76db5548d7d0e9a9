"""The records of a lake's commits, and the messages that they cover."""

from __future__ import annotations

import datetime as dt
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from connectors.identity import IDENTITY_SCHEMA, decode_identities, encode_identities
from connectors.store import Store, mark
from connectors.tables.spec import TableCommit
from transforms.errors import TransientError

__all__ = ["REDELIVERY_S", "Commit", "LakeFile", "Record", "Records", "commit_of"]

REDELIVERY_S = 7 * 86_400.0
"""Pub/Sub may deliver a message again although it was acknowledged; its default retention."""
RETENTION_S = 31 * 86_400.0
"""The longest retention of Pub/Sub: a message that nobody acknowledged comes again until then."""


class LakeFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of a lake: where it was staged and where it is; rows, and size in bytes."""

    staged: str
    path: str
    rows: int
    bytes: int


class SourceRecord(msgspec.Struct, frozen=True):
    """The messages of one source: how many, and the file that lists their identities."""

    name: str
    messages: int
    file: str


class Record(msgspec.Struct, frozen=True):
    """What is written at the moment of a commit; the lake follows from it.

    ``staging`` names the folders to be removed when all files have moved. ``aborted`` says that the
    run was taken for dead: the record is there so that it can't commit any more. ``removed`` names
    files of the lake whose rows are in ``files`` now; ``tables``, in order, the tables to which
    files are to be added.
    """

    id: str
    time: dt.datetime
    counts: dict[str, int]
    files: list[LakeFile]
    sources: list[SourceRecord]
    staging: list[str]
    version: int = 1
    aborted: bool = False
    removed: list[str] = []
    tables: list[TableCommit] = []


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


def commit_of(record: Record, *, acknowledged: bool) -> Commit:
    """Return the public form of a record."""
    sources = {source.name: source.messages for source in record.sources}
    files = tuple(record.files)
    return Commit(record.id, record.time, record.counts, files, sources, acknowledged)


class Records:
    """The folder of records. Whoever changes it holds the lock of the lake.

    Args:
        store: where the folder is.
        folder: ``commits`` in the state of a lake.
        redelivery_s: how long the messages of acknowledged commits are remembered.
    """

    def __init__(self, store: Store, folder: str, redelivery_s: float) -> None:
        self._store = store
        self._folder = folder
        self._redelivery_s = redelivery_s

    def find(self, run: str) -> Record | None:
        """Return the record of a run, or None if it has not committed."""
        return self._read(run) if self._store.exists(self._path(f"{run}.json")) else None

    def runs(self) -> list[str]:
        """Return the ids of the runs that have committed, oldest first."""
        names = self._store.names(self._folder)
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def commits(self) -> list[Commit]:
        """Return the commits that are on record, oldest first."""
        records = [(run, self._read(run)) for run in self.runs()]
        return [
            commit_of(record, acknowledged=self._is_acknowledged(run))
            for run, record in records
            if not record.aborted
        ]

    def messages(self, runs: Iterable[str], source: str) -> pa.Table:
        """Return the messages of a source that the given runs have committed.

        The columns are those of ``IDENTITY_SCHEMA``.
        """
        tables = [IDENTITY_SCHEMA.empty_table()]
        for record in map(self._read, runs):
            for part in record.sources:
                if part.name == source:
                    content = self._store.read(self._path(part.file))
                    tables.append(decode_identities(content))
        return pa.concat_tables(tables)

    def append(
        self,
        run: str,
        counts: Mapping[str, int],
        files: list[LakeFile],
        messages: Mapping[str, pa.Table],
        staging: list[str],
        *,
        removed: Sequence[str] = (),
        tables: Sequence[TableCommit] = (),
    ) -> Record:
        """Write the record: the moment at which the run has committed.

        Raises:
            TransientError: another process has taken the run for dead and aborted it.
        """
        sources = []
        for number, (name, table) in enumerate(messages.items()):
            sources.append(SourceRecord(name, len(table), f"{run}-{number}.messages"))
            self._store.write(self._path(sources[-1].file), encode_identities(table))
        now = dt.datetime.now(dt.timezone.utc)
        record = Record(
            run, now, dict(counts), files, sources, staging,
            removed=list(removed), tables=list(tables),
        )  # fmt: skip
        if not self._store.write_new(self._path(f"{run}.json"), msgspec.json.encode(record)):
            raise TransientError(
                f"run {run} was taken for dead, because it gave no sign of life for too long "
                "(a suspended machine, or no network): nothing of it is visible and nothing was "
                "acknowledged. Run again."
            )
        return record

    def abort(self, run: str, staging: list[str]) -> Record:
        """Keep a run from committing, unless it has; return the record that stands.

        Args:
            run: taken for dead.
            staging: the folders to be removed.
        """
        now = dt.datetime.now(dt.timezone.utc)
        record = Record(run, now, {}, [], [], staging, aborted=True)
        if self._store.write_new(self._path(f"{run}.json"), msgspec.json.encode(record)):
            return record
        return self._read(run)

    def mark_acknowledged(self, run: str) -> None:
        """Note that every message of a commit was acknowledged. Needs no lock."""
        mark(self._store, self._path(f"{run}.acknowledged"))

    def expire(self, unfinished: Collection[str]) -> None:
        """Drop commits whose messages can't come again, and what runs left that died.

        Args:
            unfinished: runs that may still need their files here.
        """
        kept = {run for run in self.runs() if not self._is_expired(run)}.union(unfinished)
        names = self._store.names(self._folder)
        # Records go first: one whose messages are gone would be a commit that covers nothing.
        for name in sorted(names, key=lambda name: not name.endswith(".json")):
            run = name.partition(".")[0]
            if run not in kept and run.rpartition("-")[0] not in kept:
                self._store.remove(self._path(name))

    def _is_expired(self, run: str) -> bool:
        now = dt.datetime.now(dt.timezone.utc)
        started = dt.datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=dt.timezone.utc)
        if (now - started).total_seconds() <= self._redelivery_s:
            return False  # as young as its run; the record need not be read
        horizon_s = self._redelivery_s if self._is_acknowledged(run) else RETENTION_S
        return (now - self._read(run).time).total_seconds() > horizon_s

    def _is_acknowledged(self, run: str) -> bool:
        return self._store.exists(self._path(f"{run}.acknowledged"))

    def _read(self, run: str) -> Record:
        return msgspec.json.decode(self._store.read(self._path(f"{run}.json")), type=Record)

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)
