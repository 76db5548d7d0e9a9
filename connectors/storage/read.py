"""Reading an archive: files and objects to batches of messages."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import itertools
import posixpath
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import TimestampedValue

from connectors.objects import store_of
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.message import MESSAGE_SCHEMA, earliest_publish_time

__all__ = [
    "ArchiveFile",
    "NotArchiveError",
    "ReadArchive",
    "archive_files",
    "checked_files",
    "read_archive",
    "read_archive_file",
]

ROWS_MAX = 4_096
"""Messages of one batch."""
_FIX = "Give the folder of an archive, which pipelines.pubsub_to_storage writes without --schema"
_OF_DEAD_LETTERS = "error_kind"
"""A column that dead letters have beside those of messages."""


@dataclass(frozen=True)
class ArchiveFile:
    """A file of an archive; ``bytes`` is its size."""

    path: str
    bytes: int


def archive_files(path: str) -> list[ArchiveFile]:
    """Return the files of an archive by path: by folder, then by the start of their window.

    Names that begin with a dot or an underscore are left out, as are those of other formats.

    Raises:
        ConfigError: there is none.
    """
    store = store_of(path)
    root = path.rstrip("/")
    files = [
        ArchiveFile(posixpath.join(root, file.name), file.bytes)
        for file in store.walk(root)
        if _reader(file.name) and not any(part[0] in "._" for part in file.name.split("/"))
    ]
    if not files:
        raise ConfigError(
            "path", path, f"holds no file of an archive ({', '.join(_READERS)})",
            "Give the folder that an archive was written to, or one below it",
        )  # fmt: skip
    return sorted(files, key=lambda file: file.path)


def checked_files(path: str) -> list[ArchiveFile]:
    """Return the files of an archive, having looked into the first one: a lake is no archive.

    Raises:
        ConfigError: there is none, or it holds something else than messages as they were.
        PermanentError: the first one is damaged.
    """
    files = archive_files(path)
    try:
        with contextlib.closing(read_archive_file(files[0].path)) as batches:
            next(batches, None)
    except NotArchiveError as error:
        name = posixpath.relpath(files[0].path, path.rstrip("/"))
        raise ConfigError("path", path, f"is no archive: {name} {error.rule}", error.fix) from error
    return files


def read_archive(path: str) -> Iterator[Batch]:
    """Yield the messages of an archive, file by file, in batches of ``MESSAGE_SCHEMA``.

    Raises:
        ConfigError: there is no file, or it may not be read.
        PermanentError: a file is damaged, or is no archive.
    """
    for file in archive_files(path):
        yield from read_archive_file(file.path)


def read_archive_file(path: str) -> Generator[Batch]:
    """Yield the messages of one file, in their order; as ``read_archive``."""
    reader = _reader(path)
    if reader is None:
        raise PermanentError(f"{path}: no archive, for these end with {', '.join(_READERS)}")
    with contextlib.closing(store_of(path).input(path)) as file, _explained(path):
        for rows in reader(file):
            yield Batch(rows)


class ReadArchive(beam.PTransform):
    """Read an archive: every message as it was archived.

    Guarantees:
        Bounded. Each message of each file once, whatever is tried again. A batch holds messages of
        one file, in their order; files come in any order. Its timestamp is its earliest publish
        time.

    Args:
        path: the folder, or one below it; ``gs://BUCKET/FOLDER`` too.

    Raises:
        ConfigError: there is no file of an archive in the folder.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """List the files now, spread them over the workers, and read them there."""
        return (
            begin
            | "Files" >> beam.Create([file.path for file in checked_files(self._path)])
            | "Read" >> beam.ParDo(_ReadFile()).with_output_types(Batch)
        )


class _ReadFile(beam.DoFn):
    def process(self, path: str) -> Iterator[TimestampedValue]:
        for batch in read_archive_file(path):
            yield TimestampedValue(batch, earliest_publish_time(batch))


