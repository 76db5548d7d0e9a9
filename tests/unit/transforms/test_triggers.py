"""Trigger presets: what they are, and how they are named."""

import pytest
from apache_beam.transforms.trigger import AfterCount, AfterProcessingTime, AfterWatermark

from transforms.errors import ConfigError
from transforms.triggers import at_watermark, early, parse_trigger


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


@pytest.mark.parametrize(
    "text", ["", "late", "early", "early:", "early:0s", "early:1500ms", "at_watermark:5s"]
)
def test_parse_refuses(text: str) -> None:
    """Unknown names and missing times are refused."""
    with pytest.raises(ConfigError):
        parse_trigger(text)
