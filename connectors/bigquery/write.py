"""``bigquery.Write``: batches to tables, by the Storage Write API with Arrow rows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.transforms.window import GlobalWindows, TimestampCombiner

from connectors.bigquery.at_least_once import AppendBatches
from connectors.bigquery.changes import Changes
from connectors.bigquery.create import Create
from connectors.bigquery.destination import Destination
from connectors.bigquery.exactly_once import AppendOnce, Flush, Key, Route
from connectors.bigquery.limits import STREAMS_MAX
from connectors.bigquery.plan import Plan
from connectors.bigquery.start import require_columns, require_table
from connectors.bigquery.terms import Terms
from connectors.run import Run
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.metrics import ROWS_WRITTEN, Counter
from transforms.rewindow import InFirstWindow, ParDoInto
from transforms.triggers import every

__all__ = ["Semantics", "Write", "Written"]

_NOTHING: Mapping[str, Field] = MappingProxyType({})


class Semantics(Enum):
    """How often a row is in the table when the pipeline has gone through failures."""

    AT_LEAST_ONCE = "at_least_once"
    """Each row, and some twice: cheapest, visible at once. Needed for ``Changes``."""
    EXACTLY_ONCE = "exactly_once"
    """Each row once, at the price of two shuffles and about two seconds."""


class Written(NamedTuple):
    """Every row is in exactly one of the two."""

    ok: beam.PCollection[Batch]
    """The rows that BigQuery has accepted, as they came in."""
    dead: beam.PCollection[Batch]
    """Failures: rows that don't fit their table, or that BigQuery refused, in its words."""


