"""How fast messages go out."""

import copy
import datetime as dt
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.pubsub.pace import AsPublished, Pace, Rate, Wait
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import MESSAGE_SCHEMA

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def at(*seconds: float | None) -> Batch:
    """Return messages that were published so many seconds after the start."""
    times = [None if s is None else START + dt.timedelta(seconds=s) for s in seconds]
    kind = MESSAGE_SCHEMA.field("publish_time").type
    rows = message_batch([b"x"] * len(times))
    return rows.with_column("publish_time", pa.array(times, kind))


class Clock:
    """Time that passes when someone waits."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds

    def read(self) -> float:
        return self.now_s


def sent(pace: Pace, batches: Sequence[Batch], stalls_s: Sequence[float] = ()) -> list[float]:
    """Return when each message goes out, in seconds since the beginning.

    The server stalls after the first parts for so long.
    """
    clock = Clock()
    stalls = iter(stalls_s)
    wait = Wait(pace, clock.read, clock.sleep)
    wait.setup()
    found, ids = [], []
    for batch in batches:
        for part in wait.process(batch):
            found += [round(clock.now_s - 1_000, 6)] * len(part)
            ids += part.column("message_id").to_pylist()
            clock.now_s += next(stalls, 0.0)
    assert ids == [name for batch in batches for name in batch.column("message_id").to_pylist()]
    return found


def test_rate_is_even() -> None:
    """Messages go out in tenths of a second, at the rate from the first one on."""
    times = sent(Rate(100), [message_batch([b"x"] * 50)])
    assert times == [tenth / 10 for tenth in range(5) for _ in range(10)]


def test_slow_rate_sends_one_by_one() -> None:
    """Less than ten a second are single messages."""
    assert sent(Rate(0.5), [message_batch([b"x"] * 2), message_batch([b"x"])]) == [0, 2, 4]


def test_lost_time_is_not_made_up_for() -> None:
    """After a server that stalls there is no burst above the rate, within a batch or behind it."""
    batch = message_batch([b"x"] * 30)
    times = sorted(set(sent(Rate(100), [batch, batch], [0, 5, 0, 5])))
    assert times == [0, 0.1, 5.1, 5.2, 10.2, 10.3]


def test_original_pace() -> None:
    """Messages have the distances of their publish times, over the edges of batches too."""
    batches = [at(0, 1, 3), at(3.5, 10)]
    assert sent(AsPublished(), batches) == [0, 1, 3, 3.5, 10]
    assert sent(AsPublished(10), batches) == [0, 0.1, 0.3, 0.35, 1]


def test_messages_that_are_close_go_together() -> None:
    """Within a tenth of a second they share a request."""
    assert sent(AsPublished(), [at(0, 0.05, 0.099, 0.11, 0.2)]) == [0, 0, 0, 0.11, 0.11]


def test_late_messages_go_at_once() -> None:
    """What should have gone out while the server stalled follows without waiting."""
    assert sent(AsPublished(), [at(0, 1, 2, 5)], [2.5]) == [0, 2.5, 2.5, 5]


@pytest.mark.parametrize(
    ("batch", "times"),
    [
        (at(None, None), [0, 0]),
        (at(0, None, 2), [0, 0, 2]),
        (at(None, 0, 2), [0, 0, 2]),
        (at(5, 4, 6), [0, 0, 1]),
    ],
)
def test_time_that_is_missing_or_goes_back_is_that_before(batch: Batch, times: list[float]) -> None:
    """No message is lost or overtakes another, whatever its time."""
    assert sent(AsPublished(), [batch]) == times


PACES = st.builds(Rate, st.floats(0.1, 1e6)) | st.builds(AsPublished, st.floats(0.1, 1e6))
SECONDS = st.lists(st.none() | st.floats(0, 1e5), max_size=30)


@given(PACES, st.lists(SECONDS, max_size=4))
def test_every_message_goes_out_once_in_order(
    pace: Pace, batches: list[list[float | None]]
) -> None:
    """Whatever the pace and the times."""
    times = sent(pace, [at(*seconds) for seconds in batches])
    assert times == sorted(times)


@pytest.mark.parametrize("pace", [Rate, AsPublished])
@pytest.mark.parametrize("number", [0, -1, float("nan")])
def test_pace_must_be_above_nothing(pace: type, number: float) -> None:
    """Nothing would ever go out."""
    with pytest.raises(ConfigError, match="must be above 0"):
        pace(number)


@pytest.mark.parametrize("pace", [Rate(10), AsPublished(1)])
def test_instances_of_a_process_share_the_pace(pace: Pace) -> None:
    """However many instances a runner makes of the step, the job goes no faster."""
    clock = Clock()
    first = Wait(pace, clock.read, clock.sleep)
    second = copy.copy(first)  # as a runner has it, which decodes the step twice
    for instance in (first, second):
        instance.setup()
        for part in instance.process(at(*(0.1 * number for number in range(10)))):
            assert len(part)
    took_s = clock.now_s - 1_000
    assert took_s == pytest.approx(1.9 if isinstance(pace, Rate) else 0.9, abs=0.11)
