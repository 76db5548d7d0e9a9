"""Aggregate on runners: windows, sessions per key, late panes that replace earlier ones."""

import datetime as dt
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.trigger import AccumulationMode

from transforms.aggregate import Aggregate, Count, Distinct, Mean, Sum, answer_schema
from transforms.batch import Batch
from transforms.field import column
from transforms.triggers import early
from transforms.windows import Fixed, Session, Sliding, Windowing

SCHEMA = pa.schema([("user", pa.string()), ("n", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))])
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
RUNNERS = pytest.mark.parametrize("runner", [FnApiRunner, BundleBasedDirectRunner])


def batch(*rows: tuple[str | None, int | None, float]) -> Batch:
    """Return rows of a user, a number and an event time in seconds."""
    return Batch.from_pylist(
        [{"user": u, "n": n, "at": EPOCH + dt.timedelta(seconds=at)} for u, n, at in rows], SCHEMA
    )


def plain(answer: Batch) -> list[tuple[Any, ...]]:
    """Return the rows of an answer as tuples, moments as seconds since 1970."""
    return [
        tuple(
            (value - EPOCH).total_seconds() if isinstance(value, dt.datetime) else value
            for value in row.values()
        )
        for row in answer.to_pylist()
    ]


@RUNNERS
def test_groups_of_each_window(runner: Any) -> None:
    """Batches of one window are merged; windows, and null as a group, stay apart."""
    rows = [
        batch(("a", 1, 0), ("b", 2, 59), ("a", 3, 60)),
        batch(("a", 4, 1), (None, None, 2), (None, 7, 3)),
    ]
    with beam.Pipeline(runner=runner()) as pipeline:
        windowed = (pipeline | beam.Create(rows) | Windowing(Fixed(60), column("at"))).ok
        answer = windowed | Aggregate(["user"], {"rows": Count(), "sum": Sum("n")})
        expected = [
            ("a", 2, 5, 0.0, 60.0, 0),
            ("b", 1, 2, 0.0, 60.0, 0),
            (None, 2, 7, 0.0, 60.0, 0),
            ("a", 1, 3, 60.0, 120.0, 0),
        ]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))
        assert answer.element_type is Batch
        assert answer.windowing.accumulation_mode == AccumulationMode.DISCARDING


@RUNNERS
def test_every_sliding_window_counts_the_row(runner: Any) -> None:
    """A row is in the answer of each of its windows."""
    with beam.Pipeline(runner=runner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 1, 15), ("a", 1, 25))])
        windowed = (rows | Windowing(Sliding(20, 10), column("at"))).ok
        answer = windowed | Aggregate([], {"rows": Count()})
        expected = [(1, 0.0, 20.0, 0), (2, 10.0, 30.0, 0), (1, 20.0, 40.0, 0)]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


@RUNNERS
def test_sessions_of_different_keys_stay_apart(runner: Any) -> None:
    """Sessions merge within their key across batches, and never with another key's."""
    rows = [batch(("a", 1, 0), ("b", 1, 5), ("a", 1, 40)), batch(("a", 2, 8), ("b", 2, 30))]
    with beam.Pipeline(runner=runner()) as pipeline:
        windows = Session(10, (column("user"),))
        windowed = (pipeline | beam.Create(rows) | Windowing(windows, column("at"))).ok
        answer = windowed | Aggregate(["user"], {"numbers": Distinct("n")})
        expected = [
            ("a", 2, 0.0, 18.0, 0),
            ("a", 1, 40.0, 50.0, 0),
            ("b", 1, 5.0, 15.0, 0),
            ("b", 1, 30.0, 40.0, 0),
        ]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


@RUNNERS
def test_by_may_be_finer_than_the_session(runner: Any) -> None:
    """The session is that of its key, also where groups within it are told apart."""
    rows = [batch(("a", 1, 0), ("a", 2, 5), ("a", 1, 12)), batch(("a", 2, 20))]
    with beam.Pipeline(runner=runner()) as pipeline:
        windows = Session(10, (column("user"),))
        windowed = (pipeline | beam.Create(rows) | Windowing(windows, column("at"))).ok
        answer = windowed | Aggregate(["user", "n"], {"rows": Count()})
        expected = [("a", 1, 2, 0.0, 30.0, 0), ("a", 2, 2, 0.0, 30.0, 0)]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


