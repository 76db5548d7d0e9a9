"""The folder of the demo is emptied, kept or left alone."""

from pathlib import Path

import pytest

from pipelines.demo.folder import Interruption, prepared

HALFWAY = Interruption(5_000, None, was_killed=True)


def test_new_folder_is_made(tmp_path: Path) -> None:
    """Where there is nothing, a folder is made, with its parents."""
    assert prepared(tmp_path / "a" / "b", None) is None
    assert (tmp_path / "a" / "b").is_dir()


def test_folder_of_an_ended_demo_is_emptied(tmp_path: Path) -> None:
    """What a demo left that ended, or was killed, is removed."""
    folder = tmp_path / "demo"
    prepared(folder, None)
    (folder / "lake").mkdir()
    assert prepared(folder, None) is None
    assert not (folder / "lake").exists()


def test_folder_of_an_interrupted_demo_is_kept(tmp_path: Path) -> None:
    """A demo goes on once from where it was interrupted; after that it must be told again."""
    folder = tmp_path / "demo"
    prepared(folder, None)
    (folder / "lake").mkdir()
    HALFWAY.save(folder)
    assert prepared(folder, None) == HALFWAY
    assert (folder / "lake").exists()
    assert prepared(folder, None) is None


def test_demo_of_other_flights_starts_afresh(tmp_path: Path) -> None:
    """With another number of flights the interrupted demo can't go on."""
    folder = tmp_path / "demo"
    prepared(folder, None)
    HALFWAY.save(folder)
    assert prepared(folder, 100) is None


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder with something else in it is not touched."""
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        prepared(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
