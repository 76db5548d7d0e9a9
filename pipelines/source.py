"""What every pipeline takes that reads from Pub/Sub: the source, and where reading stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from connectors import pubsub
from pipelines import kinds
from pipelines.params import Group, param
from pipelines.rules import ExactlyOneOf, Rule

__all__ = ["Input", "Limits", "Source"]


@dataclass(frozen=True, kw_only=True)
class Input(Group):
    """A subscription, or a topic from now on."""

    RULES: ClassVar[tuple[Rule, ...]] = (ExactlyOneOf(("subscription", "topic")),)

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

    def read(self, watermark: pubsub.Watermark | None = None) -> pubsub.Read:
        """Return the step that reads.

        Args:
            watermark: how far event time has come; by default it is the publish time.
        """
        return pubsub.Read(
            subscription=self.subscription,
            topic=self.topic,
            watermark=watermark or pubsub.PublishTime(),
        )


@dataclass(frozen=True, kw_only=True)
class Limits(Group):
    """Where reading stops; the launcher sees to it."""

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


@dataclass(frozen=True, kw_only=True)
class Source(Input, Limits):
    """Messages of Pub/Sub, and where reading stops."""
