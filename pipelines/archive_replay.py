r"""Publish an archive again: every message as it was, in the order of publishing.

Bytes, attributes and ordering keys are those of the archive, which pubsub_to_storage wrote. By
default they go out as fast as they can; --speed=1 keeps their original pace, --speed=60 makes an
hour a minute, and --rate sets messages a second.

    python -m pipelines.archive_replay --archive=./archive --since=2026-01-31T09:00:00Z --speed=10 \
        --output_topic=projects/demo/topics/flights --dead_letter=./dead_letters

Every message of the archive that is meant is published or a dead letter. It is published at least
once: after a failure or a kill some are published again. With --id_attribute a message carries its
original id, by which a reader can tell.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

import apache_beam as beam

from connectors import pubsub, storage
from pipelines import checks, kinds, launch
from pipelines.dead_letters import DeadLetters
from pipelines.pacing import Paced
from pipelines.params import Group, param
from pipelines.topic_output import TopicOutput
from pipelines.user_function import UserFunctions
from transforms.condition import Condition
from transforms.errors import ConfigError
from transforms.filter import Filter

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Archive(Group):
    """What is replayed."""

    FILTERS: ClassVar[tuple[str, ...]] = ("since", "until", "where")

    archive: str = param(
        kinds.INPUT_FOLDER,
        "Folder of the archive, or one below it.",
        example="./archive or gs://my-bucket/archive",
        group="Source",
    )
    since: dt.datetime | None = param(
        kinds.TIME,
        "Only what was published at this time or later.",
        example="2026-01-31T09:30:00Z",
        required=False,
        group="Source",
    )
    until: dt.datetime | None = param(
        kinds.TIME,
        "Only what was published before this time.",
        example="2026-02-01",
        required=False,
        group="Source",
    )
    where: Condition | None = param(
        kinds.CONDITION,
        "Only messages for which this is true.",
        example="""'attribute:kind = "click"'""",
        required=False,
        group="Source",
    )


@dataclass(frozen=True, kw_only=True)
class Params(Archive, UserFunctions, TopicOutput, Paced, DeadLetters):
    """Parameters of the pipeline; see ``--help``."""

    speed: float | None = param(
        kinds.MULTIPLE,
        "How many times as fast as the messages were once published, in the whole job.",
        example="1",
        required=False,
        group="Output",
    )
    id_attribute: str | None = param(
        kinds.ATTRIBUTE,
        "Attribute that gets the id that the message once had; none by default.",
        example="source_message_id",
        required=False,
        group="Output",
    )

    def check(self) -> None:
        """Refuse two paces, an empty span of time, and what can't be tested."""
        if self.speed is not None and self.rate is not None:
            raise ConfigError(
                "--speed or --rate", "speed and rate", "at most one of them can be given",
                "Leave one of the two out",
            )  # fmt: skip
        checks.require_order("--since", self.since, "--until", self.until)
        self.require_apart("--archive", self.archive)
        if self.where is not None:
            checks.require_testable("--where", self.where, self.columns)

    def pace(self) -> pubsub.Pace | None:
        """Return how fast messages go out; None for as fast as they can."""
        if self.speed is not None:
            return pubsub.AsPublished(self.speed)
        return super().pace()


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    messages = pipeline | "Read" >> storage.ReadInOrder(params.archive, params.since, params.until)
    rows = params.rows(messages)
    written = (
        rows.ok
        | "Where" >> Filter(params.where)
        | "Pace" >> params.paced(pipeline)
        | "Publish"
        >> pubsub.Write(
            params.output_topic,
            data=params.payload,
            attributes=pubsub.Attributes(id_as=params.id_attribute),
            missing=params.missing_topic,
            step="archive_replay",
        )
    )
    params.keep("archive_replay", [*rows.dead, written.dead, *params.route(rows)])


if __name__ == "__main__":
    launch.main("pipelines.archive_replay")
