"""The restriction: how it is stored, claimed and split."""

from __future__ import annotations

import pickle

import msgspec
import pytest

from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.reading import (
    VERSION,
    Claim,
    Reading,
    ReadingCoder,
    ReadingTracker,
    Unsettled,
)
from transforms.errors import PermanentError

LISTED = (Unsettled(1, 2, b"messages", ("lease",)), Unsettled(3, 4, b"more"))


class Call:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.accepted: list[Delivery] = []

    def accept(self, delivery: Delivery) -> None:
        """Note it."""
        self.accepted.append(delivery)

    def rest(self) -> Reading:
        """List one bundle for each delivery."""
        return Reading(tuple(Unsettled(number, 0, b"") for number in range(len(self.accepted))))


def test_a_reading_is_stored_and_read_back() -> None:
    """Equal readings have equal bytes, and few of them; the coder can be pickled, as Beam does."""
    reading = Reading(LISTED, ending=True, steps=((1, 2), (3, 4)))
    coder = pickle.loads(pickle.dumps(ReadingCoder()))
    assert coder == ReadingCoder()
    assert coder.decode(coder.encode(reading)) == reading
    assert coder.is_deterministic()
    assert len(coder.encode(Reading())) < 8


def test_the_state_of_a_later_version_is_refused() -> None:
    """It is not guessed at: the version is named."""
    later = ReadingCoder().encode(Reading(version=VERSION + 1))
    with pytest.raises(PermanentError, match=rf"version {VERSION + 1}"):
        ReadingCoder().decode(later)


def test_the_rest_lists_what_was_claimed() -> None:
    """A split is made between two deliveries; what comes after it is not this call's."""
    tracker, call = ReadingTracker(Reading(LISTED)), Call()
    delivery = Delivery(NOTHING, None, None, None)
    assert tracker.try_claim(Claim(call))
    assert tracker.try_claim(Claim(call, delivery))
    primary, residual = tracker.try_split(0) or pytest.fail("it can be split")
    assert primary == tracker.current_restriction()
    assert residual == Reading((Unsettled(0, 0, b""),))
    assert not tracker.try_claim(Claim(call, delivery))
    assert call.accepted == [delivery]
    assert tracker.try_split(0) is None
    assert tracker.check_done()


def test_a_call_that_has_not_begun_leaves_everything() -> None:
    """Split before the first claim, the rest is the whole."""
    reading = Reading(LISTED)
    assert ReadingTracker(reading).try_split(0) == (reading, reading)


def test_nobody_knows_where_half_of_it_is() -> None:
    """Only the end of what was claimed is a place to split at."""
    tracker = ReadingTracker(Reading())
    assert tracker.try_split(0.5) is None
    assert not tracker.is_bounded()
    assert tracker.current_progress().completed_work == 0


def test_a_call_must_not_end_without_a_rest() -> None:
    """Unless the job drains, there is always more."""
    with pytest.raises(ValueError, match="without end"):
        ReadingTracker(Reading()).check_done()
    assert ReadingTracker(Reading(ending=True)).check_done()


def test_fields_are_in_a_fixed_order() -> None:
    """What is stored is read by position: a field may be added at the end, none moved."""
    assert Reading.__struct_fields__ == ("unsettled", "ending", "steps", "version")
    assert Unsettled.__struct_fields__ == ("id", "since_us", "messages", "leases")
    assert msgspec.msgpack.decode(ReadingCoder().encode(Reading())) == [[], False, [], VERSION]
