"""How far a job has come, as its result tells."""

import time
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from runners.local import LocalRunner


def count(element: int) -> Any:
    Metrics.counter("tests", "seen").inc()
    Metrics.counter("others", "seen").inc(10)
    Metrics.gauge("tests", "latest").set(element)
    Metrics.distribution("tests", "sizes").update(element)
    return element


def test_counters_are_summed_and_gauges_are_not() -> None:
    """Counters of one name add up over all steps; a gauge is what was measured last."""
    pipeline = beam.Pipeline(runner=LocalRunner())
    numbers = pipeline | beam.Create([7, 7]) | "A" >> beam.Map(count)
    numbers | "B" >> beam.Map(count)
    progress = pipeline.run().progress()
    assert progress.numbers == {
        ("tests", "seen"): 4,
        ("others", "seen"): 40,
        ("tests", "latest"): 7,
    }
    assert progress.epoch > 0


def test_pipeline_without_source_has_no_watermark() -> None:
    """Where all input was given at once, there is no event time to wait for."""
    pipeline = beam.Pipeline(runner=LocalRunner())
    pipeline | beam.Create([1])
    assert pipeline.run().progress().watermark_us is None


def test_time_of_the_numbers_is_that_of_the_last_epoch() -> None:
    """Who divides numbers by time needs to know when they were true, not when it asked."""
    began_s = time.monotonic()
    pipeline = beam.Pipeline(runner=LocalRunner())
    pipeline | beam.Create([1])
    result = pipeline.run()
    ended_s = time.monotonic()
    time_s = result.progress().time_s
    assert began_s < time_s < ended_s
    assert result.progress().time_s == time_s
