"""A job on the local runner over many epochs: nothing that it takes grows with them."""

import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from runners.local import LocalRunner
from runners.local.result import LocalResult
from tests.processes import wait_until

EPOCHS = int(os.environ.get("HEADRACE_LONG_EPOCHS", "600"))
WINDOW_S = 10
KEYS = 4


class Ticks(RestrictionProvider):
    """A tick for each position."""

    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        return int(restriction.size())


TICKS = Ticks()
_TICKS = beam.DoFn.RestrictionParam(TICKS)
_ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class Tick(beam.DoFn):
    """Gives an element for each key and second of event time, a second in each epoch."""

    ticks = Metrics.counter("long", "ticks")

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        _element: int,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
        tracker: Any = _TICKS,
        estimator: Any = _ESTIMATOR,
    ) -> Iterator[Any]:
        second = tracker.current_restriction().start
        if not tracker.try_claim(second):
            return
        self.ticks.inc()
        finalizer.register(_acknowledge)
        for key in range(KEYS):
            yield TimestampedValue((f"k{key}", second), second)
        estimator.set_watermark(Timestamp(second))
        tracker.defer_remainder()


def _acknowledge() -> None:
    """Do what a source does when its messages are committed."""


BAG = BagStateSpec("bag", beam.coders.VarIntCoder())
END = TimerSpec("end", TimeDomain.WATERMARK)


class Total(beam.DoFn):
    """Adds up a window's numbers at its end, by state and a timer."""

    def process(
        self,
        element: tuple[str, int],
        window: Any = beam.DoFn.WindowParam,
        bag: Any = beam.DoFn.StateParam(BAG),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        bag.add(element[1])
        end.set(window.max_timestamp())

    @on_timer(END)
    def at_end(
        self, key: str = beam.DoFn.KeyParam, bag: Any = beam.DoFn.StateParam(BAG)
    ) -> Iterator[tuple[str, int]]:
        yield key, sum(bag.read())


def same(group: tuple[str, tuple[Iterable[int], Iterable[int]]], seen: Iterable[int]) -> int:
    """Check that state and grouping come to the same, beside a side input; return the sum."""
    _, (totals, numbers) = group
    (total,) = totals
    assert total == sum(numbers)
    assert sum(seen) > 0
    return total


class Taken(NamedTuple):
    """What a job takes at an instant."""

    memory: int
    objects: int
    rows: int
    disk: int


def build(pipeline: beam.Pipeline, ticks: int) -> None:
    """Add state, timers, a grouping, a Reshuffle and a side input, all in windows that expire."""
    source = pipeline | beam.Create([ticks]) | beam.ParDo(Tick())
    pairs = source | beam.WindowInto(FixedWindows(WINDOW_S))
    totals = pairs | beam.ParDo(Total()).with_output_types(tuple[str, int])
    numbers = pairs | beam.Reshuffle()
    side = beam.pvalue.AsList(pairs | beam.Values())
    _ = (totals, numbers) | beam.CoGroupByKey() | beam.Map(same, side)


def taken(folder: Path, result: LocalResult) -> Taken:
    executor = result.job.executor
    with executor._guard:
        database = executor._store._database
        rows = sum(
            database.read(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("rows", "chunks", "large", "timers", "names", "named")
        )
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    disk = sum(file.stat().st_size for file in folder.rglob("*"))
    gc.collect()
    return Taken(int(status.split()[0]) << 10, len(gc.get_objects()), rows, disk)


def test_nothing_grows_with_the_epochs(tmp_path: Path) -> None:
    """From a tenth of the epochs to the last one memory, rows and disk stay what they are."""
    options = PipelineOptions(["--streaming", f"--state_dir={tmp_path}"])
    pipeline = beam.Pipeline(runner=LocalRunner(), options=options)
    build(pipeline, 1 << 40)
    result: LocalResult = pipeline.run()

    def reaches(epoch: int) -> Taken:
        wait_until(lambda: result.progress().epoch >= epoch, 600)
        return taken(tmp_path, result)

    try:
        first, last = reaches(EPOCHS // 10), reaches(EPOCHS)
        assert result.progress().numbers["long", "ticks"] > EPOCHS // 2
    finally:
        result.stop("suspend")
    # Two windows are open at a time, and one may have just come or gone.
    window = KEYS * WINDOW_S
    assert last.rows <= first.rows + 2 * window
    assert last.objects <= first.objects + 100 * window
    assert last.memory <= first.memory + (32 << 20)
    assert last.disk <= first.disk + (16 << 20)
