"""``lake.Compact``: small Parquet files of a lake to large ones, while others write and read."""

from __future__ import annotations

import hashlib
import logging
import posixpath
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors.files.parquet import FileOptions
from connectors.files.write import Written
from connectors.files.writer import FilesWriter
from connectors.lake.existing import refuse_others
from connectors.ledger import Ledger
from connectors.objects import store_of
from connectors.records import LakeFile
from connectors.run import Run
from connectors.store import Found, write_error
from connectors.tables.detect import refuse_table
from connectors.transaction import MANIFEST, REMOVED, encode_manifest
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.metrics import FILES_MERGED, FILES_WRITTEN, ROWS_MERGED

__all__ = ["Compact", "Group", "Merged", "files_of", "plan"]

FILE_BYTES = 128 << 20
AGE_S = 3_600.0
_READ_ROWS = 65_536
_REWRITE = {
    "delta": "Use OPTIMIZE, or in Python deltalake.DeltaTable(PATH).optimize.compact()",
    "iceberg": "Use the procedure rewrite_data_files of Spark or Trino, or that of your catalog",
}
_log = logging.getLogger(__name__)


class Group(msgspec.Struct, frozen=True):
    """Files of one folder that become one, in the order of their names."""

    target: str
    sources: list[str]


@dataclass(eq=False)
class Compact(beam.PTransform):
    """Merge the small files of each folder of a lake into larger ones.

    Guarantees:
        Runs in a ``Run`` (a bounded run), which commits as a whole: killed at any moment, the lake
        is as before or as after as soon as it is opened again. Every row is in one file, before and
        after. Rows keep their order: that of the files' names, and within a file.
        Writers are not held up, and what they add meanwhile is not touched. A job without end that
        writes a file again which was merged finds its mark, and leaves it out; marks are kept for
        a month.
        Readers that list the folder see each row at least once at every moment; between the
        appearance of the merged file and the removal of its sources, which takes milliseconds on
        disk and seconds on Cloud Storage, they see its rows twice. Who holds the list of
        ``files_of`` sees each row once. A file that was listed before may be gone when it is
        opened: then list again.
        Two compactions at a time: the second one fails and changes nothing.
        On Dataflow one worker does it all, as a run of its own, with the same guarantees; the
        service starts it again if it dies.
        Memory: that of ``FilesWriter``, and one row group of one source.

    Args:
        path: the folder of the lake; ``gs://`` too.
        file_bytes: size of the files that are wanted; what has half of it stays as it is.
        age_s: files that were written less than so many seconds ago stay as they are.
        files: how the new files are written.

    Raises:
        ConfigError: there is no run, for the runner is none that works in this process; or the
            folder is a table of Delta Lake or Iceberg, which have means of their own, or holds
            files and none of Parquet.
    """

    path: str
    file_bytes: int = FILE_BYTES
    age_s: float = AGE_S
    files: FileOptions = FileOptions()  # noqa: RUF009 (it is frozen)

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, begin: beam.pvalue.PBegin) -> Written:
        """List the files, merge each group, and list what a commit has to change."""
        if isinstance(begin.pipeline.runner, DataflowRunner):
            whole = beam.ParDo(Whole(self)).with_output_types(LakeFile)
            return Written(begin | "Once" >> beam.Impulse() | "Whole" >> whole)
        run = Run.of(begin.pipeline)
        if run is None:
            raise ConfigError(
                "runner", None, "compaction commits as a whole, which only a bounded run can",
                "Leave --runner out, or use --runner=DataflowRunner",
            )  # fmt: skip
        _require_lake(self.path)
        folder = run.add_lake(self.path)
        plans = beam.ParDo(_Plan(self)).with_output_types(Group)
        merge = beam.ParDo(_Merge(self, folder)).with_output_types(Merged)
        listing = beam.ParDo(_List(self.path, folder)).with_output_types(LakeFile)
        once = begin | "Once" >> beam.Impulse()
        nothing = once | "Nothing" >> beam.Map(lambda _: (0, None))
        merged = (
            once
            | "Plan" >> plans
            | "Spread" >> beam.Reshuffle()
            | "Merge" >> merge
            | "OneKey" >> beam.Map(lambda each: (0, each))
        )
        everything = (merged, nothing) | beam.Flatten() | "Together" >> beam.GroupByKey()
        return Written(everything | "List" >> listing)


def _require_lake(path: str) -> None:
    refuse_table(path, "whose log names each file: they are its own to rewrite", _REWRITE)
    refuse_others(path)


class Merged(msgspec.Struct, frozen=True):
    """A new file, and what it replaces."""

    file: LakeFile
    sources: list[str]


