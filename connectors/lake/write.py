"""``lake.Write``: batches of any windowing to the files of a lake."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows

from connectors.job import launch_id
from connectors.lake.layout import job_text
from connectors.lake.parquet import FileOptions
from connectors.lake.partition import Partition
from connectors.lake.steps import ListFiles, Shard, Target, WriteBundle, WritePanes
from connectors.ledger import Ledger
from connectors.records import LakeFile
from connectors.run import Run
from connectors.store import is_remote
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.metrics import ROWS_WRITTEN, Counter
from transforms.rewindow import ParDoInto
from transforms.triggers import every

__all__ = ["Write", "Written"]


class Written(NamedTuple):
    """What ``Write`` gives: a ``LakeFile`` for each file."""

    files: beam.PCollection


class Write(beam.PTransform):
    """Write batches to Parquet files below a folder, partitioned as Hive does.

    Each pane of a window becomes one file per folder and shard. Late panes get files of their
    own. The messages that rows came from are left out.

    Guarantees:
        In a ``Run``: all files appear when the run commits, or none does; each row once.
        On a runner without end: a file appears when it is complete, under a name that depends
        on nothing but window, pane, shard and job, so a bundle that is tried again replaces its
        file. Rows are in the lake once if the runner gives the same pane again with the same
        rows, as Dataflow and the durable local runner do after a shuffle. What a process leaves
        in work that is killed is removed when the lake is next opened, but in an object store.
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
        super().__init__()
        if shards < 1:
            raise ConfigError("shards", shards, "must be at least 1", "Leave it out for one file")
        if isinstance(partition_by, str):
            partition_by = Partition.parse(partition_by)
        self._levels = tuple(partition_by)
        self._path = path
        self._shards = shards
        self._files = files or FileOptions()
        self._job = job
        self._trigger = every(every_s)
        self._rows_written = rows_written

    def expand(self, batches: beam.PCollection) -> Written:
        """Wire it: shard, group into panes, write, and list the files of a run."""
        _refuse_accumulation(batches)
        run = Run.of(batches.pipeline)
        if run is None:
            target = self._direct(batches.pipeline)
            return Written(self._panes(self._fired(batches), target))
        target = self._staged(run)
        merging = batches.windowing.windowfn.is_merging()
        files = self._panes(batches, target) if merging else self._bundles(batches, target)
        # One group of all files, and of a nothing, so that there is a group even without files. A
        # side input would not do: the FnApiRunner repeats its elements for every timer of a step.
        listing = beam.ParDo(ListFiles(target, by_pane=not merging))
        nothing = batches.pipeline | "Once" >> beam.Create([None], reshuffle=False)
        everything = (files | "AllWindows" >> beam.WindowInto(GlobalWindows()), nothing)
        listed = (
            everything
            | beam.Flatten()
            | "OneKey" >> beam.Map(lambda file: (0, file)).with_output_types(tuple[int, Any])
            | "Together" >> beam.GroupByKey()
            | "List" >> listing.with_output_types(LakeFile)
        )
        return Written(listed)

    def _fired(self, batches: beam.PCollection) -> beam.PCollection:
        """Give rows that come without end and have no windows a trigger: they need one."""
        if batches.is_bounded or not batches.windowing.is_default():
            return batches
        windowing = Windowing(GlobalWindows(), self._trigger, AccumulationMode.DISCARDING)
        return batches | "Every" >> beam.WindowInto(windowing)

    def _panes(self, batches: beam.PCollection, target: Target) -> beam.PCollection:
        """Gather each pane of a shard: then its file can have a name that a retry repeats."""
        return (
            batches
            | "Shard" >> beam.ParDo(Shard(self._shards)).with_output_types(tuple[int, Batch])
            | "Panes" >> beam.GroupByKey()
            | "Files" >> beam.ParDo(WritePanes(target)).with_output_types(LakeFile)
        )

    def _bundles(self, batches: beam.PCollection, target: Target) -> beam.PCollection:
        """Write rows where they are: to gather them first would be a third of all work.

        Within a run that is safe. What a bundle that failed has written is in no manifest, and
        on a bounded runner a bundle holds nearly everything, so that files don't get small.
        """
        written = ParDoInto(WriteBundle(target), Windowing(GlobalWindows()))
        return batches | "Files" >> written.with_output_types(LakeFile)

    def _staged(self, run: Run) -> Target:
        folder = run.add_lake(self._path)
        number = posixpath.basename(folder)
        return self._target(folder, run.id if number == "0" else f"{run.id}.{number}")

    def _direct(self, pipeline: beam.Pipeline) -> Target:
        if not is_remote(self._path):
            Ledger(self._path).open()
        return self._target(None, self._job or launch_id(pipeline))

    def _target(self, folder: str | None, job: str) -> Target:
        root = Ledger(self._path).root
        return Target(
            root, folder, job_text(job),
            self._levels, self._shards, self._files, self._rows_written,
        )  # fmt: skip


def _refuse_accumulation(batches: beam.PCollection) -> None:
    if batches.windowing.accumulation_mode == AccumulationMode.ACCUMULATING:
        raise ConfigError(
            "accumulation_mode", "ACCUMULATING", "would write the rows of a window once per pane",
            "Use AccumulationMode.DISCARDING in the WindowInto before lake.Write",
        )  # fmt: skip
