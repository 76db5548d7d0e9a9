"""One run's writes to its lakes, which become visible together or not at all.

The order is what makes it safe:

1. Files are staged; the graph's last step lists them in a manifest.
2. ``commit`` makes them durable, and checks under the lake's lock that no other run has committed
   the same messages meanwhile.
3. The record is renamed into place. This is the commit.
4. Files move to their final names. Whoever dies from here on is finished by the next that opens
   the lake; whoever died before is removed.
"""

from __future__ import annotations

import datetime as dt
import logging
import posixpath
from collections.abc import Iterable, Mapping

import msgspec
import pyarrow as pa

from connectors.identity import count_common
from connectors.ledger import PRIMARY, Ledger
from connectors.records import Commit, LakeFile, commit_of
from connectors.store import Lock, write_error
from connectors.tables.commit import next_version
from connectors.tables.spec import TableCommit, TableSpec
from connectors.tables.table import open_table
from transforms.errors import HeadraceError, PermanentError, TransientError

__all__ = ["MANIFEST", "REMOVED", "Transaction", "decode_manifest", "encode_manifest"]

MANIFEST = "manifest.json"
"""Name of the list of a writer's files, in its own staging folder."""

_log = logging.getLogger(__name__)


def encode_manifest(files: Iterable[LakeFile]) -> bytes:
    """Return the content of a manifest."""
    return msgspec.json.encode(sorted(files, key=lambda file: file.path))


def decode_manifest(content: bytes) -> list[LakeFile]:
    """Return the files that a manifest lists."""
    return msgspec.json.decode(content, type=list[LakeFile])


REMOVED = "removed.json"
"""Name of the list of files that a compaction has merged into those of its manifest."""


