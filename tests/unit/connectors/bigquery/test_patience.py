"""How long a server may be away."""

from __future__ import annotations

import pytest

from connectors import retry
from connectors.bigquery import patience
from connectors.bigquery.patience import Patience
from transforms.errors import ConfigError, PermanentError, TransientError


class Clock:
    """Time that only passes when someone sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits = 0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.waits += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience.time, "monotonic", made.monotonic)
    monkeypatch.setattr(patience.random, "random", lambda: 1.0)
    return made


def bear_until_over(held: Patience) -> None:
    for _ in range(1_000):
        held.bear(TransientError("away"))


def test_patience_is_used_up(clock: Clock) -> None:
    """Waits grow, and end before the time is over."""
    held = Patience(retry.Backoff(1, 4, patience_s=20), clock.sleep)
    with pytest.raises(TransientError, match="away"):
        bear_until_over(held)
    assert clock.waits == 6  # 1 + 2 + 4 + 4 + 4 + 4
    assert clock.now_s == 19


def test_success_restores_it(clock: Clock) -> None:
    """An outage counts from its own first failure."""
    held = Patience(retry.Backoff(1, 4, patience_s=20), clock.sleep)
    for _ in range(3):
        held.bear(TransientError("away"))
    held.restore()
    with pytest.raises(TransientError):
        bear_until_over(held)
    assert clock.waits == 9


@pytest.mark.parametrize("error", [PermanentError("no"), ConfigError("a", "b", "c", "d")])
def test_other_errors_are_not_borne(clock: Clock, error: Exception) -> None:
    """What can't pass is told at once, unless the caller knows that it may."""
    held = Patience(retry.Backoff(), clock.sleep)
    with pytest.raises(type(error)):
        held.bear(error)  # type: ignore[arg-type]
    held.bear(error, may_pass=True)  # type: ignore[arg-type]
    assert clock.waits == 1