class Write(beam.PTransform):
    """Append rows to a table, or to the tables that they name.

        rows | bigquery.Write("my-project.flights.departures")
        rows | bigquery.Write("my-project.events.{attribute:kind}", create=bigquery.Create())

    Columns go by name, whatever their order; a column of the table that the rows lack gets its
    default. The messages that rows came from are left out, but for what ``add`` names.

    Guarantees:
        AT_LEAST_ONCE: a row is in ``ok`` when BigQuery has appended it. A bundle that is tried
        again appends its rows again, and so does a request whose answer was lost.
        EXACTLY_ONCE on runners whose state and shuffles are durable: Dataflow, and the local
        runner with ``--state_dir``, across ``kill -9`` of any process at any moment. Rows are
        appended to buffered streams behind a shuffle, at offsets that are kept in Beam's state,
        and flushed behind another shuffle, when the state is committed; see ``offset_stream``. On
        the DirectRunner and the local runner without a folder each row is written once if the
        pipeline succeeds; one that fails and is started again writes again. In a bounded ``Run``
        it is refused.
        A row that is bad is in ``dead`` as soon as BigQuery has said so, and costs its request one
        more round trip; nothing is tried more than once for it.
        Order: none. Time: rows keep their windows and times. Windows don't delay rows.
        Memory: 64 MiB of requests under way, and the batches that they were made of.
        State: with EXACTLY_ONCE the name of a stream for each table and shard, for good.

    Args:
        table: ``PROJECT.DATASET.TABLE``, or a template with ``{column}``, ``{attribute:NAME}`` or
            ``{message:NAME}``; see ``Destination``.
        semantics: how often each row is written.
        create: how a table is made that is missing; None if all must be there.
        add: columns to add, such as ``{"message_id": message("message_id")}``. A map, such as the
            message's attributes, goes to a JSON column, or to a repeated record of key and value.
        changes: rows are upserts and deletes by primary key. Only with AT_LEAST_ONCE: BigQuery
            takes changes on default streams alone, and as protocol buffers, which cost more.
        shards: with EXACTLY_ONCE: streams per table that are written in parallel.
        every_s: with EXACTLY_ONCE: how long rows are gathered.
        streams_max: tables to which a worker's thread has rows under way at a time.
        step: the name that dead letters carry.
        rows_written: the metric that counts the rows.
        rows: their schema, without the message that they come from, if it is known: then a table
            that has no place for a column, or can't be made with it, is refused before anything
            is read. Without it that is found out when rows come.
        terms: what errors call the arguments, if they are given by other names.

    Raises:
        ConfigError: an argument is against the rules, or (but on Dataflow) the table or its dataset
            is missing, or takes no ``rows``.
        TransientError: nobody answers.
    """

    def __init__(
        self,
        table: str,
        *,
        semantics: Semantics = Semantics.AT_LEAST_ONCE,
        create: Create | None = None,
        add: Mapping[str, Field] = _NOTHING,
        changes: Changes | None = None,
        shards: int = 1,
        every_s: float = 1.0,
        streams_max: int = STREAMS_MAX,
        step: str = "bigquery.Write",
        rows_written: Counter = ROWS_WRITTEN,
        rows: pa.Schema | None = None,
        terms: Terms | None = None,
    ) -> None:
        super().__init__()
        Destination(table)
        if changes is not None and semantics is Semantics.EXACTLY_ONCE:
            raise ConfigError(
                "semantics", semantics.value, "can't be used for upserts and deletes",
                "Use at_least_once: to upsert twice changes nothing, given a sequence",
            )  # fmt: skip
        for name, number in (("shards", shards), ("streams_max", streams_max)):
            if number < 1:
                raise ConfigError(name, number, "must be at least 1", "Leave it out")
        self._semantics = semantics
        self._plan = Plan(table, dict(add), changes, create, step, rows_written, terms or Terms())
        self._rows = rows
        if rows is not None:
            require_columns(self._plan, rows)
        self._shards = shards
        self._trigger = every(every_s)
        self._streams_max = streams_max

    def expand(self, batches: beam.PCollection[Batch]) -> Written:
        """Wire it."""
        self._require_table(batches.pipeline)
        if self._semantics is Semantics.EXACTLY_ONCE:
            _refuse_run(batches.pipeline)
            return self._once(batches)
        append = beam.ParDo(AppendBatches(self._plan, self._streams_max))
        outputs = batches | "Append" >> append.with_output_types(Batch, dead=Batch).with_outputs(
            "dead", main="ok"
        )
        return Written(outputs.ok, outputs.dead)

    def _require_table(self, pipeline: beam.Pipeline) -> None:
        """Fail before the start if the table can't be written, where this machine can see it."""
        if not isinstance(pipeline.runner, DataflowRunner):
            require_table(self._plan, self._rows)

    def _once(self, batches: beam.PCollection[Batch]) -> Written:
        windowing = batches.windowing
        sharded = beam.typehints.KV[Key, beam.typehints.WindowedValue[Batch]]
        route = beam.ParDo(Route(self._plan, self._shards))
        routed = batches | "Route" >> route.with_output_types(sharded, dead=Batch).with_outputs(
            "dead", main="rows"
        )
        append = ParDoInto(AppendOnce(self._plan), windowing).with_output_types(
            Batch, dead=Batch, flush=tuple[str, int]
        )
        appended = (
            routed.rows
            | "Once" >> beam.ParDo(InFirstWindow()).with_output_types(sharded)
            | "Globally" >> beam.WindowInto(self._gathering(batches))
            | "Stable" >> beam.GroupByKey()
            | "Append" >> append.with_outputs("dead", "flush", main="ok")
        )
        (
            appended.flush
            | "FlushGlobally" >> beam.WindowInto(GlobalWindows())
            | "Committed" >> beam.Reshuffle()
            | "Flush" >> beam.ParDo(Flush())
        )
        dead = (routed.dead, appended.dead) | "Dead" >> beam.Flatten()
        return Written(appended.ok, dead)

    def _gathering(self, batches: beam.PCollection[Batch]) -> Windowing:
        """Say how rows are gathered; event time waits for the earliest of them."""
        trigger = None if batches.is_bounded else self._trigger
        return Windowing(
            GlobalWindows(), trigger, AccumulationMode.DISCARDING,
            TimestampCombiner.OUTPUT_AT_EARLIEST,
        )  # fmt: skip


def _refuse_run(pipeline: beam.Pipeline) -> None:
    if Run.of(pipeline) is not None:
        raise ConfigError(
            "semantics", Semantics.EXACTLY_ONCE.value,
            "needs a runner with durable state: a run that is killed would write rows again",
            "Give --runner=local --state_dir=FOLDER, or use at_least_once",
        )  # fmt: skip
