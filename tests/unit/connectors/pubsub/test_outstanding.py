"""The rules of ``outstanding``, one by one; together they are in ``tests/property``."""

from __future__ import annotations

import weakref

import pytest

from connectors.pubsub.delivery import Delivery
from connectors.pubsub.outstanding import FORGET_S, Bundle, Outstanding
from connectors.pubsub.reading import Unsettled
from connectors.records import RETENTION_S
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import MESSAGE_ID

SECOND_US = 1_000_000
Listed = tuple[Unsettled, ...]


def delivery(lease: str, *numbers: int) -> Delivery:
    """Return messages with these ids."""
    batches = [message_batch([b"x"], number) for number in numbers]
    return Delivery(Batch.concat(batches), lease, None, None)


def ids(batch: Batch) -> list[str]:
    """Return the ids of messages."""
    return batch.column(MESSAGE_ID).to_pylist()


def call(
    outstanding: Outstanding, listed: Listed, *deliveries: Delivery, answered: int = 0
) -> tuple[Bundle, list[str], Listed]:
    """Make a call of process: return the bundle, the ids that it emits and what it lists."""
    bundle, _ = outstanding.begin(listed, 0)
    fresh = [each for one in deliveries for each in ids(outstanding.accept(bundle, one))]
    return bundle, fresh, outstanding.listed(bundle, answered, 0, idle=False)


@pytest.fixture
def ours() -> Outstanding:
    """Return the bundles of a reader of our broker."""
    return Outstanding(leases_last=True)


@pytest.fixture
def other() -> Outstanding:
    """Return the bundles of a reader of any other server."""
    return Outstanding(leases_last=False)


def test_messages_are_listed_until_all_answers_from_before_are_in(ours: Outstanding) -> None:
    """An answer may hold what was acknowledged while it was on its way."""
    bundle, fresh, listed = call(ours, (), delivery("a", 1, 2))
    assert fresh == ["1", "2"]
    ours.settled(ours.committed(bundle), asked=5)
    bundle, fresh, listed = call(ours, listed, answered=4)
    assert len(listed) == 1
    _, fresh, listed = call(ours, listed, delivery("b", 2, 3), answered=5)
    assert fresh == ["3"]
    assert [each.leases for each in listed] == [("b",)]


def test_an_empty_call_lists_nothing_and_owes_nothing(ours: Outstanding) -> None:
    """A source that is idle leaves no trace."""
    bundle, _, listed = call(ours, ())
    assert (listed, bundle.owes, ours.committed(bundle)) == ((), False, [])


def test_a_bundle_that_was_rolled_back_is_given_back_once(ours: Outstanding) -> None:
    """Its leases are returned by the next call that does not follow it, and then forgotten."""
    _, _, listed = call(ours, (), delivery("a", 1))
    assert len(listed) == 1
    _, released = ours.begin((), 0)
    assert released == ["a"]
    bundle, released = ours.begin((), 0)
    assert released == []
    assert ids(ours.accept(bundle, delivery("b", 1))) == ["1"]


def test_a_bundle_of_the_same_epoch_is_not_given_back(ours: Outstanding) -> None:
    """A runner may call several times before it commits."""
    first, _, listed = call(ours, (), delivery("a", 1))
    second, released = ours.begin(listed, 0)
    assert released == []
    assert second.follows == [first]


def test_what_was_not_acknowledged_is_tried_again_with_the_next(ours: Outstanding) -> None:
    """A failure costs nothing: the next bundle that is committed covers it."""
    first, _, listed = call(ours, (), delivery("a", 1))
    assert ours.committed(first) == [first]
    second, _, _ = call(ours, listed)
    assert not second.owes  # it is under way
    ours.failed([first])
    assert second.owes
    assert ours.committed(second) == [first]


