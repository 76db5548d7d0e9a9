"""The step of a pipeline that applies a user's function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa

from connectors.udf.reload import latest_of
from connectors.udf.watchdog import Watchdog
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError, TransientError
from transforms.message import MESSAGE, PART
from transforms.udf import (
    BatchFunction,
    Compiled,
    Form,
    Function,
    Language,
    Overrun,
    Plan,
    Result,
    RowFunction,
    Source,
    TextFunction,
    Unlimited,
    Watch,
)

__all__ = ["Applied", "UserFunction", "opened"]

_log = logging.getLogger(__name__)
_PYTHON: dict[Form, Callable[[Compiled, Plan, Watch], Function]] = {
    Form.ROW: RowFunction,
    Form.BATCH: BatchFunction,
    Form.TEXT: TextFunction,
}


class Applied(NamedTuple):
    """What ``UserFunction`` gives."""

    ok: beam.PCollection[Batch]
    dead: beam.PCollection[Batch]
    outputs: dict[str, beam.PCollection[Batch]]
    """Messages, by the name of the output: the payload is the row as JSON, or the text."""


class UserFunction(beam.PTransform):
    """Apply a function that a user wrote in a file of its own.

    Guarantees:
        Every row is in ok or in an output, as often as the function gives it, or is dead, or was
        dropped because the function gave nothing; never two of these. Order is kept within a
        batch, unless the function of a batch changes it. A row of which the function gives
        several, one of them no row, is dead as a whole.
        The function may be called more than once for a row: when a bundle is tried again, and in
        batch form when it has failed for another row. It should have no effect but its result.
        Each instance of the step loads the file for itself, once: two threads share no globals.
        With a reload, a bundle that is tried again may see a newer version than the first time.
    """

    def __init__(
        self,
        source: Source,
        *,
        schema: pa.Schema | None = None,
        output_schema: pa.Schema | None = None,
        outputs: Sequence[str] = (),
        timeout_s: float | None = 10.0,
        reload_s: float | None = None,
        keep_message: bool = False,
        part_column: bool = False,
        step: str = "UserFunction",
    ) -> None:
        """Describe the step.

        Args:
            source: of ``load``.
            schema: of the typed rows that it is given; None if these are messages.
            output_schema: of the rows that it gives, typed ones; by default what it is given.
            outputs: names that it may route rows to.
            timeout_s: seconds for a row, or for a batch in batch form; None for any time.
            reload_s: how often the file is looked at; None for never.
            keep_message: whether messages that come out carry the message as it came, under
                ``MESSAGE``. Typed rows always do.
            part_column: whether rows get an int32 column ``PART``: 0, 1, ... for the rows that
                one row became.
            step: the name of this step in dead letters.

        Raises:
            ConfigError: the function can't be used so.
        """
        super().__init__()
        _require_payloads(source, schema, output_schema)
        _require_names(outputs)
        _require_columns(output_schema)
        _require_time("udf_timeout", timeout_s)
        _require_time("udf_reload", reload_s)
        self._source = source
        self._plan = Plan(
            step, schema is not None, output_schema, tuple(outputs), keep_message, part_column
        )
        self._timeout_s = timeout_s
        self._reload_s = reload_s

    def expand(self, batches: beam.PCollection[Batch]) -> Applied:
        """Wire the function."""
        apply = _Apply(self._source, self._plan, self._timeout_s, self._reload_s)
        tags = {name: f"output-{name}" for name in self._plan.outputs}
        typed = beam.ParDo(apply).with_output_types(
            Batch, dead=Batch, **dict.fromkeys(tags.values(), Batch)
        )
        made = batches | typed.with_outputs("dead", *tags.values(), main="ok")
        return Applied(made.ok, made.dead, {name: made[tag] for name, tag in tags.items()})


def opened(source: Source, plan: Plan, timeout_s: float | None = None) -> Function:
    """Return a function that is ready, for one thread at a time.

    Raises:
        ConfigError: it can't be loaded here.
    """
    if source.language is Language.JAVASCRIPT:
        from connectors.udf.javascript import ScriptFunction  # noqa: PLC0415 - V8, seldom needed

        return ScriptFunction(source, plan, timeout_s)
    compiled = Compiled(source.path, source.function, source.text)
    watch = Unlimited() if timeout_s is None else Watchdog(str(source), timeout_s)
    return _PYTHON[source.form](compiled, plan, watch)


class _Apply(beam.DoFn):
    def __init__(
        self, source: Source, plan: Plan, timeout_s: float | None, reload_s: float | None
    ) -> None:
        self._source, self._plan = source, plan
        self._timeout_s, self._reload_s = timeout_s, reload_s

    def setup(self) -> None:
        self._function = opened(self._source, self._plan, self._timeout_s)
        self._current = self._source
        if self._reload_s is not None:
            self._latest = latest_of(self._source, self._reload_s)

    def start_bundle(self) -> None:
        if self._reload_s is None:
            return
        newest = self._latest.source()
        if newest != self._current:
            self._current, before = newest, self._function
            try:
                self._function = opened(newest, self._plan, self._timeout_s)
            except ConfigError as error:  # it was loaded a moment ago
                _log.warning("the function of before stays in use: %s", error)
            else:
                before.close()

    def process(self, batch: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        try:
            result = self._function.apply(batch)
        except Overrun as error:  # twice within microseconds, between two of our own steps
            raise TransientError("the time limit struck outside of the function") from error
        _count(result)
        yield from result.ok
        for name, made in result.outputs.items():
            for each in made:
                yield beam.pvalue.TaggedOutput(f"output-{name}", each)
        if result.dead is not None:
            yield beam.pvalue.TaggedOutput("dead", result.dead)

    def teardown(self) -> None:
        self._function.close()


def _count(result: Result) -> None:
    metrics.ROWS_FILTERED.inc(result.dropped)
    metrics.ROWS_MADE.inc(result.made)
    metrics.DEAD_LETTERS.inc(len(result.dead) if result.dead is not None else 0)


def _require_payloads(
    source: Source, schema: pa.Schema | None, output_schema: pa.Schema | None
) -> None:
    if source.form is not Form.TEXT:
        return
    if schema is not None:
        raise ConfigError(
            "udf", str(source), "takes payloads, which typed rows have no more",
            "Apply it before rows are parsed, or annotate its parameter with dict",
        )  # fmt: skip
    if output_schema is not None:
        raise ConfigError(
            "udf_schema", None, f"has no meaning for {source}, which gives payloads",
            "Leave it out; the schema of parsed rows is another parameter",
        )  # fmt: skip


def _require_names(outputs: Sequence[str]) -> None:
    for name in outputs:
        if not name.isidentifier() or list(outputs).count(name) > 1:
            raise ConfigError(
                "udf_outputs", name, "must be a name of letters, digits and _, and be there once",
                "Write for example late=projects/my-project/topics/late",
            )  # fmt: skip


def _require_time(name: str, seconds: float | None) -> None:
    if seconds is not None and seconds <= 0:
        raise ConfigError(name, seconds, "must be more than no time", "Write for example 10s")


def _require_columns(schema: pa.Schema | None) -> None:
    for name in {MESSAGE, PART} & set(schema.names if schema is not None else ()):
        raise ConfigError(f"udf_schema.{name}", name, "is a reserved name", "Rename the column")
