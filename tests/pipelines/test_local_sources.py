"""Sources on the local runner that put out more than should wait in memory."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.core import RestrictionProvider

from runners.local import LocalRunner, splitter

MIB = 1 << 20
COUNT = 150


class Numbers(RestrictionProvider):
    """The numbers below ``COUNT``."""

    def initial_restriction(self, element: str) -> OffsetRange:
        """Return all of them."""
        del element
        return OffsetRange(0, COUNT)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Return Beam's."""
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: str, restriction: OffsetRange) -> int:
        """Return how many there are."""
        del element
        return restriction.size()


_TRACKER = beam.DoFn.RestrictionParam(Numbers())


class Large(beam.DoFn):
    """A MiB for each number, as long as nobody asks for the rest."""

    def process(
        self, element: str, tracker: Any = _TRACKER
    ) -> Iterator[tuple[str, tuple[int, bytes]]]:
        """Yield them under a name of the call."""
        del element
        call = secrets.token_hex(4)
        number = tracker.current_restriction().start
        while tracker.try_claim(number):
            yield call, (number, bytes(MIB))
            number += 1
            time.sleep(0.001)  # as a disk would need


class Note(beam.DoFn):
    """Writes down what has come, for a process that is another one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def process(self, element: tuple[str, tuple[int, bytes]]) -> None:
        """Add a line."""
        call, (number, _) = element
        with self._path.open("a") as file:
            file.write(f"{call} {number}\n")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_source_is_split_when_it_has_put_out_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """It need not take long: what it puts out waits in memory until its bundle ends."""
    monkeypatch.setattr(splitter, "SPLIT_AFTER_S", 1_000.0)
    monkeypatch.setattr(splitter, "OUTPUT_BYTES_MAX", 16 * MIB)
    seen = tmp_path / "seen"
    options = PipelineOptions([f"--workers={workers}", f"--state_dir={tmp_path / 'state'}"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(["all"], reshuffle=False)
            | beam.ParDo(Large())
            | beam.Reshuffle()
            | beam.ParDo(Note(seen))
        )
    calls, numbers = zip(*map(str.split, seen.read_text().splitlines()), strict=True)
    assert sorted(map(int, numbers)) == list(range(COUNT))
    assert len(set(calls)) > 1
