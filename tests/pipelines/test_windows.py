"""Windowing on runners: splits, dead letters, and lateness as Beam treats single rows."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.field import attribute, column, message
from transforms.message import MESSAGE, attach_message
from transforms.windows import Fixed, Session, Sliding, Windowing, Windows

SCHEMA = pa.schema([("user", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def batch(*rows: tuple[str, float | None]) -> Batch:
    """Return rows of a user and an event time in seconds."""
    times = (None if at is None else EPOCH + dt.timedelta(seconds=at) for _, at in rows)
    return Batch.from_pylist(
        [{"user": user, "at": at} for (user, _), at in zip(rows, times, strict=True)], SCHEMA
    )


def seconds(moment: dt.datetime) -> float:
    """Return an event time as seconds since 1970."""
    return (moment - EPOCH).total_seconds()


class KeyByUser(beam.DoFn):
    """Key a batch by the user of its first row."""

    def process(self, element: Batch) -> Iterator[tuple[str, Batch]]:
        yield element.column("user")[0].as_py(), element


class Describe(beam.DoFn):
    """A pane of a key as plain values: key, window, and the seconds of its rows."""

    def process(
        self, element: Any, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[str, float, float, tuple[float, ...]]]:
        key, batches = element
        rows = sorted(seconds(row["at"]) for part in batches for row in part.to_pylist())
        yield key, float(window.start), float(window.end), tuple(rows)


def grouped(windowed: beam.PCollection) -> beam.PCollection:
    """Group batches by user and window, and describe the panes."""
    keyed = windowed | "Key" >> beam.ParDo(KeyByUser()).with_output_types(tuple[str, Batch])
    return keyed | beam.GroupByKey() | beam.ParDo(Describe())


BATCH_CASES = [
    (Fixed(60), [("a", 0.0, 60.0, (1.0, 59.0)), ("a", 60.0, 120.0, (61.0,))]),
    (
        Sliding(60, 30),
        [
            ("a", -30.0, 30.0, (1.0,)),
            ("a", 0.0, 60.0, (1.0, 59.0)),
            ("a", 30.0, 90.0, (59.0, 61.0)),
            ("a", 60.0, 120.0, (61.0,)),
        ],
    ),
    (
        Session(30, (column("user"),)),
        [("a", 1.0, 31.0, (1.0,)), ("a", 59.0, 91.0, (59.0, 61.0))],
    ),
]


@pytest.mark.parametrize(("windows", "panes"), BATCH_CASES, ids=["fixed", "sliding", "session"])
@pytest.mark.parametrize("runner", [FnApiRunner, BundleBasedDirectRunner])
def test_rows_reach_their_windows(runner: Any, windows: Windows, panes: list[Any]) -> None:
    """Grouping after Windowing gives each window exactly its rows, on both local runners."""
    with beam.Pipeline(runner=runner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 61), ("a", 1), ("a", 59))])
        assert_that(grouped((rows | Windowing(windows, column("at"))).ok), equal_to(panes))


def test_rows_without_a_time_are_dead() -> None:
    """A row whose event time is null goes to dead; the rest of its batch goes on."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 1), ("b", None))])
        ok, dead = rows | Windowing(Fixed(60), column("at"), step="Clock")
        kinds = dead | beam.Map(
            lambda part: part.select(["step", "error_kind", "data"]).to_pylist()
        )
        assert_that(ok | beam.Map(len), equal_to([1]), "ok")
        expected = {
            "step": "Clock",
            "error_kind": "bad_event_time",
            "data": b'{"user":"b","at":null}',
        }
        assert_that(kinds, equal_to([[expected]]), "dead")


@pytest.mark.parametrize(
    ("windows", "copies"),
    [(Fixed(60), 1), (Sliding(60, 30), 2), (Session(30, (attribute("key"),)), 1)],
    ids=["fixed", "sliding", "session"],
)
def test_dropped_columns_still_serve_and_stay_with_what_is_rejected(
    windows: Windows, copies: int
) -> None:
    """Time and key may lie in a column that ok leaves out; dead letters keep their message."""
    typed = pa.RecordBatch.from_pydict({"n": [1, 2]})
    messages = message_batch([b"one", b"two"]).with_column(
        "publish_time", pa.array([dt.datetime(2026, 1, 1), None], pa.timestamp("us", "UTC"))
    )
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create([attach_message(typed, messages)])
        windowing = Windowing(windows, message("publish_time"), drop=[MESSAGE, "unknown"])
        ok, dead = rows | windowing
        kept = ok | beam.Map(Batch.to_pylist)
        data = dead | beam.Map(lambda part: part.column("data").to_pylist())
        assert_that(kept, equal_to([[{"n": 1}]] * copies), "ok")
        assert_that(data, equal_to([[b"two"]]), "dead")


