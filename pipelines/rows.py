"""What pipelines take to make rows of messages: schema, event time, windows, what is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.trigger import TriggerFn

from connectors import pubsub
from pipelines import checks, kinds
from pipelines.changes import COLUMNS, refused, told
from pipelines.columns import columns_of
from pipelines.params import Group, param
from pipelines.user_function import UserFunctions
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.field import Field, column, message
from transforms.message import PUBLISH_TIME
from transforms.project import Project
from transforms.windows import Windowing, Windows

__all__ = ["Deduplication", "EventTime", "OptionalPayload", "Payload", "Windowed"]


def _of_another_kind(old: str, new: str) -> bool:
    return type(kinds.WINDOW.parse(old)) is not type(kinds.WINDOW.parse(new))


@dataclass(frozen=True, kw_only=True)
class Payload(Group):
    """The columns of a payload."""

    schema: pa.Schema = param(
        kinds.SCHEMA_FILE,
        "JSON file with the columns of the payload in BigQuery's schema form.",
        example="flights.json or gs://my-bucket/flights.json",
        group="Rows",
        change=COLUMNS,
    )


@dataclass(frozen=True, kw_only=True)
class OptionalPayload(Group):
    """The columns of a payload, or none: then messages stay as they are."""

    schema: pa.Schema | None = param(
        kinds.SCHEMA_FILE,
        "JSON file with the columns of the payload in BigQuery's schema form. Without it every "
        "message is kept as it is, byte for byte.",
        example="flights.json or gs://my-bucket/flights.json",
        required=False,
        group="Rows",
        change=COLUMNS,
    )


@dataclass(frozen=True, kw_only=True)
class EventTime(Group):
    """Where a row's time is, and how it follows the order of publishing.

    Without a ``Payload`` beside it, or with one that has no schema, the time can only be an
    attribute or a part of the message.
    """

    event_time: Field = param(
        kinds.FIELD,
        "Where a row's event time is: a column, attribute:NAME or message:publish_time.",
        default="message:publish_time",
        group="Rows",
        change=refused("rows would be late, or early, for the windows that are open"),
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

    def check(self) -> None:
        """Refuse a column that is missing or holds no time."""
        checks.require_time("--event_time", self.event_time, columns_of(self))

    def watermark(self) -> pubsub.Watermark:
        """Return how far event time has come, for ``Source.read``."""
        if self.event_time == message(PUBLISH_TIME):
            return pubsub.PublishTime()
        schema = columns_of(self).schema
        rows = self.sampled(self.event_time) if isinstance(self, UserFunctions) else None
        return pubsub.EventTime(self.event_time, self.disorder, self.idle, schema, rows)


@dataclass(frozen=True, kw_only=True)
class Deduplication(Group):
    """What makes two messages the same event."""

    dedup_by: tuple[Field, ...] = param(
        kinds.FIELDS,
        "What makes an event the same: columns, attribute:NAME or message:message_id.",
        default="message:message_id",
        group="Rows",
        change=refused("what came before would not be recognised when it comes again"),
    )
    dedup_horizon: float = param(
        kinds.SOME_TIME,
        "How long a repeated event is recognised, in event time.",
        default="1d",
        group="Rows",
        change=told("what is forgotten stays so; all else is recognised for the new time"),
    )

    def check(self) -> None:
        """Refuse a column that is missing."""
        checks.require_columns("--dedup_by", self.dedup_by, columns_of(self))

    @property
    def keys(self) -> dict[str, Field]:
        """The fields as columns to add, by name, where messages are dropped before they count."""
        return {f"_key_{number}": field for number, field in enumerate(self._fields)}

    def unique(self, rows: beam.PCollection[Batch], shards: int) -> beam.PCollection[Batch]:
        """Add the step that keeps the first row of each event.

        Args:
            rows: they carry their messages.
            shards: how many workers share the work.
        """
        first = Deduplicate(self._fields, self.dedup_horizon, shards=shards)
        kept = rows | "Deduplicate" >> first
        return kept | "Rows" >> Project(drop=self._parts) if self._parts else kept

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (*self.dedup_by, *map(column, self._parts))

    @property
    def _parts(self) -> tuple[str, ...]:
        """The column that tells apart what a function made of one message."""
        parts: tuple[str, ...] = getattr(self, "parts", ())
        return parts


@dataclass(frozen=True, kw_only=True)
class Windowed(Group):
    """Windows of event time, and what happens to late rows."""

    window: Windows = param(
        kinds.WINDOW,
        "Windows of event time: SIZE or fixed:SIZE, sliding:SIZE/PERIOD or session:GAP. Each "
        "window is a file at least.",
        default="fixed:1h",
        group="Rows",
        change=refused("windows that are open stay as they are", _of_another_kind),
    )
    allowed_lateness: float = param(
        kinds.DURATION,
        "How long after its window a late row is still written, to a file of its own.",
        default="1d",
        group="Rows",
        change=told("windows that are open may still end by the old one"),
    )
    trigger: TriggerFn = param(
        kinds.TRIGGER,
        "When a window is written: at_watermark, or early:DURATION for files before that.",
        default="at_watermark",
        group="Rows",
        change=refused("windows that are open wait for the old one"),
    )

    def windowing(self, event_time: Field, drop: Sequence[str] = ()) -> Windowing:
        """Return the step that puts rows into windows.

        Args:
            event_time: where a row's time is, as of ``EventTime``.
            drop: columns that no later step needs.
        """
        return Windowing(
            self.window,
            event_time,
            allowed_lateness_s=self.allowed_lateness,
            trigger=self.trigger,
            drop=drop,
        )
