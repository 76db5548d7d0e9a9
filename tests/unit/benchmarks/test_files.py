"""What the benchmark of files says, and that its rows are the same at every call."""

from __future__ import annotations

from benchmarks.files import CASES, events, words


def test_a_target_is_reached_or_missed() -> None:
    """By the ratio within one run."""
    case = CASES[0]
    assert words(case, 700_000, 1_000_000).endswith("0.70 of it; target 0.7: reached")
    assert words(case, 690_000, 1_000_000).endswith("target 0.7: missed")


def test_rows_are_the_same_at_every_call() -> None:
    """Or rounds could not be compared."""
    assert events(100).equals(events(100))
    assert events(100).num_rows == 100
