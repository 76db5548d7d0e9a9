"""What pipelines take that publish: the topic, or the rule by which each message has its own."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import pubsub
from pipelines import kinds
from pipelines.figures import PUBLISHING, Figures
from pipelines.params import Group, param

__all__ = ["TopicOutput"]


@dataclass(frozen=True, kw_only=True)
class TopicOutput(Group):
    """One topic for all, or many."""

    output_topic: str | pubsub.Route = param(
        kinds.ROUTE,
        "Topic to publish to. With fields in braces each message goes to its own; one that lacks a "
        "field, or has a value that makes no name, is a dead letter.",
        example="projects/my-project/topics/flights or projects/my-project/topics/{attribute:kind}",
        group="Output",
    )
    missing_topic: pubsub.Missing | None = param(
        kinds.MISSING,
        "What becomes of messages whose topic does not exist: stop, or dead for a dead letter. By "
        "default stop for one topic, and dead where there are fields in braces.",
        example="stop",
        required=False,
        group="Output",
    )

    def figures(self) -> Figures:
        """Return what accounts for messages that are published."""
        return PUBLISHING
