"""Trigger presets: what they are, and how they are named."""

import pytest
from apache_beam.transforms.trigger import AfterCount, AfterProcessingTime, AfterWatermark

from transforms.errors import ConfigError
from transforms.triggers import at_watermark, early, every, parse_trigger


def test_presets_keep_late_batches() -> None:
    """Every preset fires again for every late batch."""
    assert at_watermark() == AfterWatermark(late=AfterCount(1))
    preset = early(10)
    assert isinstance(preset.early.underlying, AfterProcessingTime)
    assert preset.early.underlying.delay == 10
    assert preset.late == at_watermark().late


def test_parse() -> None:
    """The names of the command line give the presets."""
    assert parse_trigger("at_watermark") == at_watermark()
    assert parse_trigger("early:2m").early.underlying.delay == 120
    assert parse_trigger("early:100ms").early.underlying.delay == 0.1


def test_the_protocol_gets_milliseconds() -> None:
    """A delay of less than a second is told as it is; a runner may still cut it."""
    proto = every(0.25).to_runner_api(None)
    (told,) = proto.repeat.subtrigger.after_processing_time.timestamp_transforms
    assert told.delay.delay_millis == 250


@pytest.mark.parametrize("every_s", [0, -1, 0.0005])
def test_a_delay_is_some_whole_milliseconds(every_s: float) -> None:
    """Nothing, a negative time and finer ones are refused."""
    with pytest.raises(ConfigError):
        every(every_s)


@pytest.mark.parametrize("text", ["", "late", "early", "early:", "early:0s", "at_watermark:5s"])
def test_parse_refuses(text: str) -> None:
    """Unknown names and missing times are refused."""
    with pytest.raises(ConfigError):
        parse_trigger(text)
