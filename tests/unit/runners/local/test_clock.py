"""Processing time, of the machine and of tests."""

import time

from runners.local.clock import RealClock, SimulatedClock


def test_real_clock_is_the_machines() -> None:
    """It tells microseconds since 1970."""
    before = time.time_ns() // 1_000
    assert before <= RealClock().now_us() <= time.time_ns() // 1_000


def test_simulated_clock_moves_forwards_only() -> None:
    """It stands where it was put, and is never turned back."""
    clock = SimulatedClock(5)
    assert clock.now_us() == 5
    clock.advance_to(9)
    clock.advance_to(7)
    assert clock.now_us() == 9
