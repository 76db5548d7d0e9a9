"""What comes too late is dropped as Beam says, and the log says so."""

import logging

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.userstate import BagStateSpec
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from runners.local import LocalRunner

_SEEN = BagStateSpec("seen", VarIntCoder())


class Counted(beam.DoFn):
    """A step with state."""

    def process(
        self,
        element: tuple[str, int],
        seen: beam.DoFn.StateParam = beam.DoFn.StateParam(_SEEN),  # type: ignore[valid-type]
    ) -> list[int]:
        """Give the value on."""
        seen.add(1)  # type: ignore[attr-defined]
        return [element[1]]


@pytest.mark.parametrize(
    ("step", "transform"),
    [
        ("Group", beam.GroupByKey() | beam.FlatMapTuple(lambda _, values: values)),
        ("Counted", beam.ParDo(Counted()).with_output_types(int)),
    ],
)
def test_step_that_drops_is_named(
    step: str, transform: beam.PTransform, caplog: pytest.LogCaptureFixture
) -> None:
    """One element is in time; the other one's window, of ten seconds, has expired long ago."""
    stream = (
        TestStream()
        .add_elements([TimestampedValue(1, 1)])
        .advance_watermark_to(100)
        .add_elements([TimestampedValue(2, 2)])
        .advance_watermark_to_infinity()
    )
    options = PipelineOptions(["--streaming"])
    with caplog.at_level(logging.WARNING), beam.Pipeline(LocalRunner(), options) as pipeline:
        kept = (
            pipeline
            | stream
            | beam.Map(lambda value: ("key", value)).with_output_types(tuple[str, int])
            | beam.WindowInto(FixedWindows(10))
            | step >> transform
        )
        assert_that(kept, equal_to([1]))
    (message,) = [each.getMessage() for each in caplog.records if "are dropped" in each.msg]
    assert message.startswith(f"step {step}")