class Transaction:
    """The staged files of one run, over all lakes that it writes to. Not thread-safe."""

    def __init__(self, primary: Ledger, run: str, known: list[str]) -> None:
        self.run = run
        self._primary = primary
        self._known = known
        self._ledgers: dict[str, Ledger] = {}
        self._locks: list[Lock] = []
        self._stages: list[tuple[Ledger, str]] = []
        self._tables: dict[str, TableSpec] = {}

    @classmethod
    def begin(cls, primary: Ledger, run: str) -> Transaction:
        """Open the primary lake, finish what others have left, and note what is committed."""
        primary.open()
        transaction = cls(primary, run, primary.records.runs())
        transaction._join(primary)
        return transaction

    def stage(self, root: str, table: TableSpec | None = None) -> str:
        """Return the staging folder of one more writer to a lake, or to a table in it."""
        ledger = self._primary.of(root)
        if ledger.root not in self._ledgers:
            ledger.open()
            self._join(ledger)
        ledger = self._ledgers[ledger.root]
        folder = posixpath.join(self._folder(ledger), str(len(self._stages)))
        ledger.store.make_folder(folder)
        self._stages.append((ledger, folder))
        if table is not None:
            self._tables[folder] = table
        return folder

    def _join(self, ledger: Ledger) -> None:
        """Create this run's folder, and keep its lock for as long as we live."""
        folder, lock = ledger.occupy(self.run)
        self._locks.append(lock)
        if ledger is not self._primary:
            pointer = posixpath.join(folder, PRIMARY)
            ledger.store.write(pointer, self._primary.root.encode())
        self._ledgers[ledger.root] = ledger

    def _folder(self, ledger: Ledger) -> str:
        return posixpath.join(ledger.staging, self.run)

    def committed_messages(self, source: str) -> pa.Table:
        """Return the messages of a source that were committed when this run began."""
        return self._primary.records.messages(self._known, source)

    def commit(self, messages: Mapping[str, pa.Table], counts: Mapping[str, int]) -> Commit:
        """Record the run and move its files to their final names.

        Raises:
            TransientError: another run has committed some of these messages, or the disk is full;
                or the run has committed, but not all of its files could be moved.
            PermanentError: a writer has listed no files, so the graph has not finished.
        """
        covered = {source: table for source, table in messages.items() if len(table)}
        try:
            files = self._durable_files()
            if not files and not covered:
                return Commit(self.run, dt.datetime.now(dt.timezone.utc), dict(counts), (), {})
            with self._primary.locked(self.run):
                self._refuse_messages_of_others(covered)
                removed = self._removed_files()
                tables = self._table_commits(files)
                record = self._primary.records.append(
                    self.run,
                    counts,
                    files,
                    covered,
                    self._folders(),
                    removed=removed,
                    tables=tables,
                )
                self._primary.finish(record)
        except OSError as error:
            raise self._explained(error) from error
        return commit_of(record, acknowledged=False)

    def _folders(self) -> list[str]:
        return [self._folder(ledger) for ledger in self._ledgers.values()]

    def _durable_files(self) -> list[LakeFile]:
        # Their names are durable: the manifest was written into the same folder after them.
        return [file for stage in self._stages for file in self._listed_files(*stage)]

    def _listed_files(self, ledger: Ledger, folder: str) -> list[LakeFile]:
        manifest = posixpath.join(folder, MANIFEST)
        if not ledger.store.exists(manifest):
            raise PermanentError(f"the graph has not finished: there is no {manifest}")
        files = decode_manifest(ledger.store.read(manifest))
        for file in files:
            ledger.store.sync(file.staged)
        return files

    def _removed_files(self) -> list[str]:
        """Return the files that were merged into ours, if all of them are still there."""
        lists = [
            ledger.store.read(posixpath.join(folder, REMOVED))
            for ledger, folder in self._stages
            if ledger is self._primary and ledger.store.exists(posixpath.join(folder, REMOVED))
        ]
        removed = [
            path for content in lists for path in msgspec.json.decode(content, type=list[str])
        ]
        gone = set(removed) - self._primary.store.present(removed)
        if gone:
            raise TransientError(
                f"{len(gone)} files that this run has merged into others are gone, for example "
                f"{min(gone)}: another compaction was quicker. Nothing has changed: run again."
            )
        return removed

    def _table_commits(self, files: Iterable[LakeFile]) -> list[TableCommit]:
        """Return the commits to tables, numbered behind all others of this lake.

        Numbers only grow: so those of runs that have died after their commit are made first.
        """
        stages = {posixpath.dirname(file.staged) for file in files}.intersection(self._tables)
        if not stages:
            return []
        self._finish_committed()
        app = self._app()
        versions: dict[TableSpec, int] = {}
        commits = []
        for stage in sorted(stages):
            spec = self._tables[stage]
            version = versions.get(spec) or next_version(open_table(spec), app)
            versions[spec] = version + 1
            commits.append(TableCommit(spec, app, version, stage))
        return commits

    def _finish_committed(self) -> None:
        ledger = self._primary
        for run in ledger.store.names(ledger.staging):
            record = ledger.records.find(run)
            if record is not None and not record.aborted:
                ledger.finish(record)

    def _app(self) -> str:
        """Return who commits to tables: this lake, and no later one in the same folder."""
        tie = self._primary.store.read(posixpath.join(self._primary.state, "lake")).decode()
        return f"headrace/{tie.removeprefix('_lake-')}"

    def _refuse_messages_of_others(self, messages: Mapping[str, pa.Table]) -> None:
        others = sorted(set(self._primary.records.runs()) - set(self._known))
        for source, ours in messages.items() if others else ():
            both = count_common(ours, self._primary.records.messages(others, source))
            if both:
                raise TransientError(
                    f"another run has committed {both} of the same messages of {source} meanwhile, "
                    "because they were delivered to both. Nothing of this run is visible and "
                    "nothing was acknowledged: run again, and it will leave them out."
                )

    def _explained(self, error: OSError) -> Exception:
        if self._primary.records.find(self.run) is not None:
            return TransientError(
                f"run {self.run} has committed, but its files could not all be moved ({error}). "
                "Nothing is lost: they are moved when the lake is next opened, and its messages "
                "will be recognised when they come again. Mend the cause and run again."
            )
        return write_error(error, self._primary.root)

    def mark_acknowledged(self) -> None:
        """Note with the commit that its messages were acknowledged."""
        if self._primary.records.find(self.run) is not None:
            self._primary.records.mark_acknowledged(self.run)

    def close(self) -> None:
        """Remove what is staged, unless the run has committed, and give up the locks."""
        try:
            with self._primary.locked():
                self._remove_staged()
        except (OSError, HeadraceError):
            _log.warning(
                "run %s: could not remove its staged files; who opens the lake next removes them",
                self.run, exc_info=True,
            )  # fmt: skip
        finally:
            for lock in self._locks:
                lock.release()

    def _remove_staged(self) -> None:
        """Needs the lock of the primary: it is what every recovery of this run holds."""
        if self._is_void():
            for ledger in self._ledgers.values():
                ledger.store.remove_folder(self._folder(ledger))

    def _is_void(self) -> bool:
        """Tell whether the run has not committed, and can't any more."""
        record = self._primary.records.find(self.run)
        if record is None and self._primary.store.locks_expire:
            # An answer that was lost may be that to the commit.
            record = self._primary.records.abort(self.run, self._folders())
        return record is None or record.aborted
