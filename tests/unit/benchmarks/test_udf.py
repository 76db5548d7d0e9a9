"""User functions beside Google's practice."""

from pathlib import Path

import pytest

from benchmarks.udf import Way, ways, words


def test_every_way_does_the_work(tmp_path: Path) -> None:
    """Each gives the rows that it should, or the benchmark ends; Google's is the slowest."""
    pytest.importorskip("py_mini_racer")
    made = ways(tmp_path)
    assert [way.name for way in made][2:7] == [
        "text form", "text form with 50 more", "JavaScript", "row form", "batch form",
    ]  # fmt: skip
    assert all(way.run() > 0 for way in made)


def test_figures_are_ratios_of_the_best_rounds() -> None:
    """Noise only slows."""
    theirs = [Way("theirs", lambda: 1, [90.0, 70.0]), Way("more", lambda: 1, [700.0])]
    told = words([*theirs, Way("ours", lambda: 1, [3.5, 4.0])]).splitlines()[-1]
    assert told == (
        "ours: 3.500 us a row; Google's takes 20.0 times as long, with 50 more functions 200 times"
    )
