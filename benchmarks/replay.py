"""``Replay``: a file of messages as an unbounded source, as fast as they are taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from benchmarks.workload import DISORDER_S
from transforms.batch import Batch
from transforms.field import message
from transforms.message import PUBLISH_TIME

__all__ = ["Replay"]

CALL_S = 0.2
"""One call goes on for so long, as that of the source that reads a subscription."""


class _Batches(RestrictionProvider):
    """The numbers of the batches of an Arrow IPC file."""

    def initial_restriction(self, element: str) -> OffsetRange:
        with pa.memory_map(element) as source, pa.ipc.open_file(source) as reader:
            return OffsetRange(0, reader.num_record_batches)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: str, restriction: OffsetRange) -> int:
        del element
        return restriction.size()


_TRACKER = beam.DoFn.RestrictionParam(_Batches())
_ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class Replay(beam.DoFn):
    """Path of a file of messages to its batches, in their order.

    The watermark stays as far behind the publish time as events arrive out of order. So no row
    is late, and windows close as they would if the messages arrived now.
    """

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: str,
        tracker: Any = _TRACKER,
        estimator: Any = _ESTIMATOR,
    ) -> Iterator[TimestampedValue]:
        """Yield batches for a short time; the rest is the next call's."""
        end_s = time.monotonic() + CALL_S
        with pa.memory_map(element) as source, pa.ipc.open_file(source) as reader:
            number = tracker.current_restriction().start
            while tracker.try_claim(number):
                messages = Batch(reader.get_batch(number))
                earliest_us, latest_us = _span_us(messages)
                yield TimestampedValue(messages, Timestamp(micros=earliest_us))
                estimator.set_watermark(Timestamp(micros=latest_us - DISORDER_S * 1_000_000))
                number += 1
                if time.monotonic() >= end_s:
                    tracker.defer_remainder()
                    return


def _span_us(messages: Batch) -> tuple[int, int]:
    """Return the earliest and the latest publish time."""
    span = pc.min_max(message(PUBLISH_TIME).of(messages))
    return span["min"].value, span["max"].value
