"""Durations: reading, writing, and what is refused."""

import pytest

from transforms.duration import format_duration, parse_duration, whole_millis
from transforms.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("1d", 86400.0), ("0s", 0.0)],
)
def test_parse(text: str, seconds: float) -> None:
    """Each unit is read as seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-5m", "+5m", "1.5h", "5 m", "5M", "1h30m", "5min", "٣s", "1e3s", " 5s"]
)
def test_parse_refuses(text: str) -> None:
    """Anything but a whole number and one unit is refused, with the parameter's name."""
    with pytest.raises(ConfigError, match="must be a whole number and a unit") as caught:
        parse_duration(text, "allowed_lateness")
    assert caught.value.name == "allowed_lateness"


def test_a_shorter_duration_than_the_least_is_refused() -> None:
    """In the terms in which it was written."""
    assert parse_duration("1ms", "window", least_ms=1) == 0.001
    with pytest.raises(ConfigError) as caught:
        parse_duration("0s", "window", least_ms=1)
    assert str(caught.value) == "window='0s': must be at least 1ms. Write for example 5m"


@pytest.mark.parametrize(
    "text", ["1ms", "1500ms", "1s", "90s", "1m", "90m", "1h", "36h", "2d", "0d"]
)
def test_format_is_the_shortest_text(text: str) -> None:
    """What is written is read as the same seconds, in the largest unit that fits."""
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("seconds", [0, -1, 0.0001, 1.0005, 59.9999])
def test_only_whole_milliseconds_are_windows(seconds: float) -> None:
    """Zero, negative and finer durations are refused."""
    with pytest.raises(ConfigError, match="whole number of milliseconds"):
        whole_millis("windows", seconds)


@pytest.mark.parametrize(("seconds", "millis"), [(1.001, 1001), (0.3, 300), (86400, 86_400_000)])
def test_milliseconds_survive_floating_point(seconds: float, millis: int) -> None:
    """Seconds that binary fractions can't hold come out exact."""
    assert whole_millis("windows", seconds) == millis