def test_leases_that_last_are_acknowledged_by_the_next_process(ours: Outstanding) -> None:
    """What a process left is not acknowledged before the first commit of the next one."""
    _, _, listed = call(ours, (), delivery("a", 1), delivery("b", 2))
    after = Outstanding(leases_last=True)
    bundle, fresh, listed = call(after, listed, delivery("c", 2, 3))
    assert fresh == ["3"]
    due = after.committed(bundle)
    assert [each.leases for each in due] == [["a", "b"], ["c"]]
    after.settled(due, asked=0)
    assert call(after, listed)[2] == ()


def test_leases_that_do_not_last_are_waited_for(other: Outstanding) -> None:
    """A message is listed until it was seen again, each by itself."""
    _, _, listed = call(other, (), delivery("a", 1, 2, 3))
    after = Outstanding(leases_last=False)
    bundle, fresh, listed = call(after, listed, delivery("b", 2))
    assert fresh == []
    assert [each.leases for each in listed] == [(), ()]
    due = after.committed(bundle)
    assert [each.leases for each in due] == [["b"]]
    after.settled(due, asked=0)
    bundle, fresh, listed = call(after, listed, delivery("c", 1, 3))
    assert fresh == []
    after.settled(after.committed(bundle), asked=0)
    assert call(after, listed)[2] == ()


def test_what_a_rolled_back_call_has_seen_is_waited_for_again(other: Outstanding) -> None:
    """It was given back, and comes once more."""
    _, _, stored = call(other, (), delivery("a", 1, 2))
    after = Outstanding(leases_last=False)
    call(after, stored, delivery("b", 1))
    _, fresh, _ = call(after, stored, delivery("c", 1))
    assert fresh == []


@pytest.mark.parametrize(
    ("age_s", "idle", "kept"),
    [
        (FORGET_S + 1, False, True),
        (FORGET_S - 1, True, True),
        (FORGET_S + 1, True, False),
        (RETENTION_S + 1, False, False),
    ],
)
def test_nothing_is_waited_for_for_ever(
    other: Outstanding, age_s: float, idle: bool, kept: bool
) -> None:
    """What the server has had time to deliver, or no longer has, is forgotten."""
    _, _, listed = call(other, (), delivery("a", 1))
    after = Outstanding(leases_last=False)
    now_us = int(age_s * SECOND_US)
    bundle, _ = after.begin(listed, now_us)
    assert bool(after.listed(bundle, 0, now_us, idle=idle)) is kept


def test_a_delivery_of_known_messages_is_acknowledged_too(ours: Outstanding) -> None:
    """It has brought nothing, but the server has to be told."""
    _, _, listed = call(ours, (), delivery("a", 1))
    bundle, fresh, listed = call(ours, listed, delivery("b", 1))
    assert fresh == []
    assert bundle.owes
    assert [each.leases for each in listed] == [("a",), ("b",)]


def test_ids_that_begin_anew_are_told_apart_by_their_time(ours: Outstanding) -> None:
    """A server that has lost its data gives the same ids to other messages."""
    _, _, listed = call(ours, (), delivery("a", 1))
    again = message_batch([b"x"], 1).with_column(
        "publish_time", message_batch([b"x"], 2).column("publish_time")
    )
    _, fresh, _ = call(ours, listed, Delivery(again, "b", None, None))
    assert fresh == ["1"]


def test_closing_gives_back_what_nobody_acknowledges(ours: Outstanding) -> None:
    """An open bundle is given back; one whose acknowledgement is under way is not."""
    first, _, listed = call(ours, (), delivery("a", 1))
    ours.committed(first)
    call(ours, listed, delivery("b", 2))
    assert ours.open_leases() == ["b"]


def test_what_is_over_is_forgotten(ours: Outstanding) -> None:
    """No bundle holds on to the one before it, that to the one before it, and so to all."""
    first, _, listed = call(ours, (), delivery("a", 1))
    over = weakref.ref(first)
    ours.settled(ours.committed(first), asked=0)
    del first
    for number in range(2, 4):
        bundle, _, listed = call(ours, listed, delivery(f"b{number}", number), answered=1)
        ours.settled(ours.committed(bundle), asked=0)
    assert over() is None
