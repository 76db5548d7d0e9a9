"""The steps of writing files: they shard, write and list, and know nothing of pipelines."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import apache_beam as beam
import msgspec
from apache_beam.transforms.window import GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue

from connectors.files.layout import PaneName, file_name, parts, shards
from connectors.files.writer import FilesWriter, Format
from connectors.ledger import Ledger
from connectors.objects import store_of
from connectors.records import LakeFile
from connectors.store import is_remote, write_error
from connectors.transaction import MANIFEST, encode_manifest
from transforms.batch import Batch
from transforms.message import MESSAGE
from transforms.metrics import BYTES_WRITTEN, FILES_WRITTEN, Counter

__all__ = ["Folders", "ListFiles", "Shard", "Target", "WriteBundle", "WritePanes"]


class Folders(Protocol):
    """Which folder below the root a row belongs to."""

    def split(self, batch: Batch, pane: PaneName) -> Iterator[tuple[str, Batch]]:
        """Yield each folder and the rows that belong to it, in their order."""


@dataclass(frozen=True)
class Target:
    """Where files are written.

    Attributes:
        folder: holds them until a run commits; None for a job without end: then each writer has
            a folder of its own, and publishes a file when it is complete.
    """

    root: str
    folder: str | None
    job: str
    folders: Folders
    shards: int
    files: Format
    rows_written: Counter

    def count(self, files: Iterable[LakeFile]) -> None:
        """Count what was written, as soon as it is complete."""
        for file in files:
            FILES_WRITTEN.inc(1)
            BYTES_WRITTEN.inc(file.bytes)
            self.rows_written.inc(file.rows)


class Shard(beam.DoFn):
    """Give batches to shards in turn, without the messages that rows came from."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._next = 0

    def process(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        """Give the batch to the next shard."""
        self._next = (self._next + 1) % self._shards
        yield self._next, batch.drop([MESSAGE])


class _WriteFiles(beam.DoFn):
    """What writing panes and writing bundles have in common."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def setup(self) -> None:
        self._ledger = Ledger(self._target.root)
        self._store = self._ledger.store
        self._closing = contextlib.ExitStack()
        if self._target.folder is None:
            # Asked once: where the state lies takes calls to find out, and does not change.
            self._compacted = self._ledger.compacted
            self._folder = self._closing.enter_context(own_folder(self._target))
        else:
            self._folder = self._target.folder
            self._store.make_folder(self._folder)

    def teardown(self) -> None:
        self._closing.close()

    def _new_writer(self) -> FilesWriter:
        return FilesWriter(store_of(self._folder), self._folder, self._target.files)

    def _add(self, writer: FilesWriter, pane: PaneName, name: str, batch: Batch) -> None:
        for folder, part in self._target.folders.split(batch, pane):
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


class WritePanes(_WriteFiles):
    """Write each pane of a shard to one file per folder."""

    def process(
        self,
        shard: tuple[int, Iterable[Batch]],
        window: GlobalWindow | IntervalWindow = beam.DoFn.WindowParam,
        pane: PaneInfo = beam.DoFn.PaneInfoParam,
    ) -> Iterator[LakeFile]:
        """Write all batches of the pane, and publish the files unless a run will."""
        target = self._target
        named = _pane_name(window, pane)
        name = file_name(named, shard[0], target.shards, target.job)
        writer = self._new_writer()
        with self._aborting(writer):
            for batch in shard[1]:
                self._add(writer, named, name, batch)
            files = _renamed(writer.finish(), parts, target.files.suffix)
            if target.folder is None:
                files = self._published(files)
        target.count(files)
        yield from files

    def _published(self, files: list[LakeFile]) -> list[LakeFile]:
        """Publish files, but those whose rows are there: they were published, then merged."""
        merged = self._compacted.find([file.path for file in files])
        for file in files:
            if file.path in merged:
                store_of(file.staged).remove(file.staged)
            else:
                self._store.publish(file.staged, file.path, file.rows)
        return [file for file in files if file.path not in merged]


class WriteBundle(_WriteFiles):
    """Write each window of a bundle to one file per folder.

    Files get the path of their pane; the name within it depends on the other bundles.
    """

    def start_bundle(self) -> None:
        """Begin with no files."""
        self._writer = self._new_writer()

    def process(
        self, batch: Batch, window: GlobalWindow | IntervalWindow = beam.DoFn.WindowParam
    ) -> None:
        """Add the batch to the files of its window."""
        pane = PaneName(_window_us(window), 0, late=False)
        with self._aborting(self._writer):
            self._add(self._writer, pane, str(pane), batch.drop([MESSAGE]))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Complete the files; they stay staged until the run commits."""
        with self._aborting(self._writer):
            files = self._writer.finish()
        self._target.count(files)
        for file in files:
            yield GlobalWindows.windowed_value(file)


class ListFiles(beam.DoFn):
    """Write the manifest: the last step of a run's graph, which runs even if there is no file."""

    def __init__(self, target: Target, *, by_pane: bool) -> None:
        self._target = target
        self._by_pane = by_pane

    def process(self, group: tuple[int, Iterable[LakeFile | None]]) -> Iterator[LakeFile]:
        """Name the files, list them, and pass them on."""
        files = [file for file in group[1] if file is not None]
        if self._by_pane:
            names = partial(shards, job=self._target.job)
            files = _renamed(files, names, self._target.files.suffix)
        manifest = posixpath.join(str(self._target.folder), MANIFEST)
        store_of(self._target.root).write(manifest, encode_manifest(files))
        yield from files


def _renamed(
    files: list[LakeFile], names: Callable[[Sequence[str]], list[str]], suffix: str
) -> list[LakeFile]:
    """Return the files under names that depend on all of their paths."""
    paths = names([file.path for file in files])
    return [
        msgspec.structs.replace(file, path=path + suffix)
        for file, path in zip(files, paths, strict=True)
    ]


@contextlib.contextmanager
def own_folder(target: Target) -> Iterator[str]:
    """Yield a folder for files in work, where they can be renamed from into the lake.

    It is removed in the end. What a process leaves that dies is removed by the next that opens
    the lake. Objects are made from files of this machine, so that none is there before it is
    complete; what is left of those when the process dies is a matter of the machine.
    """
    if is_remote(target.root):
        with tempfile.TemporaryDirectory(prefix="headrace-") as spool:
            yield spool
        return
    ledger = Ledger(target.root)
    folder, lock = ledger.occupy(f"{target.job}.{secrets.token_hex(4)}")
    try:
        yield folder
    finally:
        ledger.store.remove_folder(folder)
        lock.release()


def _pane_name(window: GlobalWindow | IntervalWindow, pane: PaneInfo) -> PaneName:
    late = pane.timing == PaneInfoTiming.LATE
    return PaneName(_window_us(window), max(pane.index, 0), late)


def _window_us(window: GlobalWindow | IntervalWindow) -> tuple[int, int] | None:
    return None if isinstance(window, GlobalWindow) else (window.start.micros, window.end.micros)
