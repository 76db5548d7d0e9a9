r"""Read JSON messages from Pub/Sub and write each of them to a table of BigQuery.

Payloads become typed columns, repeated messages are dropped, and rows are appended by the Storage
Write API in Arrow's own format. What can't be parsed, and what BigQuery refuses, goes to the dead
letter, with its reason and the whole message.

    python -m pipelines.pubsub_to_bigquery --runner=local --state_dir=./state \
        --subscription=projects/demo/subscriptions/flights --schema=pipelines/demo/flights.json \
        --dedup_by=event_id --table=test-project.flights.departures --semantics=exactly_once \
        --if_missing=create --partition_by='day(departure)' \
        --message_columns=message_id,attributes --dead_letter=./dead_letters

Without a cloud, start ``python -m connectors.broker`` and ``python -m connectors.bigquery_local``,
and set the variables that they name. The dataset must exist.

On the local runner, and on Dataflow, it goes on until it is stopped; with exactly_once each row is
in the table once, whatever process is killed at whatever moment. On the DirectRunner it drains the
backlog of the subscription and ends; each row is there at least once. All options of Beam can be
given too.
"""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from pipelines import launch
from pipelines.bigquery_table import BigQueryTable
from pipelines.dead_letters import DeadLetters
from pipelines.rows import Deduplication, Payload
from pipelines.source import Source
from pipelines.user_function import UserFunctions

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(Source, Payload, UserFunctions, Deduplication, BigQueryTable, DeadLetters):
    """Parameters of the pipeline; see ``--help``."""


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    rows = params.rows(pipeline | "Read" >> params.read())
    written = params.unique(rows.ok, params.shards) | "Write" >> params.write()
    params.keep("pubsub_to_bigquery", [*rows.dead, written.dead, *params.route(rows)])


if __name__ == "__main__":
    launch.main("pipelines.pubsub_to_bigquery")
