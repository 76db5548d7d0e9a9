"""``lake.Write``: batches of any windowing to the files of a lake."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming

from connectors.lake.layout import PaneName, file_name, job_text
from connectors.lake.parquet import FileOptions, PaneWriter
from connectors.lake.partition import Partition, split
from connectors.ledger import Ledger
from connectors.objects import store_of
from connectors.records import LakeFile
from connectors.run import Run
from connectors.store import Store, is_remote, write_error
from connectors.transaction import MANIFEST, encode_manifest
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import MESSAGE
from transforms.metrics import BYTES_WRITTEN, FILES_WRITTEN, ROWS_WRITTEN

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
        rows, as Dataflow and the durable local runner do after a shuffle.
        Readers never see a part of a file. Null and the empty string share a folder, as in Hive.

    Args:
        path: the folder; ``gs://`` too.
        partition_by: levels of folders, outermost first; as text ``date(event_time),carrier``.
            The column of a level like ``carrier`` is in the folder's name and not in the file.
        shards: files per pane and folder that are written in parallel.
        files: row groups, codec, encodings.
        job: names an endless job in its files. It must differ between the writers of a lake and
            from launch to launch, as the default does, unless the runner keeps its state.

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

    def expand(self, batches: beam.PCollection) -> Written:
        """Wire it: shard, group into panes, write, and list the files of a run."""
        _refuse_accumulation(batches)
        run = Run.of(batches.pipeline)
        target = self._staged(run) if run else self._direct(batches.pipeline)
        files = (
            batches
            | "Shard" >> beam.ParDo(_Shard(self._shards)).with_output_types(tuple[int, Batch])
            | "Panes" >> beam.GroupByKey()
            | "Files" >> beam.ParDo(_WritePanes(target)).with_output_types(LakeFile)
        )
        if run:
            everything = files | "AllWindows" >> beam.WindowInto(GlobalWindows())
            listing = beam.ParDo(_List(target), beam.pvalue.AsList(everything))
            _ = batches.pipeline | "Once" >> beam.Impulse() | "List" >> listing
        return Written(files)

    def _staged(self, run: Run) -> _Target:
        folder = run.add_lake(self._path)
        number = posixpath.basename(folder)
        return self._target(folder, run.id if number == "0" else f"{run.id}.{number}", staged=True)

    def _direct(self, pipeline: beam.Pipeline) -> _Target:
        ledger = Ledger(self._path)
        if not is_remote(self._path):
            ledger.open()
        given = pipeline.options.view_as(GoogleCloudOptions).job_name or "job"
        job = self._job or f"{given}-{secrets.token_hex(4)}"
        return self._target(posixpath.join(ledger.state, "temporary"), job, staged=False)

    def _target(self, folder: str, job: str, *, staged: bool) -> _Target:
        root = Ledger(self._path).root
        return _Target(root, folder, job_text(job), staged, self._levels, self._shards, self._files)


@dataclass(frozen=True)
class _Target:
    """Where files are written, and whether they stay staged until a run commits."""

    root: str
    folder: str
    job: str
    staged: bool
    levels: tuple[Partition, ...]
    shards: int
    files: FileOptions


class _Shard(beam.DoFn):
    """Give batches to shards in turn, without the messages that rows came from."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._next = 0

    def process(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        self._next = (self._next + 1) % self._shards
        yield self._next, batch.drop([MESSAGE])


class _WritePanes(beam.DoFn):
    """Write each pane of a shard to one file per folder."""

    def __init__(self, target: _Target) -> None:
        self._target = target

    def setup(self) -> None:
        self._store = store_of(self._target.root)
        self._store.make_folder(self._target.folder)

    def process(
        self,
        shard: tuple[int, Iterable[Batch]],
        window: GlobalWindow | IntervalWindow = beam.DoFn.WindowParam,
        pane: PaneInfo = beam.DoFn.PaneInfoParam,
    ) -> Iterator[LakeFile]:
        target = self._target
        name = file_name(_pane_name(window, pane), shard[0], target.shards, target.job)
        writer = PaneWriter(self._store, target.folder, target.root, name, target.files)
        try:
            files = self._written(writer, shard[1])
        except BaseException as error:
            writer.abort()
            if isinstance(error, OSError):
                raise write_error(error, target.root) from error
            raise
        _count(files)
        yield from files

    def _written(self, writer: PaneWriter, batches: Iterable[Batch]) -> list[LakeFile]:
        for batch in batches:
            for folder, part in split(batch, self._target.levels):
                writer.add(folder, part)
        files = writer.finish()
        if not self._target.staged:
            publish(self._store, files)
        return files


class _List(beam.DoFn):
    """Write the manifest: the last step of a run's graph, which runs even if there is no file."""

    def __init__(self, target: _Target) -> None:
        self._target = target

    def process(self, _impulse: bytes, files: list[LakeFile]) -> None:
        manifest = posixpath.join(self._target.folder, MANIFEST)
        store_of(self._target.root).write(manifest, encode_manifest(files))


def publish(store: Store, files: Iterable[LakeFile]) -> None:
    """Make complete files durable, then visible."""
    for file in files:
        folder = posixpath.dirname(file.path)
        store.sync(file.staged)
        store.make_folder(folder)
        store.rename(file.staged, file.path)
        store.sync_folder(folder)


def _pane_name(window: GlobalWindow | IntervalWindow, pane: PaneInfo) -> PaneName:
    late = pane.timing == PaneInfoTiming.LATE
    if isinstance(window, GlobalWindow):
        return PaneName(None, max(pane.index, 0), late)
    return PaneName((window.start.micros, window.end.micros), max(pane.index, 0), late)


def _count(files: Iterable[LakeFile]) -> None:
    for file in files:
        FILES_WRITTEN.inc(1)
        ROWS_WRITTEN.inc(file.rows)
        BYTES_WRITTEN.inc(file.bytes)


def _refuse_accumulation(batches: beam.PCollection) -> None:
    if batches.windowing.accumulation_mode == AccumulationMode.ACCUMULATING:
        raise ConfigError(
            "accumulation_mode", "ACCUMULATING", "would write the rows of a window once per pane",
            "Use AccumulationMode.DISCARDING in the WindowInto before lake.Write",
        )  # fmt: skip
