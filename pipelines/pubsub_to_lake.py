"""Read JSON messages from Pub/Sub and keep each of them once in a Parquet lake.

Payloads become typed columns, rows are windowed by event time, repeated events are dropped, and
each window is written to Parquet files in Hive-style folders. What can't be parsed or has no
event time goes to the dead-letter folder, with its reason and the whole message.

On the DirectRunner the pipeline drains the backlog of the subscription, commits and ends;
killed before that, it has lost and repeated nothing. With --runner=local --state_dir=FOLDER it goes
on until it is stopped: windows are written as event time passes them, and after Ctrl-C, SIGTERM or
kill -9 the same command goes on where it was. All options of Beam can be given too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.trigger import TriggerFn
from apache_beam.transforms.window import FixedWindows

from connectors import dead_letter, lake, pubsub
from pipelines import checks, kinds, launch
from pipelines.params import ExactlyOneOf, param
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.field import Field, column, message
from transforms.message import MESSAGE, PUBLISH_TIME
from transforms.metrics import FAILURES_WRITTEN
from transforms.parse import Parse
from transforms.project import Project
from transforms.windows import Windowing, Windows

__all__ = ["Params", "build"]

DEAD_LETTER_WINDOW_S = 600


@dataclass(frozen=True, kw_only=True)
class Params:
    """Parameters of the pipeline; see ``--help``."""

    RULES: ClassVar = (ExactlyOneOf(("subscription", "topic")),)

    subscription: str | None = param(
        kinds.SUBSCRIPTION,
        "Subscription to read from; its backlog is part of the input.",
        example="projects/my-project/subscriptions/flights",
        required=False,
        group="Source",
    )
    topic: str | None = param(
        kinds.TOPIC,
        "Topic to read from, through a temporary subscription: only what is published from the "
        "start of the run on, and what a run that fails has read is gone.",
        example="projects/my-project/topics/flights",
        required=False,
        group="Source",
    )
    max_messages: int | None = param(
        kinds.COUNT,
        "Stop reading after this many messages (DirectRunner only).",
        required=False,
        group="Source",
    )
    max_seconds: float | None = param(
        kinds.DURATION,
        "Stop reading after this time. The local runner then does what --on_stop says.",
        example="5m",
        required=False,
        group="Source",
    )
    schema: pa.Schema = param(
        kinds.SCHEMA_FILE,
        "JSON file with the columns of the payload in BigQuery's schema form.",
        example="flights.json",
        group="Rows",
    )
    event_time: Field = param(
        kinds.FIELD,
        "Where a row's event time is: a column, attribute:NAME or message:publish_time.",
        default="message:publish_time",
        group="Rows",
    )
    disorder: float = param(
        kinds.DURATION,
        "How much earlier than another an event may be that is published after it; what is earlier "
        "still is late. Counts without end, where event time is not the publish time.",
        default="1m",
        group="Rows",
    )
    idle: float | None = param(
        kinds.DURATION,
        "When nothing has come for this time, event time follows the clock and windows close: for "
        "events that happen now. By default it waits for the next event: for any others too.",
        example="10s",
        required=False,
        group="Rows",
    )
    dedup_by: tuple[Field, ...] = param(
        kinds.FIELDS,
        "What makes an event the same: columns, attribute:NAME or message:message_id.",
        default="message:message_id",
        group="Rows",
    )
    dedup_horizon: float = param(
        kinds.DURATION,
        "How long a repeated event is recognised, in event time.",
        default="1d",
        group="Rows",
    )
    window: Windows = param(
        kinds.WINDOW,
        "Windows of event time: SIZE or fixed:SIZE, sliding:SIZE/PERIOD or session:GAP. Each "
        "window is a file at least.",
        default="fixed:1h",
        group="Rows",
    )
    allowed_lateness: float = param(
        kinds.DURATION,
        "How long after its window a late row is still written, to a file of its own.",
        default="1d",
        group="Rows",
    )
    trigger: TriggerFn = param(
        kinds.TRIGGER,
        "When a window is written: at_watermark, or early:DURATION for files before that.",
        default="at_watermark",
        group="Rows",
    )
    output: str = param(
        kinds.FOLDER,
        "Folder of the lake.",
        example="./lake or gs://my-bucket/lake",
        group="Lake",
    )
    dead_letter: str = param(
        kinds.FOLDER,
        "Folder for what was rejected; not inside the lake.",
        example="./dead_letters or gs://my-bucket/dead_letters",
        group="Lake",
    )
    partition_by: tuple[lake.Partition, ...] = param(
        kinds.PARTITIONS,
        "Folders within the lake, outermost first: a column, or year, month, date, hour or "
        "minute(COLUMN).",
        example="date(departure),carrier",
        default="",
        group="Lake",
    )
    shards: int = param(
        kinds.COUNT,
        "Parallel parts of de-duplication, and files of each window on a runner without end.",
        default="1",
        group="Lake",
    )

    def __post_init__(self) -> None:
        checks.require_time("--event_time", self.event_time, self.schema)
        checks.require_columns("--dedup_by", self.dedup_by, self.schema)
        checks.require_partitions("--partition_by", self.partition_by, self.schema)
        checks.require_apart("--dead_letter", self.dead_letter, "--output", self.output)


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    messages = pipeline | "Read" >> pubsub.Read(
        subscription=params.subscription, topic=params.topic, watermark=_watermark(params)
    )
    parsed = messages | "Parse" >> Parse(params.schema)
    keys = {f"_key_{number}": field for number, field in enumerate(params.dedup_by)}
    windowed = (
        parsed.ok
        | "Keys" >> Project(add=keys)
        | "Window"
        >> Windowing(
            params.window,
            params.event_time,
            allowed_lateness_s=params.allowed_lateness,
            trigger=params.trigger,
            # No later step rejects rows, so that their payloads need not travel further.
            drop=[MESSAGE],
        )
    )
    rows = (
        windowed.ok
        | "Deduplicate"
        >> Deduplicate([column(name) for name in keys], params.dedup_horizon, shards=params.shards)
        | "Rows" >> Project(drop=list(keys))
    )
    rows | "Write" >> lake.Write(
        params.output, partition_by=params.partition_by, shards=params.shards
    )
    rejected = (parsed.dead, windowed.dead) | "Rejected" >> beam.Flatten()
    rejected | "DeadLetter" >> _DeadLetter(params.dead_letter)


def _watermark(params: Params) -> pubsub.EventTime | pubsub.PublishTime:
    if params.event_time == message(PUBLISH_TIME):
        return pubsub.PublishTime()
    return pubsub.EventTime(params.event_time, params.disorder, params.idle, params.schema)


class _DeadLetter(beam.PTransform):
    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, dead: beam.PCollection[Batch]) -> None:
        (
            dead
            | "Window" >> beam.WindowInto(FixedWindows(DEAD_LETTER_WINDOW_S))
            | "Stamp" >> dead_letter.Stamp("pubsub_to_lake")
            | "Write" >> lake.Write(self._folder, rows_written=FAILURES_WRITTEN)
        )


if __name__ == "__main__":
    launch.main("pipelines.pubsub_to_lake")
