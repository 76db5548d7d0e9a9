r"""Write messages from Pub/Sub to objects on Cloud Storage, or to files: as they are, or as rows.

Without --schema it is an archive: every message byte for byte, with attributes, id, publish time
and ordering key, which pipelines.archive_replay publishes again. With --schema payloads become
typed rows. Either way repeated messages are dropped, and each window becomes an object per shard
in a folder of its time; late ones become objects of their own. What can't be parsed or has no
event time goes to the dead letter, with its reason and the whole message.

    python -m pipelines.pubsub_to_storage \
        --subscription=projects/demo/subscriptions/flights --output=gs://my-bucket/flights \
        --format=avro --folders=%Y/%m/%d --window=1h --dead_letter=./dead_letters

On the DirectRunner the pipeline drains the backlog of the subscription, commits and ends;
killed before that, it has lost and repeated nothing. With --runner=local --state_dir=FOLDER it goes
on until it is stopped: objects appear as event time passes the windows, and after Ctrl-C, SIGTERM
or kill -9 the same command goes on where it was. All options of Beam can be given too.
"""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from pipelines import launch
from pipelines.dead_letters import DeadLetters
from pipelines.rows import Deduplication, EventTime, OptionalPayload, Windowed
from pipelines.source import Source
from pipelines.storage_folder import StorageFolder
from pipelines.user_function import UserFunctions

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(
    Source,
    OptionalPayload,
    UserFunctions,
    EventTime,
    Deduplication,
    Windowed,
    StorageFolder,
    DeadLetters,
):
    """Parameters of the pipeline; see ``--help``."""

    def check(self) -> None:
        """Refuse folders within each other."""
        self.require_apart("--output", self.output)


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    rows = params.rows(pipeline | "Read" >> params.read(params.watermark()))
    windowed = rows.ok | "Window" >> params.windowing(params.event_time)
    unique = params.unique(windowed.ok, params.shards)
    unique | "Write" >> (params.archive() if params.columns.schema is None else params.write())
    params.keep("pubsub_to_storage", [*rows.dead, windowed.dead, *params.route(rows)])


if __name__ == "__main__":
    launch.main("pipelines.pubsub_to_storage")
