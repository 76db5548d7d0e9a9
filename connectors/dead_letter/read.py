"""``dead_letter.Read``: failures from a folder, a subscription of a topic, or a table."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import TimestampedValue

from connectors import pubsub
from connectors.dead_letter.envelope import from_messages
from connectors.dead_letter.target import Folder, Topic, target
from connectors.objects import store_of
from connectors.pubsub.names import check_subscription
from connectors.table_name import TableName
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.failure import FAILURE_SCHEMA, failed_at
from transforms.message import MESSAGE_SCHEMA
from transforms.metrics import DEAD_LETTERS, MESSAGES_READ

__all__ = [
    "Kept",
    "Open",
    "Read",
    "ReadFile",
    "Source",
    "Subscription",
    "checked_files",
    "files",
    "source",
]

ROWS_MAX = 4_096
"""Failures of one batch, from files."""
_SUFFIX = ".parquet"
_ARCHIVE = "; an archive is replayed by pipelines.archive_replay"


@dataclass(frozen=True)
class Subscription:
    """A subscription of a dead-letter topic."""

    name: str

    def __str__(self) -> str:
        return self.name


Source: TypeAlias = Folder | Subscription | TableName


class Kept(NamedTuple):
    """What was read: each row is in exactly one of the two."""

    ok: beam.PCollection[Batch]
    """Failures."""
    dead: beam.PCollection[Batch]
    """Messages of the topic that are no dead letters, as failures to read one."""


def source(text: str) -> Source:
    """Read ``projects/P/subscriptions/S``, or a folder or table as ``target`` does.

    Raises:
        ConfigError: it is none of them, or a name is against the rules of the service.
    """
    if text.startswith("projects/") and "/subscriptions/" in text:
        check_subscription("subscription", text)
        return Subscription(text)
    found = target(text)
    if isinstance(found, Topic):
        raise ConfigError(
            "dead letters", text, "is a topic, of which only what is yet to come can be read",
            "Give a subscription of it: projects/PROJECT/subscriptions/ID",
        )  # fmt: skip
    return found


class Read(beam.PTransform):
    """Read dead letters as batches with ``FAILURE_SCHEMA``, wherever they were kept.

    Guarantees:
        Folder and table: bounded; each failure once, and it stays where it is.
        Subscription: those of ``pubsub.Read``; what was read is acknowledged. What Pub/Sub itself
        has forwarded to the topic is a failure too, see ``envelope``.

    Args:
        source: where they are; see ``source``.

    Raises:
        ConfigError: there are no files, or no such subscription.
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def expand(self, begin: beam.pvalue.PBegin) -> Kept:
        """Read as the source asks."""
        match self._source:
            case Folder(path):
                found = begin | "Files" >> beam.Create(checked_files(path), reshuffle=False)
                read = found | "Read" >> beam.ParDo(ReadFile()).with_output_types(Batch)
                return Kept(read, _nothing(begin))
            case Subscription(name):
                messages = begin | "Read" >> pubsub.Read(subscription=name)
                opened = beam.ParDo(Open()).with_output_types(Batch, dead=Batch)
                outputs = messages | "Open" >> opened.with_outputs("dead", main="ok")
                return Kept(outputs.ok, outputs.dead)
            case TableName():
                # Not before: importing the connector takes time that other pipelines need not pay.
                from connectors.dead_letter.table import ReadTable  # noqa: PLC0415

                return Kept(begin | "Read" >> ReadTable(self._source), _nothing(begin))


def _nothing(begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
    return begin | "Nothing" >> beam.Create([]).with_output_types(Batch)


def files(path: str) -> list[str]:
    """Return the files of a folder of dead letters, sorted.

    Raises:
        ConfigError: there is none.
    """
    found = [
        posixpath.join(path, name)
        for name, *_ in store_of(path).walk(path)
        if name.endswith(_SUFFIX) and not any(part[0] in "._" for part in name.split("/"))
    ]
    if not found:
        raise ConfigError(
            "dead letters", path, f"holds no file of dead letters (*{_SUFFIX})",
            "Give the folder that a pipeline's --dead_letter names, or one below it",
        )  # fmt: skip
    return sorted(found)


def checked_files(path: str) -> list[str]:
    """Return the files of a folder of dead letters, having looked into the first one.

    Raises:
        ConfigError: there is none, or it holds something else, such as the rows of a lake.
        PermanentError: the first one is damaged.
    """
    found = files(path)
    with contextlib.closing(store_of(found[0]).input(found[0])) as file, _explained(found[0]):
        names = pq.read_schema(file).names
    missing = [name for name in FAILURE_SCHEMA.names if name not in names]
    if missing:
        name = posixpath.relpath(found[0], path)
        raise ConfigError(
            "dead letters", path, f"holds no dead letters: {name} lacks {', '.join(missing)}",
            "Give the folder that a pipeline's --dead_letter names"
            + ("" if set(MESSAGE_SCHEMA.names) - set(names) else _ARCHIVE),
        )  # fmt: skip
    return found


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Name the file that can't be read."""
    try:
        yield
    except (pa.ArrowInvalid, EOFError) as error:
        raise PermanentError(
            f"{path}: is damaged, or no Parquet file ({error}). Restore it, or move it out of the "
            "folder"
        ) from error


class ReadFile(beam.DoFn):
    """Paths of Parquet files to the failures that they hold."""

    def process(self, path: str) -> Iterator[TimestampedValue]:
        """Read a file, 4,096 rows at a time, each batch at the time of its first failure.

        Raises:
            PermanentError: it is damaged, or holds something else.
        """
        with contextlib.closing(store_of(path).input(path)) as file, _explained(path):
            for rows in pq.ParquetFile(file).iter_batches(ROWS_MAX):
                batch = _failures(rows, path)
                MESSAGES_READ.inc(len(batch))
                yield TimestampedValue(batch, failed_at(batch))


def _failures(rows: pa.RecordBatch, path: str) -> Batch:
    missing = [name for name in FAILURE_SCHEMA.names if name not in rows.schema.names]
    if missing:
        raise PermanentError(
            f"{path}: holds no dead letters, for it lacks {', '.join(missing)}. Move it out of the "
            "folder, or give the folder that --dead_letter names"
        )
    columns = [rows.column(field.name).cast(field.type) for field in FAILURE_SCHEMA]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=FAILURE_SCHEMA))


class Open(beam.DoFn):
    """Messages of a dead-letter topic to failures; what is none goes to ``dead``."""

    def process(self, messages: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        """Open a batch."""
        opened = from_messages(messages, "dead_letter.Read")
        if len(opened.ok):
            yield opened.ok
        if len(opened.dead):
            DEAD_LETTERS.inc(len(opened.dead))
            yield beam.pvalue.TaggedOutput("dead", opened.dead)