@RUNNERS
def test_global_window_has_no_bounds(runner: Any) -> None:
    """Without windows there is one answer, with null bounds; no rows, no answer."""
    with beam.Pipeline(runner=runner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 1, 0)), batch(("a", 2, 9)), batch()])
        answer = rows | Aggregate(["user"], {"mean": Mean("n")})
        assert_that(answer | beam.FlatMap(plain), equal_to([("a", 1.5, None, None, 0)]), "one")
        none = (
            rows | beam.Filter(lambda part: not len(part)) | "None" >> Aggregate([], {"n": Count()})
        )
        assert_that(none, equal_to([]), "none")


def test_many_batches_fold_on_the_way() -> None:
    """More batches than an accumulator holds give one answer."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", n, 0), ("b", 1, 0)) for n in range(100)])
        answer = rows | Aggregate(["user"], {"sum": Sum("n"), "numbers": Distinct("n")})
        expected = [("a", 4950, 100, None, None, 0), ("b", 100, 1, None, None, 0)]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


def test_late_pane_holds_the_whole_answer() -> None:
    """A late batch gives a pane with the next index and everything so far; too late gives none."""
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements([batch(("a", 1, 1)), batch(("a", 2, 2))])
        .advance_watermark_to(65)
        .add_elements([batch(("a", 3, 3), ("b", 9, 4))])
        .advance_watermark_to(200)
        .add_elements([batch(("a", 4, 5), ("c", 1, 199))])
        .advance_watermark_to_infinity()
    )
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        windowing = Windowing(Fixed(60), column("at"), allowed_lateness_s=100)
        windowed = (pipeline | stream | windowing).ok
        answer = windowed | Aggregate(["user"], {"mean": Mean("n")})
        expected = [
            ("a", 1.5, 0.0, 60.0, 0),
            ("a", 2.0, 0.0, 60.0, 1),
            ("b", 9.0, 0.0, 60.0, 1),
            ("c", 1.0, 180.0, 240.0, 0),
        ]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


def test_early_panes_come_with_processing_time() -> None:
    """With the early trigger a window answers before its end, and again with all of it."""
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements([batch(("a", 1, 1))])
        .advance_processing_time(11)
        .add_elements([batch(("a", 3, 2))])
        .advance_watermark_to_infinity()
    )
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        windowing = Windowing(Fixed(60), column("at"), trigger=early(10))
        answer = (pipeline | stream | windowing).ok | Aggregate(["user"], {"mean": Mean("n")})
        expected = [("a", 1.0, 0.0, 60.0, 0), ("a", 2.0, 0.0, 60.0, 1)]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


def test_dictionaries_of_different_batches_are_one_key() -> None:
    """A key encoded by dictionary is compared by its value, not by its number."""
    keys = [pa.array(values).dictionary_encode() for values in (["x", "y"], ["y", None])]
    rows = [Batch(pa.record_batch({"key": values})) for values in keys]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        answer = pipeline | beam.Create(rows) | Aggregate(["key"], {"rows": Count()})
        expected = [("x", 1, None, None, 0), ("y", 2, None, None, 0), (None, 1, None, None, 0)]
        assert_that(answer | beam.FlatMap(plain), equal_to(expected))


class ElementTypes(PipelineVisitor):
    """Collects the element types of what the parts of Aggregate return."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_transform(self, transform_node: Any) -> None:
        if transform_node.full_label.startswith("Aggregate/"):
            self.found |= {str(out.element_type) for out in transform_node.outputs.values()}


def test_partials_travel_as_batches() -> None:
    """Every collection within Aggregate is typed, so that Arrow IPC carries the partials."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create([batch(("a", 1, 0))]) | Aggregate(["user"], {"rows": Count()})
    types = ElementTypes()
    pipeline.visit(types)
    assert types.found
    assert all("Batch" in name and "Any" not in name for name in types.found), types.found


@RUNNERS
def test_columns_of_the_answer_are_known_before_there_are_rows(
    runner: type[beam.pipeline.PipelineRunner],
) -> None:
    """The schema that is told is that of the answers."""
    measures = {"rows": Count(), "mean": Mean("n"), "users": Distinct("user"), "sum": Sum("n")}
    with beam.Pipeline(runner()) as pipeline:
        windowed = pipeline | beam.Create([batch(("a", 1, 5))]) | Windowing(Fixed(10), column("at"))
        schemas = windowed.ok | Aggregate(["user"], measures) | beam.Map(lambda rows: rows.schema)
        assert_that(schemas, equal_to([answer_schema(["user"], measures, SCHEMA)]))
