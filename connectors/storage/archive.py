"""The archive: every message byte for byte, in a fixed schema.

| column | Avro | JSON lines | Parquet |
|---|---|---|---|
| data | bytes | base64 text | binary |
| attributes | map of string | object | map<string, string> |
| message_id | string | text | string |
| publish_time | timestamp-micros or null | ``"2026-01-31T09:30:00.000000Z"`` | timestamp[us, UTC] |
| ordering_key | string | text | string |
| delivery_attempt | int or null | number or null | int32 |

Where they overlap, the names are those of the files that a Cloud Storage subscription writes.
"""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa

from connectors.files.write import Written
from connectors.files.writer import Format
from connectors.storage.avro import Avro
from connectors.storage.write import Write
from transforms.batch import Batch
from transforms.message import (
    DELIVERY_ATTEMPT,
    MESSAGE_SCHEMA,
    PUBLISH_TIME,
    message_column,
)
from transforms.metrics import ROWS_WRITTEN, Counter

__all__ = ["ARCHIVE_SCHEMA", "Archive", "archived"]

_NULLABLE = (PUBLISH_TIME, DELIVERY_ATTEMPT)

ARCHIVE_SCHEMA = pa.schema(
    [field.with_nullable(field.name in _NULLABLE) for field in MESSAGE_SCHEMA]
)
"""Columns of an archive: those of a message, of which Pub/Sub leaves only two out."""


class Archive(beam.PTransform):
    """Write messages as they are to an archive that ``ReadArchive`` gives back without loss.

    Takes batches of messages (``MESSAGE_SCHEMA``), or typed rows that still carry theirs; the
    other columns are left out then.

    Guarantees:
        As ``storage.Write``. The bytes of ``data``, every attribute, the message id, the publish
        time to the microsecond and the ordering key come back as they were. A message that Pub/Sub
        delivers twice is kept twice unless the source recognises it: its id tells.

    Args:
        path: the folder; ``gs://BUCKET/FOLDER`` too.
        files: ``Avro``, ``JsonLines`` or ``Parquet``; by default Avro.
        folders: template of the folders below the path, as of ``storage.Write``.
        shards: objects per pane that are written in parallel, as of ``storage.Write``.
        job: names an endless job in its objects, as of ``storage.Write``.
        every_s: how often messages without windows are written, as of ``storage.Write``.
        rows_written: the metric that counts the messages.
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
        super().__init__()
        files = files or Avro(name="Message")
        self._write = Write(
            path, files, folders=folders, shards=shards, job=job,
            every_s=every_s, rows_written=rows_written,
        )  # fmt: skip

    def expand(self, messages: beam.PCollection[Batch]) -> Written:
        """Take what an archive keeps, and write it."""
        kept = messages | "Message" >> beam.ParDo(_Archived()).with_output_types(Batch)
        return kept | "Write" >> self._write


class _Archived(beam.DoFn):
    def process(self, messages: Batch) -> Iterator[Batch]:
        yield archived(messages)


def archived(messages: Batch) -> Batch:
    """Return messages in the schema of an archive; what can't be null is empty instead."""
    columns = []
    for field in ARCHIVE_SCHEMA:
        column = message_column(messages, field.name)
        columns.append(column if field.nullable else _filled(column))
    return Batch(pa.RecordBatch.from_arrays(columns, schema=ARCHIVE_SCHEMA))


def _filled(column: pa.Array) -> pa.Array:
    if not column.null_count:
        return column
    if not pa.types.is_map(column.type):
        return column.fill_null(pa.scalar("", pa.string()).cast(column.type))
    # No kernel fills a map; messages without attributes at all are rare.
    return pa.array([value or [] for value in column.to_pylist()], column.type)
