"""``storage.Write``: batches of any windowing to objects on Cloud Storage, or to files."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors.files.parquet import FileOptions
from connectors.files.write import WriteFiles, Written
from connectors.files.writer import Format
from connectors.storage.folders import TimeFolders
from connectors.storage.json_lines import JsonLines
from connectors.tables.detect import refuse_files
from transforms.errors import ConfigError
from transforms.metrics import ROWS_WRITTEN, Counter

__all__ = ["Parquet", "Write", "Written"]

Parquet = FileOptions
"""Parquet files: row groups, codec (zstd), encodings."""


class Write(WriteFiles):
    """Write batches to JSON lines, Avro or Parquet, an object per pane of a window and shard.

        gs://bucket/clicks/2026/01/31/20260131T090000_20260131T100000-pane0-00000-of-00001-JOB.avro

    The folder below the path follows from the window's start, the name from window, pane, shard
    and job. Late panes are objects of their own, named ``...-pane1-late-...``. The messages that
    rows came from (``_message``) are left out.

    Guarantees:
        In a ``Run`` (a bounded run): all objects appear when the run commits, or none does; each
        row once. A run that was killed is finished or removed by the next that opens the path.
        On a runner without end: an object appears when it is complete, under a name that depends
        on nothing but window, pane, shard and job. On Cloud Storage it is made only if there is
        none of that name, so a bundle that is tried again finds its own object and is done; on
        disk it is renamed into place, over the same rows. Each row is there once if the runner
        gives the same pane again with the same rows, as Dataflow and the durable local runner do
        after a shuffle. Nothing that was not completed is visible on Cloud Storage or stays there;
        on disk the next that opens the path removes it.
        Order: the rows of a pane and shard come in the order of their batches.
        Memory: that of ``FilesWriter``. Disk: on ``gs://``, files wait for their upload in the
        folder for temporary files, those of one pane at a time.

    Args:
        path: the folder; ``gs://BUCKET/FOLDER`` too.
        files: the format: ``JsonLines``, ``Avro`` or ``Parquet``, with their compression.
        folders: template of the folders below the path, with parts of the window's start in UTC:
            ``%Y %m %d %H %M %S %j``, such as ``%Y/%m/%d/%H`` or ``dt=%Y-%m-%d``; by default none.
        shards: objects per pane that are written in parallel, on a runner without end. A run
            writes where its bundles are, and numbers their files as shards.
        job: names an endless job in its objects. It must differ between the writers of a path, and
            change exactly when the runner's state is a new one. By default it is the id that our
            launcher keeps beside the state (``connectors.job``), or without one, random.
        every_s: how often rows without windows are written, on a runner without end: each time
            an object per shard.
        rows_written: the metric that counts the rows.

    Raises:
        ConfigError: the path can't be written or is a table, the template can't be read or wants a
            window where there is none, or the windows accumulate.
    """

    def __init__(
        self,
        path: str,
        files: Format | None = None,
        *,
        folders: str = "",
        shards: int = 1,
        job: str | None = None,
        every_s: float = 1.0,
        rows_written: Counter = ROWS_WRITTEN,
    ) -> None:
        self._template = TimeFolders(folders)
        super().__init__(
            path, self._template, files or JsonLines(),
            shards=shards, job=job, every_s=every_s, rows_written=rows_written,
        )  # fmt: skip

    def expand(self, batches: beam.PCollection) -> Written:
        """Refuse a template that nothing could fill in, and the folder of a table; then write."""
        if self._template.by_time and batches.windowing.is_default():
            raise ConfigError(
                "folders", self._template.template,
                "has parts of the window's start, and the rows have no windows",
                "Put a WindowInto or transforms.windows.Windowing before the Write",
            )  # fmt: skip
        if not isinstance(batches.pipeline.runner, DataflowRunner):
            refuse_files(self._path)
        return super().expand(batches)
