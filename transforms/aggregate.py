"""Measures per group and window: partial per batch, merged per window, all in Arrow kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders.coders import ListCoder
from apache_beam.transforms.window import IntervalWindow

from transforms.batch import Batch, BatchCoder
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.grouping import Grouping
from transforms.measures import Count, Distinct, Max, Mean, Measure, Min, Sum, as_field
from transforms.rewindow import ParDoInto, accumulating
from transforms.sessions import KeyedSessions

__all__ = [
    "PANE_INDEX",
    "WINDOW_END",
    "WINDOW_START",
    "Aggregate",
    "Count",
    "Distinct",
    "Max",
    "Mean",
    "Min",
    "Sum",
    "answer_schema",
]

WINDOW_START = "window_start"
WINDOW_END = "window_end"
PANE_INDEX = "pane_index"
_MICROS = pa.timestamp("us", tz="UTC")
_PENDING_MAX = 16


class Aggregate(beam.PTransform):
    """Compute measures of each group of rows in each window.

    The answer is one batch per window and pane (with session windows, per session): a row per
    group with the ``by`` columns, the measures, ``window_start`` and ``window_end`` (null in the
    global window) and ``pane_index``. A pane holds the whole answer so far, not what was added:
    of the rows of a group and window, that with the highest ``pane_index`` counts. Means and
    distinct counts could not be added up otherwise. Rows of a window that is never late and has
    no early panes all have ``pane_index`` 0.

    Only partial results travel: a row per group and batch. All groups of a window meet on one
    worker, in its memory. There is no dead output, for no row can fail: a column of the wrong
    type is an error of the configuration and stops the pipeline.

    With ``Windowing(Session(...))`` the sessions are those of the session's key; ``by`` may be
    finer. A session that grows by late rows appears again with its new window, and the
    answer of its shorter window stays.

    Guarantees:
        Exact, whatever the split into batches and the order of merging, up to the rounding of
        float sums. Late rows count while Beam keeps their window; its partial results are kept
        as long, that is for the allowed lateness.

    Args:
        by: fields or column names; null is a group of its own; none for one group in all.
        measures: answer column -> measure.

    Raises:
        ConfigError: there is no measure, or two answer columns have one name.
    """

    def __init__(self, by: Sequence[Field | str], measures: Mapping[str, Measure]) -> None:
        super().__init__()
        fields = tuple(as_field(field) for field in by)
        _check_names([field.name for field in fields], list(measures))
        self._grouping = Grouping(fields, dict(measures))

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Partial per batch, combine per window, finish."""
        windowing = batches.windowing
        window_fn = windowing.windowfn
        session = window_fn.by if isinstance(window_fn, KeyedSessions) else ()
        partial, finish = _Partial(self._grouping, session), _Finish(self._grouping)
        return (
            batches
            | "Partial" >> ParDoInto(partial, accumulating(windowing))
            | "Merge" >> beam.CombinePerKey(_Merge(self._grouping))
            # Panes replace each other; what follows must not add them up once more.
            | "Finish" >> ParDoInto(finish, windowing)
        )


def answer_schema(
    by: Sequence[Field | str], measures: Mapping[str, Measure], rows: pa.Schema
) -> pa.Schema:
    """Return the columns of an answer for rows of a schema, before there are any.

    Raises:
        ConfigError: as ``Aggregate``; or the rows lack a column, or have another type.
    """
    fields = tuple(as_field(field) for field in by)
    _check_names([field.name for field in fields], list(measures))
    grouping = Grouping(fields, dict(measures))
    nothing = grouping.finish(grouping.partial(Batch.from_pylist([], rows)))
    columns = [pa.field(name, values.type) for name, values in nothing.items()]
    added = {WINDOW_START: _MICROS, WINDOW_END: _MICROS, PANE_INDEX: pa.int64()}
    return pa.schema([*columns, *added.items()])


def _check_names(by: Sequence[str], measures: Sequence[str]) -> None:
    names = [*by, *measures, WINDOW_START, WINDOW_END, PANE_INDEX]
    if not measures:
        raise ConfigError("measures", {}, "must name at least one measure", "Add Count()")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError("measures", twice, "must name each answer column once", "Rename them")


@beam.typehints.with_output_types(tuple[bytes, Batch])
class _Partial(beam.DoFn):
    """Rows to partials, keyed so that only rows of one session key share sessions."""

    def __init__(self, grouping: Grouping, session: tuple[Field, ...]) -> None:
        self._grouping, self._session = grouping, session

    def process(self, element: Batch) -> Iterator[tuple[bytes, Batch]]:
        if len(element):
            key = [field.of(element)[0].as_py() for field in self._session]
            yield repr(key).encode(), self._grouping.partial(element)


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Batch)
class _Merge(beam.CombineFn):
    """Partials to one partial; the accumulator is a short list of them."""

    def __init__(self, grouping: Grouping) -> None:
        super().__init__()
        self._grouping = grouping

    def create_accumulator(self) -> list[Batch]:
        return []

    def add_input(self, accumulator: list[Batch], partial: Batch) -> list[Batch]:
        return self._bound([*accumulator, partial])

    def merge_accumulators(self, accumulators: Any) -> list[Batch]:
        return self._bound([partial for pending in accumulators for partial in pending])

    def compact(self, accumulator: list[Batch]) -> list[Batch]:
        return [self._grouping.merge(accumulator)] if accumulator else accumulator

    def extract_output(self, accumulator: list[Batch]) -> Batch:
        return self._grouping.merge(accumulator)

    def get_accumulator_coder(self) -> ListCoder:
        return ListCoder(BatchCoder())

    def _bound(self, pending: list[Batch]) -> list[Batch]:
        return self.compact(pending) if len(pending) >= _PENDING_MAX else pending


@beam.typehints.with_output_types(Batch)
class _Finish(beam.DoFn):
    """A merged partial to the answer, with its window and pane."""

    def __init__(self, grouping: Grouping) -> None:
        self._grouping = grouping

    def process(
        self,
        element: tuple[bytes, Batch],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[Batch]:
        _, state = element
        start, end = (
            (window.start.micros, window.end.micros)
            if isinstance(window, IntervalWindow)
            else (None, None)
        )
        constants = {
            WINDOW_START: pa.scalar(start, _MICROS),
            WINDOW_END: pa.scalar(end, _MICROS),
            PANE_INDEX: pa.scalar(pane.index, pa.int64()),
        }
        repeated = {name: pa.repeat(value, len(state)) for name, value in constants.items()}
        yield Batch(pa.RecordBatch.from_pydict({**self._grouping.finish(state), **repeated}))
