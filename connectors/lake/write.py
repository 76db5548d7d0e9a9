"""``lake.Write``: batches of any windowing to the files of a lake."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue

from connectors.lake.layout import PaneName, file_name, job_text, parts, shards
from connectors.lake.parquet import FileOptions, FilesWriter
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
from transforms.metrics import BYTES_WRITTEN, FILES_WRITTEN, ROWS_WRITTEN, Counter
from transforms.rewindow import ParDoInto

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
        self._rows_written = rows_written

    def expand(self, batches: beam.PCollection) -> Written:
        """Wire it: shard, group into panes, write, and list the files of a run."""
        _refuse_accumulation(batches)
        run = Run.of(batches.pipeline)
        if run is None:
            return Written(self._panes(batches, self._direct(batches.pipeline)))
        target = self._staged(run)
        merging = batches.windowing.windowfn.is_merging()
        files = self._panes(batches, target) if merging else self._bundles(batches, target)
        everything = files | "AllWindows" >> beam.WindowInto(GlobalWindows())
        listing = beam.ParDo(_List(target, by_pane=not merging), beam.pvalue.AsList(everything))
        once = batches.pipeline | f"{self.label}/Once" >> beam.Impulse()
        return Written(once | f"{self.label}/List" >> listing.with_output_types(LakeFile))

    def _panes(self, batches: beam.PCollection, target: _Target) -> beam.PCollection:
        """Gather each pane of a shard: then its file can have a name that a retry repeats."""
        return (
            batches
            | "Shard" >> beam.ParDo(_Shard(self._shards)).with_output_types(tuple[int, Batch])
            | "Panes" >> beam.GroupByKey()
            | "Files" >> beam.ParDo(_WritePanes(target)).with_output_types(LakeFile)
        )

    def _bundles(self, batches: beam.PCollection, target: _Target) -> beam.PCollection:
        """Write rows where they are: to gather them first would be a third of all work.

        Within a run that is safe. What a bundle that failed has written is in no manifest, and
        on a bounded runner a bundle holds nearly everything, so that files don't get small.
        """
        written = ParDoInto(_WriteBundle(target), Windowing(GlobalWindows()))
        return batches | "Files" >> written.with_output_types(LakeFile)

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
        return _Target(
            root, folder, job_text(job), staged,
            self._levels, self._shards, self._files, self._rows_written,
        )  # fmt: skip


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
    rows_written: Counter

    def count(self, files: Iterable[LakeFile]) -> None:
        """Count what was written, as soon as it is complete."""
        for file in files:
            FILES_WRITTEN.inc(1)
            BYTES_WRITTEN.inc(file.bytes)
            self.rows_written.inc(file.rows)


class _Shard(beam.DoFn):
    """Give batches to shards in turn, without the messages that rows came from."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._next = 0

    def process(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        self._next = (self._next + 1) % self._shards
        yield self._next, batch.drop([MESSAGE])


class _WriteFiles(beam.DoFn):
    """What writing panes and writing bundles have in common."""

    def __init__(self, target: _Target) -> None:
        self._target = target

    def setup(self) -> None:
        self._store = store_of(self._target.root)
        self._store.make_folder(self._target.folder)

    def _new_writer(self) -> FilesWriter:
        return FilesWriter(self._store, self._target.folder, self._target.files)

    def _add(self, writer: FilesWriter, name: str, batch: Batch) -> None:
        for folder, part in split(batch, self._target.levels):
            writer.add(posixpath.join(self._target.root, folder, name), part)

    @contextlib.contextmanager
    def _aborting(self, writer: FilesWriter) -> Iterator[None]:
        """Delete what was written if anything goes wrong, and explain a full disk."""
        try:
            yield
        except BaseException as error:
            writer.abort()
            if isinstance(error, OSError):
                raise write_error(error, self._target.root) from error
            raise


class _WritePanes(_WriteFiles):
    """Write each pane of a shard to one file per folder."""

    def process(
        self,
        shard: tuple[int, Iterable[Batch]],
        window: GlobalWindow | IntervalWindow = beam.DoFn.WindowParam,
        pane: PaneInfo = beam.DoFn.PaneInfoParam,
    ) -> Iterator[LakeFile]:
        target = self._target
        name = file_name(_pane_name(window, pane), shard[0], target.shards, target.job)
        writer = self._new_writer()
        with self._aborting(writer):
            for batch in shard[1]:
                self._add(writer, name, batch)
            files = _renamed(writer.finish(), parts)
            if not target.staged:
                publish(self._store, files)
        target.count(files)
        yield from files


class _WriteBundle(_WriteFiles):
    """Write each window of a bundle to one file per folder.

    Files get the path of their pane; the name within it depends on the other bundles.
    """

    def start_bundle(self) -> None:
        self._writer = self._new_writer()

    def process(
        self, batch: Batch, window: GlobalWindow | IntervalWindow = beam.DoFn.WindowParam
    ) -> None:
        pane = PaneName(_window_us(window), 0, late=False)
        with self._aborting(self._writer):
            self._add(self._writer, str(pane), batch.drop([MESSAGE]))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        with self._aborting(self._writer):
            files = self._writer.finish()
        self._target.count(files)
        for file in files:
            yield GlobalWindows.windowed_value(file)


class _List(beam.DoFn):
    """Write the manifest: the last step of a run's graph, which runs even if there is no file."""

    def __init__(self, target: _Target, *, by_pane: bool) -> None:
        self._target = target
        self._by_pane = by_pane

    def process(self, _impulse: bytes, files: list[LakeFile]) -> Iterator[LakeFile]:
        if self._by_pane:
            files = _renamed(files, partial(shards, job=self._target.job))
        manifest = posixpath.join(self._target.folder, MANIFEST)
        store_of(self._target.root).write(manifest, encode_manifest(files))
        yield from files


def _renamed(files: list[LakeFile], names: Callable[[Sequence[str]], list[str]]) -> list[LakeFile]:
    """Return the files under names that depend on all of their paths."""
    paths = names([file.path for file in files])
    return [
        msgspec.structs.replace(file, path=path) for file, path in zip(files, paths, strict=True)
    ]


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
    return PaneName(_window_us(window), max(pane.index, 0), late)


def _window_us(window: GlobalWindow | IntervalWindow) -> tuple[int, int] | None:
    return None if isinstance(window, GlobalWindow) else (window.start.micros, window.end.micros)


def _refuse_accumulation(batches: beam.PCollection) -> None:
    if batches.windowing.accumulation_mode == AccumulationMode.ACCUMULATING:
        raise ConfigError(
            "accumulation_mode", "ACCUMULATING", "would write the rows of a window once per pane",
            "Use AccumulationMode.DISCARDING in the WindowInto before lake.Write",
        )  # fmt: skip
