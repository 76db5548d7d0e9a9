r"""Count and measure JSON messages of Pub/Sub by groups and windows of event time.

Payloads become typed columns, repeated events are dropped, and each window gives a row per group:
the columns of --by, those of --measures, window_start, window_end and pane_index. They go to a
lake, a topic or a table. What can't be parsed or has no event time goes to the dead letter.

    python -m pipelines.pubsub_aggregate \
        --subscription=projects/demo/subscriptions/flights --schema=pipelines/demo/flights.json \
        --event_time=departure --disorder=30m --window=1h --dedup_by=event_id --by=carrier,origin \
        --measures='flights=count(),delay=mean(dep_delay),planes=distinct(tailnum)' \
        --output=./hourly --dead_letter=./dead_letters

Windows are fixed, sliding or sessions: --window=1h, sliding:1d/1h or session:30m/tailnum. Rows that
come late give their window another row with a higher pane_index, which holds the whole answer: of
the rows of a group and window the last one counts.

On the DirectRunner the pipeline drains the backlog of the subscription, writes the answers and
ends. With --runner=local --state_dir=FOLDER it goes on until it is stopped: an answer appears when
event time passes its window, and after Ctrl-C, SIGTERM or kill -9 the same command goes on where it
was. In a lake each answer is once; on a topic, and in a table, one may be there twice after a kill.
With --id_attribute a message says which answer it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.trigger import TriggerFn

from pipelines import checks, kinds, launch
from pipelines.answers import Answers
from pipelines.changes import refused, told
from pipelines.columns import Columns
from pipelines.dead_letters import DeadLetters
from pipelines.params import param
from pipelines.rows import Deduplication, EventTime, Payload, Windowed
from pipelines.source import Source
from pipelines.user_function import UserFunctions
from transforms.aggregate import Aggregate
from transforms.dedup import Deduplicate
from transforms.field import Field, column
from transforms.field import Source as FieldSource
from transforms.measures import Measure, fields_of
from transforms.message import MESSAGE
from transforms.project import Project
from transforms.windows import Session, Windows

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(
    Source, Payload, UserFunctions, EventTime, Deduplication, Windowed, Answers, DeadLetters
):
    """Parameters of the pipeline; see ``--help``."""

    window: Windows = param(
        kinds.WINDOW,
        "Windows of event time: SIZE or fixed:SIZE, sliding:SIZE/PERIOD or session:GAP/FIELD,...",
        default="fixed:1h",
        group="Rows",
        change=refused("windows that are open would be answered without what comes from now on"),
    )
    allowed_lateness: float = param(
        kinds.DURATION,
        "How long after its window a late row still counts.",
        default="1d",
        group="Rows",
        change=told("windows that are open may still end by the old one"),
    )
    trigger: TriggerFn = param(
        kinds.TRIGGER,
        "When a window is answered: at_watermark, or early:DURATION for answers before that, which "
        "later ones replace.",
        default="at_watermark",
        group="Rows",
        change=refused("windows that are open wait for the old one"),
    )
    by: tuple[Field, ...] = param(
        kinds.OPTIONAL_FIELDS,
        "What tells groups apart: columns, attribute:NAME or message:NAME; none for one group.",
        example="carrier,origin",
        default="",
        group="Answers",
        change=refused("windows that are open hold answers by the old value"),
    )
    measures: Mapping[str, Measure] = param(
        kinds.MEASURES,
        "Columns of the answer: NAME=count(), or NAME=sum, mean, min, max or distinct(FIELD).",
        example="'flights=count(),delay=mean(dep_delay)'",
        group="Answers",
        change=refused("windows that are open hold answers by the old value"),
    )

    def check(self) -> None:
        """Refuse what can't be measured, and folders within each other."""
        answer = self.answer
        checks.require_columns("--window", self.session_fields, self.columns)
        checks.require_partitions("--partition_by", self.partition_by, Columns(answer))
        if self.output is not None:
            self.require_apart("--output", self.output)

    @property
    def answer(self) -> pa.Schema:
        """The columns of the answer."""
        return checks.require_answer("--measures", self.by, self.measures, self.columns)

    @property
    def session_fields(self) -> tuple[Field, ...]:
        """The fields that tell sessions apart, if windows are sessions."""
        return self.window.by if isinstance(self.window, Session) else ()

    @property
    def unneeded(self) -> list[str]:
        """The columns that nothing behind the windows looks at: messages, if it takes columns."""
        measured = (field for measure in self.measures.values() for field in fields_of(measure))
        used = (*self.by, *self.session_fields, *measured)
        needless = all(field.source is FieldSource.COLUMN for field in used)
        return [MESSAGE, *self.parts] if needless else [*self.parts]


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    rows = params.rows(pipeline | "Read" >> params.read(params.watermark()))
    windowed = (
        rows.ok
        | "Keys" >> Project(add=params.keys)
        | "Window" >> params.windowing(params.event_time, drop=params.unneeded)
    )
    keys = [column(name) for name in params.keys]
    answers = (
        windowed.ok
        | "Deduplicate" >> Deduplicate(keys, params.dedup_horizon)
        | "Aggregate" >> Aggregate(params.by, params.measures)
    )
    refused = params.write(answers, params.answer, params.by)
    params.keep("pubsub_aggregate", [*rows.dead, windowed.dead, *refused, *params.route(rows)])


if __name__ == "__main__":
    launch.main("pipelines.pubsub_aggregate")
