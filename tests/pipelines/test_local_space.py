"""The disk that a job on the local runner takes: it falls again, whether the job is busy or not."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from runners.local import LocalRunner, space
from tests.processes import wait_until

MIB = 1 << 20
COUNT = 32
WINDOW_S = 60
LIMIT_S = 60.0
PAUSE_US = 20_000


class Numbers(RestrictionProvider):
    """Numbers without end."""

    def initial_restriction(self, element: str) -> OffsetRange:
        """Begin at zero."""
        del element
        return OffsetRange(0, 1 << 40)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Return Beam's."""
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: str, restriction: OffsetRange) -> int:
        """Return anything."""
        del element, restriction
        return 1

    def truncate(self, element: str, restriction: OffsetRange) -> None:
        """End where it is when the job is drained."""
        del element, restriction


_TRACKER = beam.DoFn.RestrictionParam(Numbers())
_ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class ThenIdle(beam.DoFn):
    """A window's worth of large values, then the end of the window, then nothing any more."""

    @beam.DoFn.unbounded_per_element()
    def process(
        self, element: str, tracker: Any = _TRACKER, estimator: Any = _ESTIMATOR
    ) -> Iterator[TimestampedValue]:
        """Yield the next value, if there is one."""
        number = tracker.current_restriction().start
        if number < COUNT and tracker.try_claim(number):
            yield TimestampedValue((element, bytes([number]) * MIB), 1)
            tracker.defer_remainder()
            return
        estimator.set_watermark(Timestamp(WINDOW_S * 2))
        tracker.defer_remainder(Duration(micros=PAUSE_US))


class Count(beam.DoFn):
    """Writes how many values a window has to a file, which outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def process(self, group: tuple[str, Iterable[bytes]]) -> None:
        """Write it."""
        self._path.write_text(str(sum(len(value) for value in group[1]) // MIB))


def disk_bytes(folder: Path) -> int:
    """Return what the files of a folder take of the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_an_idle_job_gives_back_what_a_window_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes after the window has closed, and the disk falls all the same."""
    monkeypatch.setattr(space, "LOG_BYTES_MAX", 2 * MIB)
    monkeypatch.setattr(space, "PAGES_KEPT", 64)
    monkeypatch.setattr(space, "PERIOD_S", 0.2)
    counted, state = tmp_path / "counted", tmp_path / "state/idle"
    options = PipelineOptions([f"--state_dir={tmp_path / 'state'}"], job_name="idle")
    pipeline = beam.Pipeline(runner=LocalRunner(), options=options)
    _ = (
        pipeline
        | beam.Create(["key"], reshuffle=False)
        | beam.ParDo(ThenIdle()).with_output_types(tuple[str, bytes])
        | beam.WindowInto(FixedWindows(WINDOW_S))
        | beam.GroupByKey()
        | beam.ParDo(Count(counted))
    )
    result = pipeline.run()
    try:
        wait_until(counted.exists, LIMIT_S)
        wait_until(lambda: disk_bytes(state) < 4 * MIB, LIMIT_S)
        assert counted.read_text() == str(COUNT)
        assert result.state == PipelineState.RUNNING
    finally:
        result.stop("drain")
        assert result.wait_until_finish() == PipelineState.DRAINED
    assert disk_bytes(state) < MIB