def test_batches_keep_their_coder() -> None:
    """Both outputs are typed as Batch, so that Arrow IPC and not pickle carries them."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    for windows in (Fixed(60), Session(30)):
        rows = pipeline | f"{windows}" >> beam.Create([batch(("a", 1))])
        ok, dead = rows | f"W {windows}" >> Windowing(windows, column("at"))
        assert ok.element_type is Batch
        assert dead.element_type is Batch


LATENESS_S = 20.0
LATE_SCHEMA = pa.schema([("mode", pa.string()), *SCHEMA])
STEPS = st.lists(
    st.integers(1, 40) | st.lists(st.integers(-60, 100), min_size=1, max_size=6),
    min_size=1,
    max_size=8,
)
"""Tokens: a number moves the watermark on, by seconds; a list is a batch of event times."""


ON_A_RUNNER = settings(max_examples=8, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Few examples and no shrinking, for each runs a pipeline."""


def late_batch(mode: str, times: Sequence[float]) -> Batch:
    """Return rows of one user, told apart by the way in which they are sent."""
    rows = [{"mode": mode, "user": "a", "at": EPOCH + dt.timedelta(seconds=at)} for at in times]
    return Batch.from_pylist(rows, LATE_SCHEMA)


def stream_of(steps: Sequence[int | list[int]]) -> test_stream.TestStream:
    """Send the rows twice, as a batch and one by one, between the same watermarks."""
    watermark, stream = 0, test_stream.TestStream().advance_watermark_to(0)
    for step in steps:
        if isinstance(step, int):
            watermark += step
            stream = stream.advance_watermark_to(watermark)
        else:
            # In one bundle, so that all of them meet the same watermark.
            single = [late_batch("single", [at]) for at in step]
            stream = stream.add_elements([late_batch("batch", step), *single])
    return stream.advance_watermark_to_infinity()


class KeyByMode(beam.DoFn):
    """Key a batch by the way in which it was sent."""

    def process(self, element: Batch) -> Iterator[tuple[str, Batch]]:
        yield element.column("mode")[0].as_py(), element


Kept = Callable[[dict[Any, list[float]], dict[Any, list[float]]], None]


def run_both_ways(windows: Windows, steps: Sequence[int | list[int]], judge: Kept) -> None:
    """Run the stream; ``judge`` gets window -> rows as batches, and as single rows."""

    def check(panes: list[tuple[str, float, float, tuple[float, ...]]]) -> None:
        found: dict[str, dict[Any, list[float]]] = {"batch": {}, "single": {}}
        for mode, start, end, rows in panes:
            found[mode][start, end] = sorted([*found[mode].get((start, end), []), *rows])
        judge(found["batch"], found["single"])

    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        windowing = Windowing(windows, column("at"), allowed_lateness_s=LATENESS_S)
        windowed = (pipeline | stream_of(steps) | windowing).ok
        keyed = windowed | beam.ParDo(KeyByMode()).with_output_types(tuple[str, Batch])
        assert_that(keyed | beam.GroupByKey() | beam.ParDo(Describe()), check)


def equal(batches: dict[Any, list[float]], rows: dict[Any, list[float]]) -> None:
    """Judge that every window holds the same rows both ways."""
    assert batches == rows


@pytest.mark.parametrize("windows", [Fixed(10), Fixed(30, 7), Sliding(30, 20, 3)], ids=str)
@ON_A_RUNNER
@given(steps=STEPS)
def test_lateness_treats_batches_as_their_rows(
    windows: Windows, steps: list[int | list[int]]
) -> None:
    """Whatever is late, and however late, each window keeps the same rows both ways."""
    run_both_ways(windows, steps, equal)


def test_late_rows_are_kept_until_the_lateness_is_over() -> None:
    """Late rows within the allowed lateness are kept; those of closed windows are dropped."""

    def judge(batches: dict[Any, list[float]], rows: dict[Any, list[float]]) -> None:
        assert batches == rows == {(0, 10): [1, 2], (10, 20): [11, 12, 13], (40, 50): [41]}

    steps: list[int | list[int]] = [[1, 11], 25, [2, 12], 10, [3, 13, 41]]
    run_both_ways(Fixed(10), steps, judge)


@pytest.mark.parametrize(
    ("windows", "urn"),
    [
        (Fixed(60), "beam:window_fn:fixed_windows:v1"),
        (Sliding(60, 30), "beam:window_fn:sliding_windows:v1"),
        (Session(30, (column("user"),)), "beam:window_fn:session_windows:v1"),
    ],
)
def test_runners_see_standard_windows(windows: Windows, urn: str) -> None:
    """What a runner gets are Beam's own window functions, so that any runner can merge them."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    rows = pipeline | beam.Create([batch(("a", 1))])
    _ = grouped((rows | Windowing(windows, column("at"))).ok)
    strategies = pipeline.to_runner_api().components.windowing_strategies.values()
    functions = {strategy.window_fn.urn for strategy in strategies}
    assert functions == {"beam:window_fn:global_windows:v1", urn}
