"""Batches of any windowing to files below a folder: the graph, whatever their format and names."""

from __future__ import annotations

import posixpath
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows

from connectors.files.layout import job_text
from connectors.files.steps import Folders, ListFiles, Shard, Target, WriteBundle, WritePanes
from connectors.files.writer import Format
from connectors.job import launch_id
from connectors.ledger import Ledger
from connectors.records import LakeFile
from connectors.run import Run
from connectors.store import is_remote
from connectors.tables.spec import TableSpec
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.metrics import ROWS_WRITTEN, Counter
from transforms.rewindow import ParDoInto
from transforms.triggers import every

__all__ = ["WriteFiles", "Written"]


class Written(NamedTuple):
    """What ``Write`` gives: a ``LakeFile`` for each file."""

    files: beam.PCollection


class WriteFiles(beam.PTransform):
    """Write each pane of a window to a file per folder and shard.

    What it promises is said by ``lake.Write`` and ``storage.Write``, which differ from it only in
    what they choose for ``folders`` and ``files``.

    Args:
        path: the folder; ``gs://`` too.
        folders: which folder below it a row belongs to.
        files: the format.
        shards: files per pane and folder that are written in parallel.
        job: names an endless job in its files.
        every_s: how often rows without windows are written.
        rows_written: the metric that counts the rows.
        table: that a run adds the files to when it commits.
    """

    def __init__(
        self,
        path: str,
        folders: Folders,
        files: Format,
        *,
        shards: int = 1,
        job: str | None = None,
        every_s: float = 1.0,
        rows_written: Counter = ROWS_WRITTEN,
        table: TableSpec | None = None,
    ) -> None:
        super().__init__()
        if shards < 1:
            raise ConfigError("shards", shards, "must be at least 1", "Leave it out for one file")
        self._path = path
        self._folders = folders
        self._shards = shards
        self._files = files
        self._job = job
        self._trigger = every(every_s)
        self._rows_written = rows_written
        self._table = table

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
        folder = run.add_lake(self._path, self._table)
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
            self._folders, self._shards, self._files, self._rows_written,
        )  # fmt: skip


def _refuse_accumulation(batches: beam.PCollection) -> None:
    if batches.windowing.accumulation_mode == AccumulationMode.ACCUMULATING:
        raise ConfigError(
            "accumulation_mode", "ACCUMULATING", "would write the rows of a window once per pane",
            "Use AccumulationMode.DISCARDING in the WindowInto before the Write",
        )  # fmt: skip
