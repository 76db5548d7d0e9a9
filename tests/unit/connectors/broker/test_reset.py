"""Removing the log of a data directory."""

from pathlib import Path

import pytest

from connectors.broker.errors import DataDirInUse
from connectors.broker.files import lock_directory
from connectors.broker.reset import Removed, reset


def test_only_segments_are_removed(tmp_path: Path) -> None:
    """Whatever else somebody keeps there stays."""
    for name in ("1".zfill(20), "2".zfill(20)):
        (tmp_path / f"{name}.log").write_bytes(b"x" * 100)
    others = ["notes.log", "1.log", "x" * 20 + ".log", "1".zfill(20) + ".log.bak"]
    for name in others:
        (tmp_path / name).write_text("mine")
    assert reset(tmp_path) == Removed(2, 200)
    assert {path.name for path in tmp_path.iterdir()} == {*others, "lock"}


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    """Its broker would go on with files that are gone."""
    (tmp_path / ("1".zfill(20) + ".log")).write_bytes(b"x")
    lock_directory(tmp_path)
    with pytest.raises(DataDirInUse):
        reset(tmp_path)
    assert len(list(tmp_path.glob("*.log"))) == 1


def test_there_may_be_nothing(tmp_path: Path) -> None:
    """No directory, or an empty one, which stays as it is; the lock is free afterwards."""
    assert reset(tmp_path / "missing") == Removed(0, 0)
    assert not (tmp_path / "missing").exists()
    assert reset(tmp_path) == reset(tmp_path) == Removed(0, 0)