def plan(root: str, found: Iterable[Found], file_bytes: int, before_s: float) -> Iterator[Group]:
    """Yield the groups of files that are to become one. Pure.

    Args:
        root: the lake's folder.
        found: what is in it.
        file_bytes: size of the files that are wanted.
        before_s: Unix time; what was written later stays.
    """
    folders: dict[str, list[Found]] = {}
    for file in sorted(found):
        hidden = any(part[0] in "._" for part in file.name.split("/"))
        small = file.bytes < file_bytes // 2 and file.modified_s < before_s
        if small and not hidden and file.name.endswith(".parquet"):
            folders.setdefault(posixpath.dirname(file.name), []).append(file)
    for folder, files in folders.items():
        for members in _filled(files, file_bytes):
            if len(members) > 1:
                sources = [posixpath.join(root, file.name) for file in members]
                target = posixpath.join(root, folder, f"compact-{_digest(members)}.parquet")
                yield Group(target, sources)


def _filled(files: Sequence[Found], file_bytes: int) -> Iterator[list[Found]]:
    group: list[Found] = []
    size = 0
    for file in files:
        if group and size + file.bytes > file_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.bytes
    yield group


def _digest(files: Sequence[Found]) -> str:
    """Name a file by its sources: whoever merges the same again writes the same."""
    text = "\n".join(file.name for file in files)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class _Plan(beam.DoFn):
    def __init__(self, compact: Compact) -> None:
        self._compact = compact

    def process(self, impulse: bytes) -> Iterator[Group]:
        del impulse
        root = Ledger(self._compact.path).root
        found = list(store_of(root).walk(root))
        before_s = time.time() - self._compact.age_s
        yield from plan(root, found, self._compact.file_bytes, before_s)


class _Merge(beam.DoFn):
    def __init__(self, compact: Compact, folder: str) -> None:
        self._files = compact.files
        self._folder = folder

    def process(self, group: Group) -> Iterator[Merged]:
        store = store_of(group.target)
        writer = FilesWriter(store, self._folder, self._files)
        try:
            schema = _common_schema(group.sources)
            if schema is None:
                return
            for path in group.sources:
                for rows in _rows(path, schema):
                    writer.add(group.target, Batch(rows))
            files = writer.finish()
        except BaseException as error:
            writer.abort()
            if isinstance(error, OSError):
                raise write_error(error, group.target) from error
            raise
        for file in files:
            FILES_MERGED.inc(len(group.sources))
            ROWS_MERGED.inc(file.rows)
            FILES_WRITTEN.inc(1)
            yield Merged(file, group.sources)


def _common_schema(paths: Sequence[str]) -> pa.Schema | None:
    """Return the schema of all files; None if there is none, so that they stay as they are."""
    schemas = []
    for path in paths:
        with store_of(path).input(path) as file:
            schemas.append(_parquet(file, path).schema_arrow)
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        _log.warning("%s and others stay as they are: %s", paths[0], error)
        return None


def _rows(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with store_of(path).input(path) as file:
        for rows in _parquet(file, path).iter_batches(_READ_ROWS):
            columns = [
                rows.column(field.name).cast(field.type)
                if field.name in rows.schema.names
                else pa.nulls(rows.num_rows, field.type)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _parquet(file: object, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise PermanentError(
            f"{path}: is no Parquet file ({error}). Move it out of the lake, and run again"
        ) from error


class _List(beam.DoFn):
    def __init__(self, path: str, folder: str) -> None:
        self._path = path
        self._folder = folder

    def process(self, group: tuple[int, Iterable[Merged | None]]) -> Iterator[LakeFile]:
        merged = [each for each in group[1] if each is not None]
        store = store_of(self._path)
        removed = [path for each in merged for path in each.sources]
        files = [each.file for each in merged]
        store.write(posixpath.join(self._folder, REMOVED), msgspec.json.encode(removed))
        store.write(posixpath.join(self._folder, MANIFEST), encode_manifest(files))
        yield from files


class Whole(beam.DoFn):
    """A compaction in one worker, where no process outlives the job to commit it.

    If it dies, whoever is started in its place opens the lake, which settles what it has done.
    """

    def __init__(self, compact: Compact) -> None:
        self._compact = compact

    def process(self, impulse: bytes) -> Iterator[LakeFile]:
        """Plan, merge and commit."""
        path = self._compact.path
        _require_lake(path)
        with Run() as run:
            folder = run.add_lake(path)
            merge = _Merge(self._compact, folder)
            plans = _Plan(self._compact).process(impulse)
            merged = [each for group in plans for each in merge.process(group)]
            files = list(_List(path, folder).process((0, merged)))
            run.commit({})
        yield from files


def files_of(path: str) -> list[str]:
    """Return the data files of a lake, at a moment at which each row is in one of them.

    What a run has left that died is finished first.

    Raises:
        TransientError: another process has kept the lake's lock for too long.
    """
    ledger = Ledger(path)
    ledger.open()
    with ledger.locked():
        found = sorted(file.name for file in ledger.store.walk(ledger.root))
    return [
        posixpath.join(ledger.root, name)
        for name in found
        if name.endswith(".parquet") and not any(part[0] in "._" for part in name.split("/"))
    ]
