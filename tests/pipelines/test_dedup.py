"""Deduplicate on Beam's runners: across windows, windows kept, keys forgotten at the watermark."""

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    Sessions,
    SlidingWindows,
    TimestampedValue,
    WindowFn,
)
from apache_beam.utils.timestamp import Timestamp

from tests.conftest import message_batch
from transforms.batch import Batch, BatchCoder
from transforms.dedup import Deduplicate
from transforms.field import attribute, column, message
from transforms.memory import Memory
from transforms.metrics import NAMESPACE

RUNNERS = [FnApiRunner, BundleBasedDirectRunner]
Timed = tuple[str, float]


def batch(ids: str) -> Batch:
    """Return a batch with a row for each letter; an underscore stands for null."""
    values = [None if letter == "_" else letter for letter in ids]
    return Batch(pa.RecordBatch.from_arrays([pa.array(values, pa.string())], ["id"]))


def letters(rows: Batch) -> str:
    """Return the ids of a batch."""
    return "".join(value or "_" for value in rows.column("id").to_pylist())


def stamp(timed: Timed) -> TimestampedValue:
    """Return a batch with its timestamp."""
    return TimestampedValue(batch(timed[0]), timed[1])


def describe(
    rows: Batch,
    window: Any = beam.DoFn.WindowParam,
    timestamp: Any = beam.DoFn.TimestampParam,
) -> tuple[str, str, float]:
    """Return what a batch holds, where and when."""
    return letters(rows), str(window), float(timestamp)


def source(pipeline: beam.Pipeline, timed: Iterable[Timed]) -> beam.PCollection[Batch]:
    """Return batches at their times, in the global window, in one bundle and in this order."""
    stamped = pipeline | beam.Create([list(timed)]) | beam.FlatMap(lambda all_of_them: all_of_them)
    return stamped | beam.Map(stamp).with_output_types(Batch)


def counters(result: Any) -> dict[str, int]:
    """Return our counters."""
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    return {counter.key.metric.name: counter.result for counter in found}


@pytest.mark.parametrize("runner", RUNNERS)
def test_first_of_each_key_across_windows(runner: type) -> None:
    """A key that comes again in another window is a duplicate; rows without key are kept."""
    pipeline = beam.Pipeline(runner=runner())
    rows = source(pipeline, [("ab_a", 5), ("ac_", 65), ("ca", 125)])
    kept = rows | beam.WindowInto(FixedWindows(60)) | Deduplicate(column("id"), 3600)
    expected = [("ab_", "[0.0, 60.0)", 5.0), ("c_", "[60.0, 120.0)", 65.0)]
    assert_that(kept | beam.Map(describe), equal_to(expected))
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result) == {"duplicates": 4, "rows_without_key": 2}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    "window_fn",
    [GlobalWindows(), FixedWindows(10), SlidingWindows(60, 10), Sessions(20)],
    ids=lambda window_fn: type(window_fn).__name__,
)
def test_windows_and_times_are_kept(runner: type, shards: int, window_fn: WindowFn) -> None:
    """Each row comes out in the windows that it came in with, once in each; the rest follows."""
    with beam.Pipeline(runner=runner()) as pipeline:
        trigger = AfterWatermark(late=AfterCount(1))
        windowed = source(pipeline, [("abc_", 5), ("cd_", 12)]) | beam.WindowInto(
            window_fn, trigger, AccumulationMode.DISCARDING, allowed_lateness=77
        )
        kept = windowed | Deduplicate(column("id"), 3600, shards)
        assert kept.windowing == windowed.windowing
        expected = [
            (letter, str(window), at)
            for ids, at in (("abc_", 5.0), ("d_", 12.0))
            for letter in ids
            for window in window_fn.assign(WindowFn.AssignContext(Timestamp(at)))
        ]
        assert_that(kept | beam.ParDo(RowsWithWindows()), equal_to(expected))


class RowsWithWindows(beam.DoFn):
    """Yield each row with its window and time."""

    def process(
        self,
        element: Batch,
        window: Any = beam.DoFn.WindowParam,
        at: Any = beam.DoFn.TimestampParam,
    ) -> Iterable[tuple[str, str, float]]:
        for letter in letters(element):
            yield letter, str(window), float(at)


@pytest.mark.parametrize("runner", RUNNERS)
def test_merged_sessions_are_kept(runner: type) -> None:
    """A batch that comes out of a merged session stays in that session."""
    with beam.Pipeline(runner=runner()) as pipeline:
        merged = (
            source(pipeline, [("ab", 0), ("bc", 8)])
            | beam.WindowInto(Sessions(10))
            | beam.Map(lambda rows: (1, rows)).with_output_types(tuple[int, Batch])
            | beam.GroupByKey()
            | beam.MapTuple(lambda _, group: Batch.concat(list(group))).with_output_types(Batch)
        )
        kept = merged | Deduplicate(column("id"), 3600)
        rows = kept | beam.ParDo(RowsWithWindows()) | beam.MapTuple(lambda id_, win, _: (id_, win))
        expected = [(letter, "[0.0, 18.0)") for letter in "abc"]
        assert_that(rows, equal_to(expected))


