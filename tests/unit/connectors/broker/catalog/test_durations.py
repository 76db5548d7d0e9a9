"""Durations of the API to seconds and back."""

import pytest
from google.protobuf.duration_pb2 import Duration

from connectors.broker.catalog import durations
from connectors.broker.errors import InvalidArgument


@pytest.mark.parametrize(
    "seconds", [0.0, 0.1, 5.669, 600.0, 600.5, 2_678_400.0, 2_678_399.999999999]
)
def test_seconds_survive_the_way_back(seconds: float) -> None:
    """To a nanosecond: an update starts from what is shown."""
    shown = Duration()
    durations.show(shown, seconds)
    assert durations.checked_s("f", shown, 0) == seconds


@pytest.mark.parametrize(("duration", "limit"), [
    (Duration(seconds=9, nanos=999_999_999), "must be 10 to 20 s"),
    (Duration(seconds=20, nanos=1_000), "must be 10 to 20 s"),
    (Duration(seconds=-1), "must be 10 to 20 s"),
    (Duration(seconds=15, nanos=-1), "of the same sign"),
    (Duration(seconds=15, nanos=1_000_000_000), "nanos be below a second"),
    (Duration(seconds=2**62), "must be within 10,000 years"),
])  # fmt: skip
def test_bad_durations_are_refused(duration: Duration, limit: str) -> None:
    """Out of range, or none at all; both ends of the range are in it."""
    durations.checked_s("f", Duration(seconds=10), 10, 20)
    durations.checked_s("f", Duration(seconds=20), 10, 20)
    with pytest.raises(InvalidArgument, match=rf"^Invalid f \(.*{limit}"):
        durations.checked_s("f", duration, 10, 20)


def test_range_may_be_open() -> None:
    """The sentence does not speak of a limit that there is not."""
    assert durations.checked_s("f", Duration(seconds=10**9), 10) == 10**9
    with pytest.raises(InvalidArgument, match=r"\(9 s\): must be at least 10 s"):
        durations.checked_s("f", Duration(seconds=9), 10)
