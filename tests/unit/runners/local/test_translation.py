"""What the runner adds to Beam's translation of a pipeline."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing import util
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    IntervalWindow,
    TimestampedValue,
)

from runners.local import LocalRunner


@pytest.mark.parametrize(
    ("order", "windows"),
    [
        (("whole", "fixed"), (GlobalWindow(), GlobalWindow())),
        (("fixed", "whole"), (IntervalWindow(0, 10), IntervalWindow(10, 20))),
    ],
)
def test_flatten_gives_all_elements_windows_of_one_kind(order: Any, windows: Any) -> None:
    """Beam lets such a pipeline through with a warning; the first input says which windows."""
    expected = [
        util.TestWindowedValue(value, time, [window])
        for value, time, window in zip("ab", (1, 12), windows, strict=True)
    ]
    with beam.Pipeline(runner=LocalRunner()) as pipeline:
        inputs = {
            "whole": pipeline | "Whole" >> beam.Create([TimestampedValue("a", 1)]),
            "fixed": pipeline
            | "Fixed" >> beam.Create([TimestampedValue("b", 12)])
            | beam.WindowInto(FixedWindows(10)),
        }
        flat = [inputs[name] for name in order] | beam.Flatten()
        util.assert_that(flat, util.equal_to(expected), reify_windows=True)
