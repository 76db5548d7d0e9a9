r"""Publish the messages of dead letters again, once what they failed of is mended.

Each message goes out as it was, byte for byte, with its attributes and ordering key. One attribute
more, headrace_replays, counts how often that has happened: a message that was replayed
--max_replays times is not published again, so that what keeps failing does not go round for ever.

    python -m pipelines.deadletter_replay --failures=./dead_letters --step=Parse \
        --output_topic=projects/demo/topics/flights --dead_letter=./still_dead --dry_run

prints what there is by step and kind of error, with a few samples, and publishes nothing. Without
--dry_run the messages are published. A folder or table keeps its dead letters: to replay it twice
publishes twice. What is read from a subscription is acknowledged; what was not replayed from there,
because it is not meant or was replayed too often, goes to --dead_letter as it is.

Published = dead letters read - those not meant - those in --dead_letter. A run that fails may have
published some of them: with --id_attribute a message carries the id that it once had, by which a
reader can tell one that comes twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import apache_beam as beam

from connectors import dead_letter, pubsub
from pipelines import checks, kinds, launch
from pipelines.dead_letters import DeadLetters
from pipelines.filters import unmatched
from pipelines.pacing import Paced
from pipelines.params import Group, param
from pipelines.source import Limits
from pipelines.topic_output import TopicOutput
from pipelines.user_function import Rows, UserFunctions
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.message import MESSAGE_SCHEMA
from transforms.metrics import MESSAGES_READ
from transforms.project import Project

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Failures(Group):
    """Which dead letters."""

    FILTERS: ClassVar[tuple[str, ...]] = ("from_pipeline", "step", "error_kind", "since", "until")

    failures: dead_letter.Source = param(
        kinds.FAILURES,
        "Where the dead letters are: the folder or table that another pipeline's --dead_letter "
        "named, or a subscription of that topic.",
        example="./dead_letters or projects/my-project/subscriptions/dead",
        group="Source",
    )
    from_pipeline: tuple[str, ...] = param(
        kinds.TEXTS,
        "Only failures of these pipelines.",
        example="pubsub_to_lake",
        default="",
        group="Source",
    )
    step: tuple[str, ...] = param(
        kinds.TEXTS,
        "Only failures of these steps, as --dry_run shows them.",
        example="Parse,Windowing",
        default="",
        group="Source",
    )
    error_kind: tuple[str, ...] = param(
        kinds.TEXTS,
        "Only failures of these kinds, as --dry_run shows them.",
        example="malformed_json",
        default="",
        group="Source",
    )
    since: dt.datetime | None = param(
        kinds.TIME,
        "Only failures at this time or later.",
        example="2026-01-31T09:30:00Z",
        required=False,
        group="Source",
    )
    until: dt.datetime | None = param(
        kinds.TIME,
        "Only failures before this time.",
        example="2026-02-01",
        required=False,
        group="Source",
    )

    def selection(self) -> dead_letter.Selection:
        """Return the conditions."""
        return dead_letter.Selection(
            self.from_pipeline, self.step, self.error_kind, self.since, self.until
        )


@dataclass(frozen=True, kw_only=True)
class Params(Failures, Limits, UserFunctions, TopicOutput, Paced, DeadLetters):
    """Parameters of the pipeline; see ``--help``."""

    id_attribute: str | None = param(
        kinds.ATTRIBUTE,
        "Attribute that gets the id that the message once had; none by default.",
        example="source_message_id",
        required=False,
        group="Output",
    )
    max_replays: int = param(
        kinds.COUNT,
        "How often a message may be replayed in all.",
        default="3",
        group="Output",
    )
    dry_run: bool = param(
        kinds.SWITCH,
        "Print what would be done, and do nothing (DirectRunner only).",
        default="false",
        group="Output",
    )

    def check(self) -> None:
        """Refuse to read what is being written."""
        if isinstance(self.failures, dead_letter.Folder):
            self.require_apart("--failures", self.failures.path)
        topic = isinstance(self.dead_letter, dead_letter.Topic)
        if topic and isinstance(self.failures, dead_letter.Subscription):
            raise ConfigError(
                "--dead_letter", str(self.dead_letter),
                "may be the topic of --failures, which would then be read for ever",
                "Give a folder or a table",
            )  # fmt: skip
        checks.require_order("--since", self.since, "--until", self.until)

    def accept(self, totals: Mapping[str, int]) -> None:
        """Leave a subscription as it is if nothing in it is meant: all of it would be moved."""
        text = unmatched(self, totals)
        read = totals.get(MESSAGES_READ.name, 0)
        if text and read and isinstance(self.failures, dead_letter.Subscription):
            raise PermanentError(
                f"{text}. Nothing was published, moved or acknowledged. See with --dry_run what "
                "there is, and correct the filter"
            )

    def rows(self, messages: beam.PCollection[Batch]) -> Rows:
        """Add the function, if there is one; it sees the message and not the reason."""
        if self.udf is not None:
            messages = messages | "Messages" >> Project(keep=MESSAGE_SCHEMA.names)
        return super().rows(messages)


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    kept = pipeline | "Read" >> dead_letter.Read(params.failures)
    chosen = kept.ok | "Choose" >> dead_letter.Choose(params.selection(), params.max_replays)
    if params.dry_run:
        fates = {
            "to replay": chosen.ok,
            "replayed too often": chosen.worn,
            "not meant": chosen.others,
            "unreadable": kept.dead,
        }
        fates | "Report" >> dead_letter.Report() | "Print" >> beam.Map(print)
        return
    rows = params.rows(chosen.ok)
    written = (
        rows.ok
        | "Pace" >> params.paced(pipeline)
        | "Publish"
        >> pubsub.Write(
            params.output_topic,
            data=params.payload,
            attributes=pubsub.Attributes(id_as=params.id_attribute),
            missing=params.missing_topic,
            step="deadletter_replay",
        )
    )
    rejected = [kept.dead, chosen.worn, *rows.dead, written.dead, *params.route(rows)]
    if isinstance(params.failures, dead_letter.Subscription):
        rejected.append(chosen.others)
    params.keep("deadletter_replay", rejected)


if __name__ == "__main__":
    launch.main("pipelines.deadletter_replay")
