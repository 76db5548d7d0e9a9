"""Many ordering keys, and long ones: what the property tests are too small for."""

import numpy as np
import pytest

from connectors.broker.backlog import Backlog


def publish(keys: list[int], count: int = 1) -> Backlog:
    """Return an ordered backlog with one publish per key."""
    backlog = Backlog(0, ordered=True)
    for key in keys:
        backlog.extend_to(backlog.end + count, key)
    return backlog


def drain(backlog: Backlog, count_max: int) -> list[int]:
    """Lease and ack until nothing is left; return the positions in their order."""
    seen: list[int] = []
    while backlog.ready:
        positions = backlog.peek(count_max)
        backlog.take(positions, np.ones(positions.size), 0.0, 10.0, generation=1)
        backlog.ack(backlog.settle(positions))
        seen += positions.tolist()
    return seen


@pytest.mark.parametrize("count_max", [1, 7, 1_000])
def test_oldest_goes_first_over_all_keys(count_max: int) -> None:
    """Keys don't wait for each other, nor does one go ahead of the others."""
    keys = [1 + number * number % 11 for number in range(500)]
    assert drain(publish(keys, 3), count_max) == list(range(1_500))


def test_key_that_is_done_leaves_nothing() -> None:
    """A broker sees more keys in its life than it could remember."""
    backlog = publish(list(range(1, 1_000)))
    drain(backlog, 100)
    assert backlog.waiting == backlog.leased == 0
    assert not backlog._ordering._queues  # memory shows nowhere else


def test_held_key_hides_its_backlog() -> None:
    """A lease does not look at what is behind a key that is held, however much it is."""
    backlog = publish([1] * 2_000)
    first = backlog.peek(1)
    backlog.take(first, np.ones(1), 0.0, 10.0, generation=1)
    assert (backlog.ready, backlog.waiting) == (0, 1_999)
    assert backlog.peek(10).size == 0
    backlog.nack(first, 1, 0.0)
    assert backlog.peek(3).tolist() == [0, 1, 2]


def test_peek_changes_nothing() -> None:
    """What is not taken is there the next time, in its order."""
    backlog = publish([1, 2, 1, 3])
    for count in (1, 4, 2, 4):
        assert backlog.peek(count).tolist() == list(range(count))


def test_late_ack_that_can_not_be_written_holds_nothing_up() -> None:
    """One from before a restart, of what has not been leased since."""
    backlog = publish([1, 1])
    settled = backlog.settle(np.array([0]))
    backlog.unsettle(settled)
    assert backlog.expire(0.0) == 1
    assert backlog.peek(2).tolist() == [0, 1]
