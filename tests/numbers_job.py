"""A job on the local runner whose result is known from a formula, however often it is killed.

Numbers come from a source that has no end as far as the runner can tell, in batches. A tenth of
them is repeated. They go three ways:

    windows, then duplicates dropped, to a lake
    by key in windows: state and a timer at the end of the window, to a file for each total
    by key in windows: GroupByKey, to a file for each group
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    CombiningValueStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from connectors import lake
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.field import column
from transforms.windows import Fixed, Windowing

BATCH = 1_000
CALL_BATCHES = 4
KEYS = 4
STEP_US = 1_000
BEGIN_US = 1_767_225_600_000_000
BACK = 37
DISORDER_US = (BACK + 500) * STEP_US
TABLES = {"delta": lake.Delta(commit_s=0.02), "iceberg": lake.Iceberg(commit_s=0.02)}
SCHEMA = pa.schema([("n", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))])


def numbers(start: int, end: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the numbers at these positions: every tenth repeats an earlier one."""
    places = np.arange(start, end)
    return np.where((places % 10 == 0) & (places >= BACK), places - BACK, places)


def times_us(found: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the event times of numbers, in some disorder."""
    return BEGIN_US + (found + found * 7_919 % 500) * STEP_US


def hook(where: str) -> None:
    """Do nothing: a test puts a fault in its place."""


class _Batches(RestrictionProvider):
    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        return int(restriction.size())


_FIRST = ManualWatermarkEstimator.default_provider()
_PLACES = _Batches()


class Read(beam.DoFn):
    """Emit batches, some at a call; acknowledge when the runner says that they are safe.

    Args:
        ledger: the file that has a line for each acknowledged batch.
    """

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: int,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
        tracker: Any = beam.DoFn.RestrictionParam(_PLACES),
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(_FIRST),
    ) -> Iterator[TimestampedValue]:
        start = tracker.current_restriction().start
        if start < acknowledged(self._ledger):
            raise AssertionError(f"batch {start} was acknowledged, and comes again")
        for place in range(start, min(start + CALL_BATCHES, element)):
            if not tracker.try_claim(place):
                return
            hook("read")
            found = numbers(place * BATCH, (place + 1) * BATCH)
            times = times_us(found)
            arrays = [pa.array(found), pa.array(times).cast(SCHEMA.field("at").type)]
            batch = Batch(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
            yield TimestampedValue(batch, Timestamp(micros=int(times.min())))
            end = (place + 1) * BATCH * STEP_US + BEGIN_US - DISORDER_US
            estimator.set_watermark(Timestamp(micros=end))
            finalizer.register(_Acknowledge(self._ledger, place))
        if start + CALL_BATCHES < element:
            tracker.defer_remainder()
        else:
            tracker.try_claim(element)


@dataclass
class _Acknowledge:
    ledger: str
    place: int

    def __call__(self) -> None:
        hook("acknowledge")
        handle = os.open(self.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, b"%d\n" % self.place)
        os.close(handle)
        hook("acknowledged")


def acknowledged(ledger: str | Path) -> int:
    """Return how many batches were acknowledged."""
    if not os.path.exists(ledger):
        return 0
    return max(map(int, Path(ledger).read_text().split()), default=-1) + 1


class ByKey(beam.DoFn):
    """Take a batch apart: a value of a key is its numbers' count and sum, in their windows."""

    def process(self, element: Batch) -> Iterator[TimestampedValue]:
        hook("by key")
        found = element.column("n").to_numpy()
        times = times_us(found)
        for key in range(KEYS):
            of_key = found % KEYS == key
            for window in np.unique(times[of_key] // WINDOW_US):
                chosen = found[of_key & (times // WINDOW_US == window)]
                value = (len(chosen), int(chosen.sum()))
                yield TimestampedValue(
                    (f"k{key}", value), Timestamp(micros=int(times_us(chosen).min()))
                )


WINDOW_US = 20_000_000
_COUNT = CombiningValueStateSpec("count", sum)
_SUMS = BagStateSpec("sums", beam.coders.VarIntCoder())
_END = TimerSpec("end", TimeDomain.WATERMARK)


class Total(beam.DoFn):
    """Add up in state, and say the total when the window is over."""

    def process(
        self,
        element: tuple[str, tuple[int, int]],
        window: Any = beam.DoFn.WindowParam,
        count: Any = beam.DoFn.StateParam(_COUNT),
        sums: Any = beam.DoFn.StateParam(_SUMS),
        end: Any = beam.DoFn.TimerParam(_END),
    ) -> None:
        hook("total")
        count.add(element[1][0])
        sums.add(element[1][1])
        end.set(window.end)

    @on_timer(_END)
    def say(
        self,
        key: str = beam.DoFn.KeyParam,
        count: Any = beam.DoFn.StateParam(_COUNT),
        sums: Any = beam.DoFn.StateParam(_SUMS),
    ) -> Iterator[tuple[str, tuple[int, int]]]:
        """Emit the total and forget it."""
        hook("timer")
        yield key, (count.read(), sum(sums.read()))
        count.clear()
        sums.clear()


class WriteFile(beam.DoFn):
    """Write each element, of a key in a window, to a file of its own.

    A retry may write a file again, with the same content; with another it is an error.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(
        self, element: tuple[str, Any], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[str]:
        hook("write")
        key, value = element
        path = Path(self._folder) / f"{window.start.micros}-{key}"
        text = json.dumps(
            value if isinstance(value, tuple) else list(map(sum, zip(*value, strict=True)))
        )
        if path.exists() and path.read_text() != text:
            raise AssertionError(f"{path} is {path.read_text()}, and should become {text}")
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)
        yield str(path)


@dataclass(frozen=True)
class Job:
    """One job: its folder has state, lake, files and ledger.

    Attributes:
        folder: of this job alone.
        count: how many numbers it reads.
        variant: ``without totals`` or ``with more``, a step with state: what its code may become;
            ``delta`` or ``iceberg``: the lake is such a table.
    """

    folder: str
    count: int
    variant: str = ""

    @property
    def state(self) -> Path:
        return Path(self.folder) / "state"

    @property
    def ledger(self) -> Path:
        return Path(self.folder) / "ledger"

    def build(self, pipeline: beam.Pipeline) -> None:
        """Add the steps."""
        for name in ("totals", "groups"):
            (Path(self.folder) / name).mkdir(parents=True, exist_ok=True)
        batches = (
            pipeline
            | "Start" >> beam.Create([self.count // BATCH], reshuffle=False)
            | "Read" >> beam.ParDo(Read(str(self.ledger))).with_output_types(Batch)
        )
        rows = (batches | "Window" >> Windowing(Fixed(WINDOW_US / 1e6), column("at"))).ok
        unique = rows | "Deduplicate" >> Deduplicate(column("n"), 1_000)
        table = TABLES.get(self.variant)
        unique | "Lake" >> lake.Write(f"{self.folder}/lake", job="numbers", table=table)
        pairs = (
            batches
            | "ByKey" >> beam.ParDo(ByKey()).with_output_types(tuple[str, tuple[int, int]])
            | "Windows" >> beam.WindowInto(FixedWindows(WINDOW_US // 1_000_000))
        )
        if self.variant != "without totals":
            self._add_totals(pairs)
        if self.variant == "with more":
            _ = pairs | "More" >> beam.ParDo(Total()).with_output_types(tuple[str, tuple[int, int]])
        _ = (
            pairs
            | "Group" >> beam.GroupByKey()
            | "WriteGroups" >> beam.ParDo(WriteFile(f"{self.folder}/groups"))
        )

    def _add_totals(self, pairs: beam.PCollection) -> None:
        _ = (
            pairs
            | "Total" >> beam.ParDo(Total()).with_output_types(tuple[str, tuple[int, int]])
            | "Stable" >> beam.Reshuffle()
            | "WriteTotals" >> beam.ParDo(WriteFile(f"{self.folder}/totals"))
        )

    def results(self) -> dict[str, list[Any]]:
        """Return all files but those of the state: the sorted rows of Parquet, or the text."""
        folder = Path(self.folder)
        found: dict[str, list[Any]] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.suffix == ".parquet":
                found[name] = sorted(pq.read_table(path, partitioning=None)["n"].to_pylist())
            elif path.is_file() and name.startswith(("totals/", "groups/")):
                found[name] = [path.read_text()]
            elif path.is_file() and name.startswith("lake/") and "_lake-" not in name:
                found[name] = []
        return found


def assert_right(results: dict[str, list[Any]], batches: int) -> None:
    """Check the results of so many batches against the formula."""
    rows, totals = expected(batches)
    in_lake = [row for name, found in results.items() if ".parquet" in name for row in found]
    assert sorted(in_lake) == rows
    for kind in ("totals/", "groups/"):
        texts = {
            name.removeprefix(kind): found
            for name, found in results.items()
            if name.startswith(kind)
        }
        assert texts == {name: [str(total)] for name, total in totals.items()}


def expected(batches: int) -> tuple[list[int], dict[str, list[int]]]:
    """Return the rows of the lake, and count and sum by file of totals or groups."""
    found = numbers(0, batches * BATCH)
    totals: dict[str, list[int]] = {}
    windows = times_us(found) // WINDOW_US
    for window in np.unique(windows):
        for key in range(KEYS):
            chosen = found[(windows == window) & (found % KEYS == key)]
            totals[f"{window * WINDOW_US}-k{key}"] = [len(chosen), int(chosen.sum())]
    return np.unique(found).tolist(), totals
