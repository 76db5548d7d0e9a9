"""A bounded run: what it read, wrote and must acknowledge, committed as a whole.

On a runner that executes a bounded graph in this process, messages may be acknowledged only when
everything derived from them is safe. A ``Run`` is the unit that commits: sources register what
they took in, lakes stage their files, and when the graph has succeeded ``commit`` makes the files
visible and acknowledges the messages. Killed at any moment, it has happened wholly or not at all
as soon as the lake is opened again.

    with Run(Limits(max_messages=1_000_000)) as run:
        options = PipelineOptions([*argv, *run.options()])
        ... build and execute the graph, wait until it has succeeded ...
        commit = run.commit(counts)
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.identity import IDENTITY_SCHEMA
from connectors.ledger import Ledger
from connectors.objects import store_of
from connectors.records import REDELIVERY_S, Commit
from connectors.store import Store
from connectors.tables.spec import TableSpec
from connectors.transaction import Transaction
from transforms.errors import HeadraceError, PermanentError

__all__ = ["Limits", "Run", "RunOptions", "Source"]

_log = logging.getLogger(__name__)
_open_runs: dict[str, Run] = {}


class Source(Protocol):
    """A connector that took messages in and owes their acknowledgement."""

    name: str
    """Such as ``projects/p/subscriptions/s``. Sources of one name are counted together."""

    def messages(self) -> pa.Table:
        """Return the messages that entered the graph, each once, as ``IDENTITY_SCHEMA``."""

    def acknowledge(self) -> None:
        """Acknowledge everything that was taken in; the source is then closed."""

    def release(self) -> None:
        """Give every message back for redelivery; the source is then closed."""


@dataclass(frozen=True)
class Limits:
    """Where a bounded run stops reading, although the backlog may hold more."""

    max_messages: int | None = None
    max_seconds: float | None = None


class RunOptions(PipelineOptions):
    """Carries the id of the run from the launcher to the transforms."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--headrace_run", default=None, help=argparse.SUPPRESS)


