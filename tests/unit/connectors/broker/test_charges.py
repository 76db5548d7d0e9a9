"""What streams hold."""

import numpy as np

from connectors.broker.charges import Charges, Held


def test_owner_is_charged_and_relieved() -> None:
    """Messages and bytes; nobody is charged for owner 0."""
    charges = Charges()
    charges.charge(np.array([1, 2, 1, 0]), np.array([10, 20, 30, 40]))
    assert (charges.held(1), charges.held(2)) == (Held(2, 40), Held(1, 20))
    assert charges.held(0) == Held(0, 0)
    charges.relieve(np.array([1, 0]), np.array([10, 40]))
    assert charges.held(1) == Held(1, 30)
    charges.relieve(np.array([1, 2]), np.array([30, 20]))
    assert not charges


def test_owners_who_have_room_again_are_told_once() -> None:
    """So that they can be woken."""
    charges = Charges()
    charges.charge(np.array([1, 2]), np.array([10, 20]))
    assert charges.relieved() == set()
    charges.relieve(np.array([2, 0]), np.array([20, 0]))
    assert charges.relieved() == {2}
    assert charges.relieved() == set()
