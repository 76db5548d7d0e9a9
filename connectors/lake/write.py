"""``lake.Write``: batches of any windowing to the files of a lake, or of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors.files.layout import PaneName, job_text
from connectors.files.parquet import FileOptions
from connectors.files.write import WriteFiles, Written
from connectors.job import launch_id
from connectors.lake.existing import require_same_levels
from connectors.lake.partition import Partition, split
from connectors.ledger import Ledger
from connectors.run import Run
from connectors.tables.detect import refuse_files
from connectors.tables.fitting import fit
from connectors.tables.options import Delta, Iceberg
from connectors.tables.prepare import Target
from connectors.tables.spec import Level
from connectors.tables.steps import CommitFiles
from transforms.batch import Batch
from transforms.metrics import ROWS_WRITTEN, Counter

__all__ = ["HiveFolders", "TableFolders", "Write", "Written"]


@dataclass(frozen=True)
class HiveFolders:
    """Folders by the values of columns, as Hive names them."""

    levels: tuple[Partition, ...]

    def split(self, batch: Batch, pane: PaneName) -> Iterator[tuple[str, Batch]]:
        """Yield each folder and its rows; the window plays no part."""
        del pane
        return split(batch, self.levels)


@dataclass(frozen=True)
class TableFolders:
    """The same for the files of a table: rows get its columns and types first.

    Files of Iceberg hold the columns by which they are parted, those of Delta Lake don't.
    """

    levels: tuple[Partition, ...]
    target: Target

    def split(self, batch: Batch, pane: PaneName) -> Iterator[tuple[str, Batch]]:
        """Yield each folder and its rows."""
        del pane
        rows = fit(batch, self.target.columns(batch.schema))
        return split(rows, self.levels, whole=self.target.spec.kind == "iceberg")


class Write(WriteFiles):
    """Write batches to Parquet files below a folder, partitioned as Hive does.

    Each pane of a window becomes one file per folder and shard. Late panes get files of their
    own. The messages that rows came from are left out.

        rows | lake.Write("./lake", partition_by="date(at)")
        rows | lake.Write("./lake", partition_by="date(at)", table=lake.Delta(schema))

    Guarantees:
        In a ``Run``: all files appear when the run commits, or none does; each row once.
        On a runner without end: a file appears when it is complete, under a name that depends
        on nothing but window, pane, shard and job, so a bundle that is tried again replaces its
        file, or on Cloud Storage finds it (``ifGenerationMatch=0``) and is done. Rows are in the
        lake once if the runner gives the same pane again with the same rows, as Dataflow and the
        durable local runner do after a shuffle. What a process leaves in work that is killed is
        removed when the lake is next opened; on Cloud Storage it leaves nothing.
        Several runs and jobs may write to one lake at a time, on disk and on Cloud Storage. There
        a run that gives no sign of life for half a minute counts as dead: it can't commit any
        more, and fails.
        Readers never see a part of a file. Null and the empty string share a folder, as in Hive.
        Memory: that of ``FilesWriter``; the rows of a pane are read one batch after the other.

        With a ``table``: files are the table's when they are added to its log, in one commit for
        a run, and in one every ``commit_s`` without end. Each commit has a number that is kept
        in the table by the commit itself (Delta Lake: ``txn``; Iceberg: a property, and the
        snapshot's summary), so one that is tried again, or made by two, is made once. A job that
        is killed may leave files that are in no version of the table; the job, when it goes on,
        writes them again under their names. Other writers may commit at the same time; whoever
        is second tries again, a bounded number of times. On a runner without end, rows are in the
        table once under the same condition as above.
        In a table of Delta Lake null and the empty string in a column of partitions are both
        null, by the format; in one of Iceberg they are apart.

    Args:
        path: the folder; ``gs://`` too.
        partition_by: levels of folders, outermost first; as text ``date(event_time),carrier``.
            The column of a level like ``carrier`` is in the folder's name and not in the file. In
            a table of Delta Lake, a level like ``date(event_time)`` is a column more; in one of
            Iceberg it is a partition transform.
        shards: files per pane and folder that are written in parallel, on a runner without end. A
            run writes where its bundles are, and numbers their files as shards.
        files: row groups, codec, encodings.
        job: names an endless job in its files. It must differ between the writers of a lake, and
            change exactly when the runner's state is a new one. By default it is the id that our
            launcher keeps beside the state (``connectors.job``), or without one, random.
        every_s: how often rows without windows are written, on a runner without end: each
            time a file per folder and shard.
        rows_written: the metric that counts the rows.
        table: what the files are a table of, ``Delta`` or ``Iceberg``; by default they are a
            plain lake. It is made if it is missing.

    Raises:
        ConfigError: the folder can't be written, a partition can't be read, the files that are
            there are parted in another way, or the windows accumulate: a pane would hold the rows
            of earlier panes again. Or the table does not
            fit: another column, type or partition, which it names.
    """

    def __init__(
        self,
        path: str,
        *,
        partition_by: str | Sequence[Partition] = (),
        shards: int = 1,
        files: FileOptions | None = None,
        job: str | None = None,
        every_s: float = 1.0,
        rows_written: Counter = ROWS_WRITTEN,
        table: Delta | Iceberg | None = None,
    ) -> None:
        if isinstance(partition_by, str):
            partition_by = Partition.parse(partition_by)
        self._levels = levels = tuple(partition_by)
        self._option = table
        spec = table.spec(Ledger(path).root, _levels(levels)) if table else None
        super().__init__(
            path,
            HiveFolders(levels) if spec is None else TableFolders(levels, Target(spec)),
            files or FileOptions(),
            shards=shards, job=job, every_s=every_s, rows_written=rows_written, table=spec,
        )  # fmt: skip

    def expand(self, batches: beam.PCollection) -> Written:
        """Wire it: as plain files, and without a run, which commits as a whole, their commits."""
        if self._table is None or self._option is None:
            written = super().expand(batches)
            if not isinstance(batches.pipeline.runner, DataflowRunner):
                refuse_files(self._path)
                require_same_levels(self._path, self._levels)
            return written
        target = Target(self._table)
        target.open()  # its package is there
        in_run = Run.of(batches.pipeline) is not None
        self._job = self._job or (None if in_run else launch_id(batches.pipeline))
        written = super().expand(batches)
        self._require_table(batches.pipeline, target)
        if in_run:
            return written
        app = f"headrace/{job_text(str(self._job))}/{job_text(self.label)}"
        commit = CommitFiles(self._table, app, self._option.commit_s)
        return Written(written.files | "Commit" >> commit)

    def _require_table(self, pipeline: beam.Pipeline, target: Target) -> None:
        """Make or check the table before the start, where this machine can see it."""
        schema = self._option.schema if self._option else None
        if schema is not None and not isinstance(pipeline.runner, DataflowRunner):
            target.columns(schema)


def _levels(levels: Sequence[Partition]) -> list[Level]:
    return [
        Level(level.name, level.column, level.granularity.name.lower() if level.granularity else "")
        for level in levels
    ]
