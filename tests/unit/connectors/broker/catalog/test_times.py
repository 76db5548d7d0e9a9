"""Times of the API to microseconds and back."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from connectors.broker.catalog import times
from connectors.broker.errors import InvalidArgument


def test_times_survive_the_way_back() -> None:
    """To a microsecond."""
    shown = Timestamp()
    times.show(shown, 1_700_000_000_123_456)
    assert times.read_us("f", shown) == 1_700_000_000_123_456


def test_time_before_1970_is_the_beginning() -> None:
    """Nothing was published before."""
    assert times.read_us("f", Timestamp(seconds=-1, nanos=5)) == 0
    assert times.read_us("f", Timestamp(seconds=253_402_300_799)) == 253_402_300_799_000_000


@pytest.mark.parametrize("time", [
    Timestamp(seconds=253_402_300_800), Timestamp(seconds=-62_135_596_801), Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
])  # fmt: skip
def test_bad_times_are_refused(time: Timestamp) -> None:
    """The API knows the years 1 to 9999."""
    with pytest.raises(InvalidArgument, match=r"^Invalid f .* years 1 to 9999"):
        times.read_us("f", time)
