"""What a restart with much state takes, and whether it has forgotten anything."""

from collections import deque

import numpy as np
import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker

from benchmarks import restart_job
from benchmarks.restart import reconcile, words


def test_target_is_reached_or_missed() -> None:
    """The best restart counts; beside it stands what a start takes anyway."""
    said = words(1_000, [6.0, 4.9, 7.0], [2.0])
    assert said == (
        "restart with 1,000 keys: best 4.9 s, median 6.0 s; without keys 2.0 s; "
        "target < 5 s: reached"
    )
    assert words(1_000, [5.1], [2.0]).endswith("missed")


@pytest.mark.parametrize("found", [[3, 5], [3, 4, 4], [2, 3, 4]])
def test_wrong_lake_fails(found: list[int]) -> None:
    """A new key is missing or repeated, or one of the state was forgotten."""
    with pytest.raises(SystemExit, match="FAILED"):
        reconcile(np.array(found), 3)


def test_right_lake_passes() -> None:
    """The new keys are there, in any order."""
    reconcile(np.array([4, 3, 5]), 3)


class Tracker(OffsetRestrictionTracker):
    """Takes the request for the rest."""

    def defer_remainder(self, delay: object = None) -> None:
        """Do nothing."""


class Estimator:
    """Takes any watermark."""

    def set_watermark(self, watermark: object) -> None:
        """Do nothing."""


def call(first: int, keys: int) -> list[tuple[int, bool]]:
    """Return the rows of one call."""
    tracker = Tracker(OffsetRange(first, restart_job.ENDLESS))
    elements = deque(restart_job.Keys().process(keys, tracker, Estimator()))
    return [
        row
        for element in elements
        for row in zip(
            element.value.column("key").to_pylist(),
            element.value.column("wanted").to_pylist(),
            strict=True,
        )
    ]


def test_state_is_filled_with_each_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch ends where the keys end, and a new key comes with an old one."""
    monkeypatch.setattr(restart_job, "ROWS", 4)
    rows = call(0, 10)
    assert rows[:10] == [(number, False) for number in range(10)]
    assert rows[10:] == [(10, True), (10 * restart_job.STRIDE % 10, True)]


def test_new_keys_come_one_by_one() -> None:
    """A restart goes on behind the last key, and tries an old one."""
    (new, wanted), (old, old_wanted) = call(12, 10)
    assert (new, wanted, old_wanted) == (12, True, True)
    assert old < 10
