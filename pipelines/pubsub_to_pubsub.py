r"""Publish the messages of a subscription to other topics: a filter and a router, an event bus.

Each message goes out as it came, byte for byte, with its attributes and ordering key, to one topic
or to the one that its attributes or columns name. --where says which messages are meant:

    python -m pipelines.pubsub_to_pubsub --subscription=projects/demo/subscriptions/events \
        --where='attribute:kind = "click" AND NOT starts_with(attribute:user, "test")' \
        --output_topic='projects/demo/topics/clicks-{attribute:region}' --dead_letter=./dead_letters

With --schema the payload is parsed, and its columns can be used in --where and in braces; what
can't be parsed is a dead letter. See transforms/condition.py for what --where can say.

Every message that was read is published, counted as rows_filtered, or a dead letter. It is
published at least once: after a failure or a kill some are published again. With --id_attribute a
message carries the id of the one that it came from, by which a reader can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa

from connectors import pubsub
from pipelines import checks, kinds, launch
from pipelines.circle import refuse_circle
from pipelines.dead_letters import DeadLetters
from pipelines.params import param
from pipelines.source import Source
from pipelines.topic_output import TopicOutput
from pipelines.user_function import UserFunctions
from transforms.condition import Condition
from transforms.errors import ConfigError
from transforms.filter import Filter

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(Source, UserFunctions, TopicOutput, DeadLetters):
    """Parameters of the pipeline; see ``--help``."""

    FILTERS: ClassVar[tuple[str, ...]] = ("where",)

    schema: pa.Schema | None = param(
        kinds.SCHEMA_FILE,
        "JSON file with the columns of the payload in BigQuery's schema form, if --where or "
        "--output_topic name any.",
        example="flights.json or gs://my-bucket/flights.json",
        required=False,
        group="Rows",
    )
    where: Condition | None = param(
        kinds.CONDITION,
        "Only messages for which this is true.",
        example="""'attribute:kind = "click" AND n > 5'""",
        required=False,
        group="Rows",
    )
    id_attribute: str | None = param(
        kinds.ATTRIBUTE,
        "Attribute that gets the id of the message that was read; none by default.",
        example="source_message_id",
        required=False,
        group="Output",
    )

    def check(self) -> None:
        """Refuse columns that are missing, conditions that can't be tested, and a circle."""
        if self.topic is not None and self.topic == self.output_topic:
            raise ConfigError(
                "--output_topic", self.topic, "is the --topic that is read: nothing would ever end",
                "Choose another topic",
            )  # fmt: skip
        if isinstance(self.output_topic, pubsub.Route):
            checks.require_columns("--output_topic", self.output_topic.fields, self.columns)
        if self.where is not None:
            checks.require_testable("--where", self.where, self.columns)


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    if isinstance(params.output_topic, str):
        refuse_circle(pipeline, "--output_topic", params.output_topic, params.subscription)
    rows = params.rows(pipeline | "Read" >> params.read())
    written = (
        rows.ok
        | "Where" >> Filter(params.where)
        | "Publish"
        >> pubsub.Write(
            params.output_topic,
            data=params.payload,
            attributes=pubsub.Attributes(id_as=params.id_attribute),
            missing=params.missing_topic,
        )
    )
    params.keep("pubsub_to_pubsub", [*rows.dead, written.dead, *params.route(rows)])


if __name__ == "__main__":
    launch.main("pipelines.pubsub_to_pubsub")
