"""The ledger of a lake: which runs have committed, and what became of those that died.

A lake's folder holds data files alone, because some readers (Polars) open every file below the
folder that they are given. The state of the lake lies beside it:

    flights/                            the lake
    flights/_lake-4be1f7                empty: ties the folder to its state
    .flights.headrace/lake              the same name; if they differ, the state is another lake's
    .flights.headrace/commits/RUN.json  the record of a commit: once it is there, the run counts
    .flights.headrace/commits/RUN-0.messages  the messages that it covers, one file a source
    .flights.headrace/commits/RUN.acknowledged
    .flights.headrace/staging/RUN/      what a run has written so far; locked while the run lives
    .flights.headrace/staging/JOB.N/    what a writer of a job without end is just writing; likewise
    .flights.headrace/staging/RUN/primary   the lake that has the record, if it is not this one
    .flights.headrace/compacted/    marks of files that were merged into others
    .flights.headrace/.lock         on Cloud Storage: who is about to commit; also in staging/RUN

Where the state can't lie beside the lake (a mount point, a whole bucket, a parent folder that is
read-only), it lies in ``flights/_headrace``; most readers skip that name, Polars needs the glob
``flights/**/*.parquet`` then.
"""

from __future__ import annotations

import errno
import logging
import posixpath
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import realpath

from connectors.compacted import Compacted
from connectors.finish import finish
from connectors.objects import store_of
from connectors.records import REDELIVERY_S, Commit, LakeFile, Record, Records
from connectors.store import Lock, Store, is_full, is_remote, mark, write_error
from transforms.errors import ConfigError, TransientError

__all__ = ["PRIMARY", "Commit", "LakeFile", "Ledger", "Recovery"]

PRIMARY = "primary"
"""Name of the file in a run's staging folder that tells which lake has the run's record."""

_log = logging.getLogger(__name__)


