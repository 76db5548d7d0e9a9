"""``dead_letter.Write``: failures to a folder, a topic or a table."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from connectors import lake, pubsub
from connectors.dead_letter.envelope import to_messages
from connectors.dead_letter.stamp import Stamp
from connectors.dead_letter.target import Folder, Target, Topic
from connectors.table_name import TableName
from transforms.batch import Batch
from transforms.errors import PermanentError
from transforms.metrics import FAILURES_WRITTEN

__all__ = ["Refuse", "ToMessages", "Write"]

EVERY_S = 10.0
"""Of a folder, on a runner without end: the failures of so many seconds share a file."""


class Write(beam.PTransform):
    """Keep failures, with the name of the pipeline and the time of the failure.

    A folder gets Parquet files with the columns of ``FAILURE_SCHEMA``; a topic gets the rejected
    messages with the reason in attributes (see ``envelope``).

    Guarantees:
        No failure is ever too late: whatever the windows were, they are left.
        On a runner without end it is kept within seconds.
        Folder: those of ``lake.Write``: each failure once.
        Topic: those of ``pubsub.Write``: at least once. A record that is larger than the 10 MB of
        a message, compressed, stops the pipeline: no part of it is left out. A folder takes it.
        Table: those of ``bigquery.Write``, at least once; it is made if it is missing, by the day
        of the failure. A record of more than 10 MB stops the pipeline.

    Args:
        target: a folder, a topic or a table; see ``target``.
        pipeline: name under which the failures are found again, unless they have one already.

    Raises:
        ConfigError: the target can't be used.
    """

    def __init__(self, target: Target, pipeline: str) -> None:
        super().__init__()
        self._target = target
        self._pipeline = pipeline

    def expand(self, dead: beam.PCollection[Batch]) -> None:
        """Stamp, then write as the target asks."""
        # An event time that was late, or was none, must not have a dead letter dropped as late.
        anew = dead | "Window" >> beam.WindowInto(GlobalWindows())
        dead = anew | "Stamp" >> Stamp(self._pipeline)
        match self._target:
            case Folder(path):
                write = lake.Write(path, every_s=EVERY_S, rows_written=FAILURES_WRITTEN)
                dead | "Write" >> write
            case Topic(name):
                _to_topic(dead, name)
            case TableName():
                # Not before: importing the connector takes time that other pipelines need not pay.
                from connectors.dead_letter.table import write_table  # noqa: PLC0415

                written = dead | "Append" >> write_table(self._target)
                written.dead | "Refuse" >> beam.ParDo(Refuse(str(self._target)))


def _to_topic(dead: beam.PCollection[Batch], name: str) -> None:
    messages = dead | "Messages" >> beam.ParDo(ToMessages()).with_output_types(Batch)
    publish = pubsub.Write(name, step="dead_letter.Write", published=FAILURES_WRITTEN)
    (messages | "Publish" >> publish).dead | "Refuse" >> beam.ParDo(Refuse(name))


class ToMessages(beam.DoFn):
    """Failures to the messages that stand for them."""

    def process(self, dead: Batch) -> Iterator[Batch]:
        """Turn a batch over."""
        yield to_messages(dead)


class Refuse(beam.DoFn):
    """Stops the pipeline: there is no dead letter for a dead letter."""

    def __init__(self, target: str) -> None:
        self._target = target

    def process(self, dead: Batch) -> None:
        """Raise PermanentError that names the first of them.

        Raises:
            PermanentError: always.
        """
        first = dead.slice(0, 1).to_pylist()[0]
        raise PermanentError(
            f"--dead_letter={self._target}: {len(dead)} of the dead letters can't be kept there, "
            f"the first because {first['error']} ({first['error_kind']}). Nothing of it is "
            "acknowledged. Give a folder, which takes any: --dead_letter=./dead_letters"
        )
