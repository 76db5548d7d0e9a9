"""Marks of files that were merged."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from connectors.compacted import Compacted
from connectors.local_store import LocalStore


@pytest.fixture
def marks(tmp_path: Path) -> Compacted:
    return on(tmp_path, 2026, 1, 31)


def on(state: Path, year: int, month: int, day: int) -> Compacted:
    """Return the marks as they are used on a day."""
    return Compacted(LocalStore(), "/lake", str(state), lambda: dt.date(year, month, day))


def test_a_marked_file_is_found(marks: Compacted) -> None:
    """And no other."""
    marks.add(["/lake/a.parquet", "/lake/k=1/a.parquet"])
    marks.add(["/lake/a.parquet"])
    paths = ["/lake/a.parquet", "/lake/b.parquet", "/lake/k=1/a.parquet"]
    assert marks.find(paths) == {"/lake/a.parquet", "/lake/k=1/a.parquet"}
    assert marks.find([]) == set()


def test_marks_are_kept_for_a_month_at_least(marks: Compacted, tmp_path: Path) -> None:
    """They go with the first compaction of the month after the next."""
    marks.add(["/lake/a.parquet"])
    february, march = on(tmp_path, 2026, 2, 28), on(tmp_path, 2026, 3, 1)
    february.expire()
    assert february.find(["/lake/a.parquet"]) == {"/lake/a.parquet"}
    assert march.find(["/lake/a.parquet"]) == set()
    march.expire()
    assert os.listdir(tmp_path / "compacted") == []


def test_no_files_leave_nothing(marks: Compacted, tmp_path: Path) -> None:
    """A commit that merges nothing does not touch the disk."""
    marks.add([])
    assert os.listdir(tmp_path) == []
