"""The end of a watch."""

from __future__ import annotations

from collections.abc import Set

from transforms.udf import Overrun, Unlimited
from transforms.udf.limit import settle


class Ending(Unlimited):
    """Strikes some times while it ends."""

    def __init__(self, strikes: int) -> None:
        self.strikes = strikes

    def end(self) -> Set[int]:
        if self.strikes:
            self.strikes -= 1
            raise Overrun
        return {7}


def test_watch_ends_however_often_it_strikes() -> None:
    """And what it accused is known."""
    assert settle(Ending(3)) == {7}


def test_without_limit_nothing_is_accused() -> None:
    """For functions that may take any time."""
    watch = Unlimited()
    watch.begin(iter([1]))
    assert watch.accused() == settle(watch) == frozenset()


def test_strike_is_no_exception_that_functions_catch() -> None:
    """``except Exception`` is what most of them have."""
    assert not issubclass(Overrun, Exception)