def stream(events: Sequence[Timed | float]) -> Stream:
    """Return batches at their times, and numbers that advance the watermark."""
    test_stream = Stream(coder=BatchCoder())
    for event in events:
        if isinstance(event, tuple):
            test_stream.add_elements([stamp(event)])
        else:
            test_stream.advance_watermark_to(event)
    return test_stream.advance_watermark_to_infinity()


def kept_of_stream(events: Sequence[Timed | float], expected: Sequence[str], **more: Any) -> None:
    """Check what is kept of a stream with a horizon of 40 seconds."""
    options = PipelineOptions()
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        rows = pipeline | stream(events).with_output_types(Batch)
        kept = rows | beam.WindowInto(FixedWindows(5)) | Deduplicate(column("id"), 40, **more)
        assert_that(kept | beam.Map(letters), equal_to(list(expected)))


def test_key_is_remembered_until_the_watermark_passes_the_horizon() -> None:
    """Before the end of its bucket plus the horizon a key is a duplicate, then it is first."""
    kept_of_stream([("ab", 1), 49.0, ("a", 49), 50.0, ("ab", 51)], ["ab", "ab"])


def test_element_time_does_not_expire_keys() -> None:
    """Rows far ahead of the watermark forget nothing: the watermark alone decides."""
    kept_of_stream([("a", 1), ("b", 1_000), 20.0, ("ab", 1_001)], ["a", "b"])


def test_late_rows_are_deduplicated() -> None:
    """Rows behind the watermark by more than the horizon are remembered as others are."""
    kept_of_stream([("a", 1), 50.0, ("b", 2), ("b", 3), 80.0, ("b", 4)], ["a", "b"])


def test_memory_outlives_the_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that makes an instance for each bundle finds the memory alive, with its token."""
    rebuilt: list[object] = []
    restore = Memory.restore
    monkeypatch.setattr(Memory, "restore", lambda *args: rebuilt.append(1) or restore(*args))
    kept_of_stream([("ab", 1), 5.0, ("bc", 6), 10.0, ("cd", 11), 55.0, ("d", 56)], ["ab", "c", "d"])
    assert not rebuilt


@pytest.mark.parametrize("runner", RUNNERS)
def test_bounded_run_remembers_every_key(runner: type) -> None:
    """Without a watermark that moves, nothing is forgotten, however far apart the times are."""
    with beam.Pipeline(runner=runner()) as pipeline:
        year_s = 365 * 86_400
        kept = source(pipeline, [("ab", 0), ("bc", year_s), ("ac", 2 * year_s), ("cd", -year_s)])
        kept |= Deduplicate(column("id"), 60)
        assert_that(kept | beam.Map(letters), equal_to(["ab", "c", "d"]))


def test_bundles_that_run_again_keep_the_same_rows() -> None:
    """A runner that runs each bundle, rolls its state back and runs it again loses nothing."""
    with beam.Pipeline(runner=FnApiRunner(bundle_repeat=2)) as pipeline:
        kept = source(pipeline, [("ab", 0), ("bc", 100), ("ac", 200)])
        kept |= Deduplicate(column("id"), 60)
        assert_that(kept | beam.Map(letters), equal_to(["ab", "c"]))


@pytest.mark.parametrize("shards", [1, 4])
def test_shards_find_the_same_rows_as_one_set(shards: int) -> None:
    """Of random rows each key is kept once, and each null, however the work is shared."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 3_000, 10_000)
    rows = pa.array(numbers, pa.int64(), mask=numbers % 100 == 99)
    whole = Batch(pa.RecordBatch.from_arrays([rows], ["id"]))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        parts = pipeline | beam.Create(list(whole.split(700))).with_output_types(Batch)
        kept = parts | Deduplicate([column("id")], 60, shards)
        values = kept | beam.FlatMap(lambda part: part.column("id").to_pylist())
        expected = sorted({number for number in numbers.tolist() if number % 100 != 99})
        expected += [None] * rows.null_count
        assert_that(values, equal_to(expected))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (message("message_id"), [1, 2, 3, 4]),
        (attribute("key"), [1, 2, 3, 4]),
        (message("data"), [1, 2]),
        ([message("data"), message("ordering_key")], [1, 2]),
    ],
    ids=str,
)
def test_key_is_any_field(key: Any, expected: list[int]) -> None:
    """The message id, an attribute, the payload, or several fields at once tell rows apart."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        payloads = [b"x", b"y", b"x", b"y"]
        rows = pipeline | beam.Create([message_batch(payloads)]).with_output_types(Batch)
        kept = rows | Deduplicate(key, 60)
        ids = kept | beam.FlatMap(lambda part: part.column("message_id").to_pylist())
        assert_that(ids | beam.Map(int), equal_to(expected))


def test_batches_travel_in_their_own_coder() -> None:
    """No step between pickles a batch: the coder of each collection is made of BatchCoder."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = source(pipeline, [("a", 1)]) | "Dedup" >> Deduplicate(column("id"), 60)
    components = pipeline.to_runner_api().components
    context = PipelineContext(components)
    steps = [step for step in components.transforms.values() if "Dedup/" in step.unique_name]
    outputs = {output for step in steps for output in step.outputs.values()}
    coders = [
        repr(context.coders.get_by_id(components.pcollections[output].coder_id))
        for output in outputs
    ]
    assert len(coders) == 4
    for coder in coders:
        assert "BatchCoder" in coder
        assert "FastPrimitives" not in coder