class NotArchiveError(PermanentError):
    """A file that can be read holds something else than messages as they were.

    Attributes:
        rule: what it holds, after the name of the file.
        fix: what to do.
    """

    def __init__(self, path: str, rule: str, fix: str = _FIX) -> None:
        super().__init__(f"{path}: {rule}. {fix}")
        self.rule, self.fix = rule, fix


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Name the file in whatever its decoder raises."""
    try:
        yield
    except _OtherColumnsError as error:
        raise _no_archive(path, error.names) from error
    except msgspec.ValidationError as error:
        raise NotArchiveError(path, f"holds lines that are no messages ({error})") from error
    except Exception as error:  # decoders raise all sorts, SystemError too
        raise PermanentError(
            f"{path}: is damaged, or no archive of messages ({type(error).__name__}: {error}). "
            "Restore it, or move it out of the folder"
        ) from error


class _OtherColumnsError(Exception):
    def __init__(self, names: Collection[str]) -> None:
        super().__init__(names)
        self.names = names


def _no_archive(path: str, names: Collection[str]) -> NotArchiveError:
    if _OF_DEAD_LETTERS in names:
        fix = "Replay them with pipelines.deadletter_replay"
        return NotArchiveError(path, "holds dead letters, whose messages were rejected", fix)
    missing = [name for name in MESSAGE_SCHEMA.names if name not in names]
    return NotArchiveError(path, f"holds rows, and no messages: it lacks {', '.join(missing)}")


def _require_messages(names: Collection[str]) -> None:
    if _OF_DEAD_LETTERS in names or not set(MESSAGE_SCHEMA.names) <= set(names):
        raise _OtherColumnsError(names)


def _parquet(file: Any) -> Iterator[pa.RecordBatch]:
    opened = pq.ParquetFile(file)
    _require_messages(opened.schema_arrow.names)
    for rows in opened.iter_batches(ROWS_MAX, columns=MESSAGE_SCHEMA.names):
        yield pa.RecordBatch.from_arrays(
            [rows.column(name) for name in MESSAGE_SCHEMA.names], schema=MESSAGE_SCHEMA
        )


def _avro(file: Any) -> Iterator[pa.RecordBatch]:
    records = fastavro.reader(file)
    while chunk := list(itertools.islice(records, ROWS_MAX)):
        _require_messages(chunk[0])
        yield pa.RecordBatch.from_arrays(
            [pa.array(_avro_values(chunk, field), field.type) for field in MESSAGE_SCHEMA],
            schema=MESSAGE_SCHEMA,
        )


def _avro_values(chunk: list[Any], field: pa.Field) -> list[Any]:
    if pa.types.is_map(field.type):
        return [list(record[field.name].items()) for record in chunk]
    return [record[field.name] for record in chunk]


class _Line(msgspec.Struct):
    data: str
    attributes: dict[str, str]
    message_id: str
    publish_time: dt.datetime | None
    ordering_key: str
    delivery_attempt: int | None = None


def _json(file: Any) -> Iterator[pa.RecordBatch]:
    decoder = msgspec.json.Decoder(_Line)
    while chunk := list(itertools.islice(file, ROWS_MAX)):
        lines = [decoder.decode(line) for line in chunk]
        values = [
            [base64.b64decode(line.data, validate=True) for line in lines],
            [list(line.attributes.items()) for line in lines],
            *([getattr(line, name) for line in lines] for name in MESSAGE_SCHEMA.names[2:]),
        ]
        columns = map(pa.array, values, MESSAGE_SCHEMA.types)
        yield pa.RecordBatch.from_arrays(list(columns), schema=MESSAGE_SCHEMA)


def _compressed(codec: str) -> Callable[[Any], Iterator[pa.RecordBatch]]:
    def read(file: Any) -> Iterator[pa.RecordBatch]:
        with pa.CompressedInputStream(file, codec) as stream:
            yield from _json(_lines(stream))

    return read


def _lines(stream: Any) -> Iterator[bytes]:
    """Yield the lines of a stream of Arrow, which has no lines of its own."""
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


_READERS: dict[str, Callable[[Any], Iterator[pa.RecordBatch]]] = {
    ".avro": _avro,
    ".parquet": _parquet,
    ".jsonl": lambda file: _json(_lines(file)),
    ".jsonl.gz": _compressed("gzip"),
    ".jsonl.zst": _compressed("zstd"),
}


def _reader(path: str) -> Callable[[Any], Iterator[pa.RecordBatch]] | None:
    return next((read for suffix, read in _READERS.items() if path.endswith(suffix)), None)