class Run:
    """The unit that commits. A context manager: whoever leaves without ``commit`` takes it back.

    Guarantees:
        Rows of the lake: each row of a committed run once, of any other run none, as soon as the
        lake has been opened again after a crash.
        Messages: acknowledged only when the run has committed. Those of a run that died between
        its commit and its acknowledgement come again; ``committed_messages`` tells them.
        State: the messages of the last ``redelivery_s`` seconds, 20 to 30 bytes each in memory and
        0.1 to 12 on disk.

    Args:
        limits: where reading stops; by default when the backlog is drained.
        redelivery_s: how long a message may come again after it was acknowledged.
        stores: finds the store of a lake's folder.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        redelivery_s: float = REDELIVERY_S,
        stores: Callable[[str], Store] = store_of,
    ) -> None:
        self.id = _new_id()
        self.limits = limits or Limits()
        self._redelivery_s = redelivery_s
        self._stores = stores
        self._guard = threading.Lock()
        self._sources: list[Source] = []
        self._transaction: Transaction | None = None
        self._settled = False

    @classmethod
    def of(cls, pipeline: beam.Pipeline) -> Run | None:
        """Return the run that a pipeline is built for, or None: it runs without end."""
        run_id = pipeline.options.view_as(RunOptions).headrace_run
        return None if run_id is None else cls.by_id(run_id)

    @classmethod
    def by_id(cls, run_id: str) -> Run:
        """Return an open run of this process.

        Raises:
            PermanentError: there is none, because it has ended or lives in another process.
        """
        try:
            return _open_runs[run_id]
        except KeyError:
            raise PermanentError(
                f"run {run_id} is not open in this process: a bounded run must execute where it "
                "was started. Use a runner that works in process, without extra worker processes."
            ) from None

    def options(self) -> list[str]:
        """Return the arguments that tell a pipeline of this run, for ``PipelineOptions``."""
        return [f"--headrace_run={self.id}"]

    def add_source(self, source: Source) -> None:
        """Take on a source that starts to read. Called from worker threads."""
        with self._guard:
            self._sources.append(source)

    def add_lake(self, root: str, table: TableSpec | None = None) -> str:
        """Take on one writer of a lake and return the folder where it stages its files.

        The first root is the primary: it keeps the record of the commit, so let it be the same
        from run to run. Opening it finishes or removes what runs that died have left.

        Args:
            root: the folder of the lake.
            table: that the files are added to when the run commits.

        Raises:
            ConfigError: the root can't be written.
        """
        with self._guard:
            if self._transaction is None:
                ledger = Ledger(root, redelivery_s=self._redelivery_s, stores=self._stores)
                self._transaction = Transaction.begin(ledger, self.id)
            return self._transaction.stage(root, table)

    def committed_messages(self, source_name: str) -> pa.Table:
        """Return the messages that earlier runs have committed from this source.

        A message with the same ``IDENTITY_SCHEMA`` columns is to be acknowledged and dropped: its
        rows are in the lake.
        """
        if self._transaction is None:
            return IDENTITY_SCHEMA.empty_table()
        return self._transaction.committed_messages(source_name)

    def commit(self, counts: Mapping[str, int]) -> Commit:
        """Make everything that the graph has done visible at once, then acknowledge.

        Call it once, after the graph has succeeded.

        Args:
            counts: figures to be kept with the commit, such as ``messages_read``.

        Returns:
            The commit; ``acknowledged`` is false if the service refused: nothing is lost by
            that, for the next run drops the messages when they come again.

        Raises:
            TransientError: another run has committed some of the same messages meanwhile, or the
                disk is full: nothing is visible and nothing acknowledged. Or the run has committed
                but not all of its files could be moved, which the message says: nothing was
                acknowledged, and the rest is moved when the lake is next opened.
            PermanentError: the graph has not finished, or the lake can't be written.
        """
        commit = self._record(counts)
        self._settled = True
        acknowledged = self._acknowledge()
        if acknowledged:
            self._mark_acknowledged()
        return replace(commit, acknowledged=acknowledged)

    def _record(self, counts: Mapping[str, int]) -> Commit:
        messages = self._messages_by_source()
        if self._transaction is not None:
            return self._transaction.commit(messages, counts)
        sources = {name: len(table) for name, table in messages.items()}
        return Commit(self.id, dt.datetime.now(dt.timezone.utc), dict(counts), (), sources)

    def _messages_by_source(self) -> dict[str, pa.Table]:
        tables: dict[str, list[pa.Table]] = {}
        for source in self._sources:
            tables.setdefault(source.name, []).append(source.messages())
        return {name: pa.concat_tables(parts) for name, parts in tables.items()}

    def _acknowledge(self) -> bool:
        outcomes = [self._reached(source.acknowledge, source) for source in self._sources]
        return all(outcomes)

    def _mark_acknowledged(self) -> None:
        """Note it in the lake; without the note the messages are only remembered for longer."""
        try:
            if self._transaction is not None:
                self._transaction.mark_acknowledged()
        except OSError:
            _log.warning(
                "run %s: committed and acknowledged, but that could not be noted in the lake",
                self.id, exc_info=True,
            )  # fmt: skip

    def _reached(self, action: Callable[[], None], source: Source) -> bool:
        """Do what may fail without harm: the messages come again, and are then recognised."""
        try:
            action()
        except HeadraceError:
            _log.warning("run %s: %s %s failed", self.id, source.name, action, exc_info=True)
            return False
        return True

    def __enter__(self) -> Run:
        _open_runs[self.id] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del _open_runs[self.id]
        try:
            for source in () if self._settled else self._sources:
                self._reached(source.release, source)
        finally:
            if self._transaction is not None:
                self._transaction.close()


def _new_id() -> str:
    """Return a name that no other run has and that sorts by time."""
    now = dt.datetime.now(dt.timezone.utc)
    return f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
