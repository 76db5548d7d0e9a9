"""What two workers give, and what an idle job costs."""

import pytest

from benchmarks.workers import idle_words, span_s, speedup_words
from benchmarks.workers_job import PIECES


def test_span_is_from_the_first_beginning_to_the_last_end() -> None:
    """Pieces of work overlap, and are written in the order of their ends."""
    lines = ["5.0 6.5", "4.5 7.0", *["5.0 6.0"] * (PIECES - 2)]
    assert span_s("\n".join(lines) + "\n") == 2.5


def test_lost_work_is_no_speed() -> None:
    """A piece that was not done fails the benchmark."""
    with pytest.raises(SystemExit, match="1 pieces of work"):
        span_s("5.0 6.5\n")


def test_best_rounds_are_compared() -> None:
    """Noise only slows."""
    assert speedup_words([8.0, 9.0], [5.0, 9.0]).endswith("target 1.6: reached")
    assert speedup_words([8.0], [5.5]).endswith("target 1.6: missed")


def test_idle_job_is_judged() -> None:
    """The figure is a share of one core."""
    assert idle_words(0.0155) == "idle: 1.55% of a core, target < 2%: reached"
    assert idle_words(0.03).endswith("missed")
