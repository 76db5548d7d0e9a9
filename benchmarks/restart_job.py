"""The job whose restart is measured: it fills the state of de-duplication, then goes on slowly.

    python -m benchmarks.restart_job KEYS FOLDER STATE_DIR

Each row after the first KEYS is written to the lake. With it comes one that is a duplicate, which
must not be there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from benchmarks.local import local_pipeline
from connectors import lake
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.field import column

__all__ = ["main"]

ROWS = 65_536
"""Rows of a batch while the state is filled."""
BATCHES_PER_CALL = 8
PAUSE_S = 0.05
EVERY_S = 0.05
HORIZON_S = 86_400.0
ENDLESS = 1 << 62
STRIDE = 999_983
"""A prime: every old key comes again one day."""


def main(keys: str, folder: str, state_dir: str) -> None:
    """Run the job until it is stopped."""
    pipeline = local_pipeline(Path(state_dir))
    rows = (
        pipeline
        | beam.Create([int(keys)], reshuffle=False)
        | "Keys" >> beam.ParDo(Keys()).with_output_types(Batch)
        | Deduplicate(column("key"), HORIZON_S)
        | "New" >> beam.FlatMap(wanted).with_output_types(Batch)
    )
    _ = rows | lake.Write(folder, every_s=EVERY_S)
    pipeline.run().wait_until_finish()


class _Numbers(RestrictionProvider):
    """All keys there ever will be."""

    def initial_restriction(self, element: int) -> OffsetRange:
        del element
        return OffsetRange(0, ENDLESS)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        del element, restriction
        return 1


_TRACKER = beam.DoFn.RestrictionParam(_Numbers())
_ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class Keys(beam.DoFn):
    """Number of keys to batches with a column ``key``, each key once: these, then one by one."""

    @beam.DoFn.unbounded_per_element()
    def process(
        self, element: int, tracker: Any = _TRACKER, estimator: Any = _ESTIMATOR
    ) -> Iterator[TimestampedValue]:
        """Yield a few batches, or one row and a pause."""
        estimator.set_watermark(Timestamp.now())
        first = tracker.current_restriction().start
        for _ in range(BATCHES_PER_CALL):
            end = min(first + ROWS, element) if first < element else first + 1
            if not tracker.try_claim(end - 1):
                return
            yield TimestampedValue(_batch(first, end, element), Timestamp.now())
            if end > element:
                tracker.defer_remainder(Duration(micros=round(PAUSE_S * 1_000_000)))
                return
            first = end
        tracker.defer_remainder()


def _batch(first: int, end: int, keys: int) -> Batch:
    """Return the keys from ``first`` on; behind all that fill the state, with an old one."""
    wanted = first >= keys
    numbers = np.array([first, first * STRIDE % keys]) if wanted else np.arange(first, end)
    return Batch(pa.record_batch({"key": numbers, "wanted": np.full(len(numbers), wanted)}))


def wanted(batch: Batch) -> Iterator[Batch]:
    """Yield the rows that came after the state was filled."""
    kept = batch.filter(batch.column("wanted"))
    if len(kept):
        yield kept


if __name__ == "__main__":
    main(*sys.argv[1:])
