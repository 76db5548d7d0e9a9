"""``lake.Write``: batches of any windowing to the files of a lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.files.layout import PaneName
from connectors.files.parquet import FileOptions
from connectors.files.write import WriteFiles, Written
from connectors.lake.partition import Partition, split
from transforms.batch import Batch
from transforms.metrics import ROWS_WRITTEN, Counter

__all__ = ["HiveFolders", "Write", "Written"]


@dataclass(frozen=True)
class HiveFolders:
    """Folders by the values of columns, as Hive names them."""

    levels: tuple[Partition, ...]

    def split(self, batch: Batch, pane: PaneName) -> Iterator[tuple[str, Batch]]:
        """Yield each folder and its rows; the window plays no part."""
        del pane
        return split(batch, self.levels)


class Write(WriteFiles):
    """Write batches to Parquet files below a folder, partitioned as Hive does.

    Each pane of a window becomes one file per folder and shard. Late panes get files of their
    own. The messages that rows came from are left out.

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

    Args:
        path: the folder; ``gs://`` too.
        partition_by: levels of folders, outermost first; as text ``date(event_time),carrier``.
            The column of a level like ``carrier`` is in the folder's name and not in the file.
        shards: files per pane and folder that are written in parallel, on a runner without end. A
            run writes where its bundles are, and numbers their files as shards.
        files: row groups, codec, encodings.
        job: names an endless job in its files. It must differ between the writers of a lake, and
            change exactly when the runner's state is a new one. By default it is the id that our
            launcher keeps beside the state (``connectors.job``), or without one, random.
        every_s: how often rows without windows are written, on a runner without end: each
            time a file per folder and shard.
        rows_written: the metric that counts the rows.

    Raises:
        ConfigError: the folder can't be written, a partition can't be read, or the windows
            accumulate: a pane would hold the rows of earlier panes again.
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
    ) -> None:
        if isinstance(partition_by, str):
            partition_by = Partition.parse(partition_by)
        super().__init__(
            path, HiveFolders(tuple(partition_by)), files or FileOptions(),
            shards=shards, job=job, every_s=every_s, rows_written=rows_written,
        )  # fmt: skip
