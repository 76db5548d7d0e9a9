"""Worker processes of the local runner: how they end."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local import LocalRunner, workers

WORKERS = 2


class Tracks(beam.DoFn):
    """Leaves a file when it is set up, and another one when it is torn down."""

    def __init__(self, folder: str, *, fails: bool = False, hangs: bool = False) -> None:
        self._folder, self._fails, self._hangs = folder, fails, hangs

    def setup(self) -> None:
        self._leave("setup")

    def process(self, element: int) -> Iterator[int]:
        if self._fails and element == 0:
            raise ValueError("zero")
        yield element

    def teardown(self) -> None:
        if self._hangs:
            time.sleep(3_600)
        self._leave("teardown")

    def _leave(self, what: str) -> None:
        name = f"{what}-{os.getpid()}-{id(self)}"
        Path(self._folder, name).write_text("")


def run(step: Tracks) -> None:
    """Run a pipeline in processes of its own."""
    options = PipelineOptions([f"--workers={WORKERS}"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as p:
        _ = p | beam.Create(range(100)) | beam.Reshuffle() | beam.ParDo(step)


def left(folder: Path, what: str) -> set[str]:
    return {path.name.removeprefix(f"{what}-") for path in folder.glob(f"{what}-*")}


def processes_of(folder: Path) -> set[int]:
    return {int(name.split("-")[0]) for name in left(folder, "setup")}


def assert_gone(pids: set[int]) -> None:
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("fails", [False, True])
def test_steps_are_torn_down(tmp_path: Path, fails: bool) -> None:
    """Each copy of a step that was set up is, in every process, whether or not the job failed."""
    try:
        run(Tracks(str(tmp_path), fails=fails))
    except RuntimeError:
        assert fails
    pids = processes_of(tmp_path)
    assert len(pids) == WORKERS
    assert os.getpid() not in pids
    assert left(tmp_path, "teardown") == left(tmp_path, "setup")
    assert_gone(pids)


def test_who_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes together have a bounded time."""
    monkeypatch.setattr(workers, "END_S", 0.5)
    run(Tracks(str(tmp_path), hangs=True))
    assert len(processes_of(tmp_path)) == WORKERS
    assert_gone(processes_of(tmp_path))
    assert not left(tmp_path, "teardown")