@dataclass
class Recovery:
    """What opening a lake found: the runs that were finished, and those that were removed."""

    finished: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Ledger:
    """The commits of one lake, and where its state lies.

    Args:
        root: the lake's folder.
        redelivery_s: how long the messages of acknowledged commits are remembered.
        stores: finds the store of a folder.
    """

    def __init__(
        self,
        root: str,
        *,
        redelivery_s: float = REDELIVERY_S,
        stores: Callable[[str], Store] = store_of,
    ) -> None:
        # One lake, one state: a link to the folder must not lead to another.
        self.root = root.rstrip("/") if is_remote(root) else realpath(root)
        self.store = stores(root)
        self._redelivery_s = redelivery_s
        self._stores = stores

    def of(self, root: str) -> Ledger:
        """Return the ledger of another lake, opened in the same way."""
        return Ledger(root, redelivery_s=self._redelivery_s, stores=self._stores)

    @property
    def state(self) -> str:
        """The folder of the state, which exists as soon as the lake was opened."""
        parent, name = posixpath.split(self.root)
        beside = posixpath.join(parent, f".{name}.headrace")
        if self.store.exists(self._inside) or not self.store.can_stage(beside, self.root):
            return self._inside
        return beside

    @property
    def _inside(self) -> str:
        return posixpath.join(self.root, "_headrace")

    @property
    def staging(self) -> str:
        """The folder that holds one folder per run that is not finished."""
        return posixpath.join(self.state, "staging")

    @property
    def records(self) -> Records:
        """The records of what was committed."""
        return Records(self.store, posixpath.join(self.state, "commits"), self._redelivery_s)

    @property
    def compacted(self) -> Compacted:
        """The marks of files that were merged into others."""
        return Compacted(self.store, self.root, self.state)

    def commits(self) -> list[Commit]:
        """Return what has been committed within the redelivery horizon, oldest first."""
        return self.records.commits()

    def open(self) -> Recovery:
        """Create what is missing, then recover.

        Raises:
            ConfigError: the folder can't be written.
            TransientError: the disk is full.
            PermanentError: what a run has committed can't be finished.
        """
        try:
            self.store.make_folder(self.root)
            # The lock of an object store is an object, which must not lie among the lake's.
            with self._held(self.state if self.store.locks_expire else self.root):
                self._tie()
        except OSError as error:
            if is_full(error):
                raise write_error(error, self.root) from error
            raise ConfigError(
                "path", self.root, f"can't be written ({error.strerror or error})",
                "Choose a folder that this user may write, or change its permissions",
            ) from error  # fmt: skip
        return self.recover()

    def _tie(self) -> None:
        """Tie the state to the folder; the state of a lake that was deleted is dropped."""
        lakes = [name for name in self.store.names(self.root) if name.startswith("_lake-")]
        tie = posixpath.join(self.state, "lake")
        known = self.store.read(tie).decode() if self.store.exists(tie) else None
        name = lakes[0] if lakes else f"_lake-{secrets.token_hex(8)}"
        if known != name:
            self._begin(name)
        self._make_folders()
        # Written each time, so that a lake that can't be written is found out at the start; and
        # last, so that a state that has it is one from which files have got into the lake.
        self.store.write(posixpath.join(self.state, "lake"), name.encode())

    def _begin(self, name: str) -> None:
        """Make the state anew, where files can be renamed from it into the lake.

        Only a rename can tell: a folder that is mounted twice is one device, and yet two.
        """
        # Not the folder itself: the lock of an object store is in it.
        self.store.remove(posixpath.join(self.state, "lake"))
        for part in ("commits", "staging"):
            self.store.remove_folder(posixpath.join(self.state, part))
        try:
            self._send(name)
        except OSError as error:
            if error.errno != errno.EXDEV or self.state == self._inside:
                raise
            self.store.remove_folder(self.state)
            self.store.make_folder(self._inside)
            self._send(name)

    def _send(self, name: str) -> None:
        """Put the empty file into the lake by the way that all files will take."""
        self._make_folders()
        staged = posixpath.join(self.state, name)
        mark(self.store, staged)
        self.store.rename(staged, posixpath.join(self.root, name))
        self.store.sync_folder(self.root)

    def _make_folders(self) -> None:
        for folder in ("commits", "staging"):
            self.store.make_folder(posixpath.join(self.state, folder))

    def recover(self) -> Recovery:
        """Finish the commits of runs that died, and remove what died before its commit.

        Live runs are not touched. Safe to repeat, and to interrupt at any moment.

        Raises:
            TransientError: the disk is full.
            PermanentError: what a run has committed can't be finished.
        """
        try:
            return self._recovered()
        except OSError as error:
            raise write_error(error, self.root) from error

    def _recovered(self) -> Recovery:
        recovery = Recovery()
        for run in self.store.names(self.staging):
            primary = self._primary_of(run)
            if primary is None:
                _log.warning("run %s of %s: its lake is missing, left as it is", run, self.root)
                continue
            with primary.locked():
                self._settle(run, primary, recovery)
        with self.locked():
            self.records.expire(self.store.names(self.staging))
            self.compacted.expire()
        return recovery

    def _primary_of(self, run: str) -> Ledger | None:
        pointer = posixpath.join(self.staging, run, PRIMARY)
        if not self.store.exists(pointer):
            return self
        try:
            primary = self.of(self.store.read(pointer).decode())
        except FileNotFoundError:
            return self  # another process is removing the folder
        return primary if primary.store.exists(primary.state) else None

    def _settle(self, run: str, primary: Ledger, recovery: Recovery) -> None:
        folder = posixpath.join(self.staging, run)
        record = primary.records.find(run)
        if record is not None:
            self._finish_found(primary, record, recovery)
            return
        try:
            lock = self.store.lock(folder, wait_s=0)
        except FileNotFoundError:
            return  # another process was quicker
        if lock is not None:
            record = self._judged(run, primary)
            if record is None:
                self.store.remove_folder(folder)
                recovery.removed.append(run)
            else:
                self._finish_found(primary, record, recovery)
            lock.release()

    def _finish_found(self, primary: Ledger, record: Record, recovery: Recovery) -> None:
        primary.finish(record)
        if record.aborted:
            # Whoever aborted it may not have known of this folder.
            self.store.remove_folder(posixpath.join(self.staging, record.id))
            recovery.removed.append(record.id)
            return
        recovery.finished.append(record.id)
        rows = sum(file.rows for file in record.files)
        _log.info("finished run %s, which died after its commit: %d rows", record.id, rows)

    def _judged(self, run: str, primary: Ledger) -> Record | None:
        """Make sure that a run that seems dead can't commit any more.

        Returns:
            None if there is no need: whoever loses a lock of the system is dead. Else the record
            that stands: that of the run's commit, if it was quicker.
        """
        if not (self.store.locks_expire or primary.store.locks_expire):
            return None
        return primary.records.abort(run, [posixpath.join(self.staging, run)])

    @contextmanager
    def locked(self, run: str = "") -> Iterator[None]:
        """Keep other processes from committing to this lake.

        Args:
            run: that is about to commit. If the lock is taken from it because it seems dead, the
                next holder aborts it first.
        """
        with self._held(self.state, run) as lock:
            if lock.taken_from:
                self.records.abort(lock.taken_from, [])
            yield

    @contextmanager
    def _held(self, folder: str, holder: str = "") -> Iterator[Lock]:
        lock = self.store.lock(folder, holder=holder)
        if lock is None:
            raise TransientError(f"another process keeps the lock of {folder}; run again later")
        try:
            yield lock
        finally:
            lock.release()

    def occupy(self, name: str) -> tuple[str, Lock]:
        """Create a folder in ``staging`` and keep its lock: what is in it is in work.

        Whoever opens the lake when the lock is free, because the process has died, removes it.

        Returns:
            The folder and its lock.
        """
        folder = posixpath.join(self.staging, name)
        with self.locked():
            self.store.make_folder(folder)
            lock = self.store.lock(folder)
        if lock is None:
            raise TransientError(f"another process keeps the lock of {folder}; run again later")
        return folder, lock

    def finish(self, record: Record) -> None:
        """Move the files of a commit to their final names. Needs the lock; safe to repeat.

        Raises:
            PermanentError: a file is neither where it was staged nor where it belongs.
        """
        finish(record, self.compacted, self._stores)
