"""The name of a state lives as long as the state."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local import LocalRunner
from runners.local.errors import StateFolderInUse, StoreError
from runners.local.options import settings
from runners.local.state_id import keep, state_id
from runners.local.store import Store


def options(folder: Path, job: str = "job") -> PipelineOptions:
    return PipelineOptions([f"--state_dir={folder}", f"--job_name={job}"])


def test_name_is_kept(tmp_path: Path) -> None:
    """The first one to keep a name makes it; later ones get the same and are told so."""
    chosen = settings(options(tmp_path))
    first = state_id(chosen)
    assert first.is_new
    keep(chosen, first)
    assert state_id(chosen) == (first.name, False, {})
    keep(chosen, state_id(chosen))
    assert state_id(chosen) == (first.name, False, {})


def test_notes_are_kept_until_they_change(tmp_path: Path) -> None:
    """Each start finds what the last one has noted; who notes nothing changes nothing."""
    chosen = settings(options(tmp_path))
    keep(chosen, state_id(chosen), {"window": "1h", "keys": "a"})
    assert state_id(chosen).notes == {"window": "1h", "keys": "a"}
    keep(chosen, state_id(chosen))
    assert state_id(chosen).notes == {"window": "1h", "keys": "a"}
    name = state_id(chosen).name
    keep(chosen, state_id(chosen), {"window": "2h"})
    assert state_id(chosen) == (name, False, {"window": "2h"})


def test_nothing_is_made_before_the_name_is_kept(tmp_path: Path) -> None:
    """Who asks for a name and then does not start leaves no folder behind."""
    chosen = settings(options(tmp_path / "state"))
    assert state_id(chosen).is_new
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_two_can_begin(tmp_path: Path) -> None:
    """Two that start at once on a new state don't both write under names of their own."""
    chosen = settings(options(tmp_path))
    one, two = state_id(chosen), state_id(chosen)
    keep(chosen, one)
    with pytest.raises(StateFolderInUse, match="Start it again"):
        keep(chosen, two)
    assert state_id(chosen) == (one.name, False, {})


def test_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    """It is told at once, and nothing is made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        state_id(settings(options(tmp_path / "file" / "state")))


def test_each_job_has_its_own(tmp_path: Path) -> None:
    """Two jobs in one state folder have two states."""
    assert state_id(settings(options(tmp_path, "a"))) != state_id(settings(options(tmp_path, "b")))


def test_name_ends_with_the_state(tmp_path: Path) -> None:
    """When a job is complete its state is gone, and a start anew has another name."""
    before = state_id(settings(options(tmp_path)))
    keep(settings(options(tmp_path)), before)
    with beam.Pipeline(runner=LocalRunner(), options=options(tmp_path)) as pipeline:
        pipeline | beam.Create([1])
    after = state_id(settings(options(tmp_path)))
    assert after.is_new
    assert after.name != before.name


def test_temporary_state_is_always_new() -> None:
    """Without a folder each start has a name of its own."""
    first, second = state_id(settings(PipelineOptions([]))), state_id(settings(PipelineOptions([])))
    assert first.is_new
    assert first.name != second.name


def test_state_in_use_is_refused(tmp_path: Path) -> None:
    """Who asks for the name while a job runs is told that it does."""
    chosen = settings(options(tmp_path))
    assert chosen.folder is not None
    store = Store.open(chosen.folder)
    try:
        with pytest.raises(StateFolderInUse):
            state_id(chosen)
    finally:
        store.close()
