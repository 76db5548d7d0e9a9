"""Leases are extended until the keeper is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import grpc

from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.keeper import LeaseKeeper
from tests.fake_grpc import Refusal

PATIENCE_S = 10.0


class Recorder:
    """A subscription that notes what is extended; ``answer`` says what is still held."""

    def __init__(self, answer: Callable[[Sequence[str]], Sequence[str]]) -> None:
        self.extended: list[list[str]] = []
        self.turn = threading.Condition()
        self._answer = answer

    def extend(self, leases: Sequence[str]) -> Sequence[str]:
        """Note the turn."""
        with self.turn:
            self.extended.append(list(leases))
            self.turn.notify_all()
        return self._answer(leases)

    def wait_for(self, turns: int) -> None:
        """Wait until so many turns were taken."""
        with self.turn:
            assert self.turn.wait_for(lambda: len(self.extended) >= turns, PATIENCE_S)

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Not used by a keeper."""
        return Delivery(NOTHING, None, 0, 0)

    leases_last = True
    asked = answered = 0

    def poll(self, messages_max: int, wait_s: float, open_s: float) -> Delivery | None:
        """Not used by a keeper."""
        return None

    def acknowledge(self, leases: Sequence[str]) -> None:
        """Not used by a keeper."""

    def release(self, leases: Sequence[str]) -> None:
        """Not used by a keeper."""

    def close(self) -> None:
        """Not used by a keeper."""


def test_leases_are_extended_again_and_again() -> None:
    """Every turn extends all leases, those that came later too; none before the first lease."""
    subscription = Recorder(lambda leases: leases)
    keeper = LeaseKeeper(subscription, 0.03)
    keeper.hold("a")
    subscription.wait_for(2)
    keeper.hold("b")
    seen = len(subscription.extended)
    subscription.wait_for(seen + 2)
    keeper.stop()
    assert subscription.extended[0] == ["a"]
    assert subscription.extended[-1] == ["a", "b"]


def test_expired_leases_are_extended_no_more() -> None:
    """A lease that the server no longer holds is left alone; the others live on."""
    subscription = Recorder(lambda leases: [lease for lease in leases if lease != "gone"])
    keeper = LeaseKeeper(subscription, 0.03)
    for lease in ("gone", "a"):
        keeper.hold(lease)
    subscription.wait_for(3)
    keeper.stop()
    assert subscription.extended[-1] == ["a"]


def test_leases_that_were_dropped_are_extended_no_more() -> None:
    """By identity: an equal lease that came later is held on, and an unknown one is no error."""
    subscription = Recorder(lambda leases: leases)
    keeper = LeaseKeeper(subscription, 0.03)
    first, second = "".join(["le", "ase"]), "".join(["le", "ase"])
    keeper.hold(first)
    keeper.hold(second)
    subscription.wait_for(1)
    keeper.drop([first, "unknown"])
    seen = len(subscription.extended)
    subscription.wait_for(seen + 2)
    keeper.stop()
    assert subscription.extended[0] == ["lease", "lease"]
    assert subscription.extended[-1] == ["lease"]


def test_an_outage_does_not_end_the_keeper() -> None:
    """After an error the next turn extends the same leases again."""
    failed: list[bool] = []

    def answer(leases: Sequence[str]) -> Sequence[str]:
        if not failed:
            failed.append(True)
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        return leases

    subscription = Recorder(answer)
    keeper = LeaseKeeper(subscription, 0.03)
    keeper.hold("a")
    subscription.wait_for(3)
    keeper.stop()
    assert subscription.extended[:3] == [["a"]] * 3


def test_a_stopped_keeper_extends_nothing() -> None:
    """After stop() the server hears nothing more."""
    subscription = Recorder(lambda leases: leases)
    keeper = LeaseKeeper(subscription, 0.03)
    keeper.hold("a")
    subscription.wait_for(1)
    keeper.stop()
    turns = len(subscription.extended)
    with subscription.turn:
        assert not subscription.turn.wait_for(lambda: len(subscription.extended) > turns, 0.1)
