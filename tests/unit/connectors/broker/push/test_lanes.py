"""Which pushes may run beside each other."""

from typing import Any

from connectors.broker.push.lanes import Lanes, Pushed


def pushed(position: int, key: str = "") -> Pushed:
    """Return a leased message."""
    message: dict[str, Any] = {"ordering_key": key}
    return Pushed(position, 1, None, message)


def drain(lanes: Lanes) -> list[int]:
    """Return the positions that may be sent now."""
    found = []
    while (each := lanes.next()) is not None:
        found.append(each.position)
    return found


def test_one_message_of_a_key_goes_at_a_time() -> None:
    """Others, and those without a key, go beside it."""
    lanes = Lanes(ordered=True)
    many = [pushed(0, "a"), pushed(1, "b"), pushed(2, "a"), pushed(3), pushed(4, "a")]
    for each in many:
        lanes.add(each)
    assert drain(lanes) == [0, 1, 3]
    lanes.done(many[3])
    assert drain(lanes) == []
    lanes.done(many[0])
    assert drain(lanes) == [2]
    lanes.done(many[2])
    assert drain(lanes) == [4]
    lanes.done(many[4])
    lanes.add(pushed(5, "a"))
    assert drain(lanes) == [5]


def test_failure_takes_those_behind_it_along() -> None:
    """They must not overtake it."""
    lanes = Lanes(ordered=True)
    first, second, third = pushed(0, "a"), pushed(1, "a"), pushed(2, "a")
    for each in (first, second, third):
        lanes.add(each)
    assert drain(lanes) == [0]
    assert lanes.failed(first) == [second, third]
    lanes.add(first)
    assert drain(lanes) == [0]


def test_keys_mean_nothing_without_ordering() -> None:
    """As in the service, where it is an option of the subscription."""
    lanes = Lanes(ordered=False)
    for position in range(3):
        lanes.add(pushed(position, "a"))
    assert drain(lanes) == [0, 1, 2]
    assert lanes.failed(pushed(0, "a")) == []
