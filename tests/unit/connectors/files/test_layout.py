"""Names of files."""

from __future__ import annotations

import pytest

from connectors.files.layout import PaneName, file_name, job_text, parts, shards
from connectors.files.layout import time_text as text

HOUR_US = 3_600_000_000
START_US = 1_357_016_400_000_000  # 2013-01-01T05:00:00Z


@pytest.mark.parametrize(
    ("time_us", "written"),
    [(START_US, "20130101T050000"), (START_US + 1, "20130101T050000.000001"),
     (-1, "19691231T235959.999999"), (2**62, f"{2**62}us")],
)  # fmt: skip
def test_times_are_written_short(time_us: int, written: str) -> None:
    """UTC, with a fraction only where there is one; beyond the calendar as a number."""
    assert text(time_us) == written


def test_a_file_name_tells_window_pane_shard_and_run() -> None:
    """Everything that identifies the rows, and nothing that changes from try to try."""
    pane = PaneName((START_US, START_US + HOUR_US), 0, late=False)
    name = file_name(pane, 1, 4, "RUN")
    assert name == "20130101T050000_20130101T060000-pane0-00001-of-00004-RUN"


def test_late_panes_and_the_global_window_are_named() -> None:
    """A late pane says so; the global window has no times."""
    late = file_name(PaneName((START_US, START_US + HOUR_US), 2, late=True), 0, 1, "RUN")
    assert "-pane2-late-00000-of-00001-" in late
    assert file_name(PaneName(None, 0, late=False), 0, 1, "RUN") == "pane0-00000-of-00001-RUN"


def test_a_job_name_is_safe_in_paths() -> None:
    """Whatever a job is called, it makes no folder."""
    assert job_text("a/b c:d") == "a-b-c-d"


def test_second_file_of_a_path_is_a_part() -> None:
    """The first keeps its name; each later one is told by its number, path by path."""
    paths = ["a/x", "b/x", "a/x", "a/x"]
    assert parts(paths) == [
        "a/x", "b/x", "a/x-part1", "a/x-part2"]  # fmt: skip


def test_files_of_one_pane_are_its_shards() -> None:
    """A name tells how many files the pane has, and no two files have one name."""
    assert shards(["a/pane0", "b/pane0", "a/pane0"], "run") == [
        "a/pane0-00000-of-00002-run",
        "b/pane0-00000-of-00001-run",
        "a/pane0-00001-of-00002-run",
    ]
