"""GroupByKey on the local runner: what whole pipelines see of it."""

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import trigger
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from runners.local import LocalRunner

PipelineOf = Callable[..., Pipeline]


def pipeline_on(runner: Any, *argv: str) -> Pipeline:
    return Pipeline(runner=runner, options=PipelineOptions(list(argv)))


# --- bounded input ------------------------------------------------------------------------------


def panes_of(pipeline: Pipeline, windowing: Any) -> None:
    """Group numbers that come in several bundles, and check that nobody sees which."""
    numbers = [
        pipeline
        | f"Number{part}" >> beam.Create([part])
        | f"Time{part}" >> beam.Map(lambda number: TimestampedValue(("k", number), number))
        for part in range(6)
    ]
    grouped = tuple(numbers) | beam.Flatten() | windowing | beam.GroupByKey()
    panes = grouped | beam.MapTuple(lambda key, values: (key, sorted(values)))
    assert_that(panes, equal_to([("k", [0, 1, 2]), ("k", [3, 4, 5])]))


@pytest.mark.parametrize("runner", [FnApiRunner, LocalRunner])
@pytest.mark.parametrize(
    "repeated",
    [trigger.AfterCount(1), trigger.AfterCount(2), trigger.Always()],
)
def test_panes_of_bounded_input_follow_from_the_windows(runner: Any, repeated: Any) -> None:
    """In batch a trigger sees all of a window at once, however bundles part it."""
    windowing = beam.WindowInto(
        FixedWindows(3),
        trigger=trigger.Repeatedly(repeated),
        accumulation_mode=trigger.AccumulationMode.DISCARDING,
    )
    with pipeline_on(runner()) as p:
        panes_of(p, windowing)


def test_clock_fires_nothing_of_bounded_input() -> None:
    """A delay of processing time, however short, parts no pane: a slow machine changes nothing."""
    windowing = beam.WindowInto(
        FixedWindows(3),
        trigger=trigger.Repeatedly(trigger.AfterProcessingTime(0)),
        accumulation_mode=trigger.AccumulationMode.DISCARDING,
    )
    with pipeline_on(LocalRunner()) as p:
        panes_of(p, windowing)


# --- two readers --------------------------------------------------------------------------------


def test_two_stages_read_the_panes() -> None:
    """A large group, whose values are read by need, comes whole to each of two stages.

    They can't be one: the second needs what the first has counted as its side input.
    """
    value, count = bytes(1 << 16), 32
    with pipeline_on(LocalRunner()) as p:
        grouped = (
            p | beam.Create(range(count)) | beam.Map(lambda _: ("k", value)) | beam.GroupByKey()
        )
        first = grouped | "First" >> beam.MapTuple(lambda _, values: sum(map(len, values)))
        second = grouped | "Second" >> beam.Map(
            lambda group, side: (sum(map(len, group[1])), side),
            side=beam.pvalue.AsSingleton(first),
        )
        assert_that(second, equal_to([(count << 16, count << 16)]))
