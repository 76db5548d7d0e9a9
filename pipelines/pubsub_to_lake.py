r"""Read JSON messages from Pub/Sub and keep each of them once in a Parquet lake or table.

Payloads become typed columns, rows are windowed by event time, repeated events are dropped, and
each window is written to Parquet files in Hive-style folders. What can't be parsed or has no
event time goes to the dead letter, with its reason and the whole message.

    python -m pipelines.pubsub_to_lake \
        --subscription=projects/demo/subscriptions/flights --schema=pipelines/demo/flights.json \
        --event_time=departure --dedup_by=event_id --output=./lake --dead_letter=./dead_letters

On the DirectRunner the pipeline drains the backlog of the subscription, commits and ends;
killed before that, it has lost and repeated nothing. With --runner=local --state_dir=FOLDER it goes
on until it is stopped: windows are written as event time passes them, and after Ctrl-C, SIGTERM or
kill -9 the same command goes on where it was. All options of Beam can be given too.

With --table_format the files are a table of Delta Lake or Apache Iceberg, made if it is missing;
each commit to it is made once. It takes an extra, which make demo installs and else
pip install '.[delta,iceberg]' does:

    python -m pipelines.pubsub_to_lake --runner=local --state_dir=./state \
        --subscription=projects/demo/subscriptions/flights --schema=pipelines/demo/flights.json \
        --event_time=departure --dedup_by=event_id --dead_letter=./dead_letters \
        --output=./lake --table_format=delta --partition_by='date(departure)' --commit_every=10s
"""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from pipelines import checks, launch
from pipelines.dead_letters import DeadLetters
from pipelines.lake_folder import LakeFolder
from pipelines.lake_table import LakeTable
from pipelines.rows import Deduplication, EventTime, Payload, Windowed
from pipelines.source import Source
from pipelines.user_function import UserFunctions
from transforms.dedup import Deduplicate
from transforms.field import column
from transforms.message import MESSAGE
from transforms.project import Project

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(
    Source,
    Payload,
    UserFunctions,
    EventTime,
    Deduplication,
    Windowed,
    LakeFolder,
    LakeTable,
    DeadLetters,
):
    """Parameters of the pipeline; see ``--help``."""

    def check(self) -> None:
        """Refuse what names no column, and folders within each other."""
        checks.require_partitions("--partition_by", self.partition_by, self.columns)
        self.require_apart("--output", self.output)
        self.require_table(lambda: self.write(self.table(self.columns.schema)))


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    messages = pipeline | "Read" >> params.read(params.watermark())
    made = params.rows(messages)
    # No step after the windows rejects rows, so that their payloads need not travel further.
    windowed = (
        made.ok
        | "Keys" >> Project(add=params.keys)
        | "Window" >> params.windowing(params.event_time, drop=[MESSAGE, *params.parts])
    )
    keys = [column(name) for name in params.keys]
    rows = (
        windowed.ok
        | "Deduplicate" >> Deduplicate(keys, params.dedup_horizon, shards=params.shards)
        | "Rows" >> Project(drop=list(params.keys))
    )
    rows | "Write" >> params.write(params.table(params.columns.schema))
    params.keep("pubsub_to_lake", [*made.dead, windowed.dead, *params.route(made)])


if __name__ == "__main__":
    launch.main("pipelines.pubsub_to_lake")
