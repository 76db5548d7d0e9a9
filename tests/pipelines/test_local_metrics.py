"""Metrics of pipelines on the local runner: what idle sources count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.utils.timestamp import Duration

from runners.local import LocalRunner
from runners.local.result import LocalResult
from tests.processes import wait_until

POLLS = ("idle", "polls")


class Idle(RestrictionProvider):
    """Ends after as many polls as the element says."""

    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        return 1


IDLE = Idle()


class Poll(beam.DoFn):
    """Asks, counts that it has asked, and never gets anything."""

    polls = Metrics.counter(*POLLS)

    @beam.DoFn.unbounded_per_element()
    def process(
        self, _element: int, tracker: Any = beam.DoFn.RestrictionParam(IDLE)
    ) -> Iterator[int]:
        if tracker.try_claim(tracker.current_restriction().start):
            self.polls.inc()
            tracker.defer_remainder(Duration(micros=1_000))
        yield from ()


def polling(polls: int, *argv: str) -> LocalResult:
    """Start a job that polls so often."""
    pipeline = beam.Pipeline(runner=LocalRunner(), options=PipelineOptions(list(argv)))
    _ = pipeline | beam.Create([polls]) | beam.ParDo(Poll())
    result: LocalResult = pipeline.run()
    return result


def polls_of(result: LocalResult) -> int:
    return result.progress().numbers.get(POLLS, 0)


@pytest.mark.parametrize("argv", [(), ("--workers=2",)])
def test_epochs_without_consequences_count(argv: tuple[str, ...]) -> None:
    """A source that is asked and has nothing costs no commit; what it counts is counted."""
    result = polling(20, *argv)
    assert result.wait_until_finish(60_000) == "DONE"
    assert polls_of(result) == 20


def test_idle_job_shows_and_keeps_what_it_counts(tmp_path: Path) -> None:
    """The count rises while nothing is committed, and a suspended job goes on from it."""
    argv = (f"--state_dir={tmp_path}",)
    first = polling(1_000, *argv)
    wait_until(lambda: polls_of(first) > 5, 60)
    first.stop("suspend")
    counted = polls_of(first)
    assert counted < 1_000
    second = polling(1_000, *argv)
    assert polls_of(second) >= counted
    assert second.wait_until_finish(60_000) == "DONE"
    assert polls_of(second) == 1_000
