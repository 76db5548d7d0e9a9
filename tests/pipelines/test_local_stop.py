"""Bounded pipelines on the local runner that are interrupted."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local import LocalRunner
from runners.local.options import JOB_NAME
from runners.local.store import Store
from tests.processes import wait_until

DONE: list[int] = []


def finish(element: int) -> None:
    """Note what has come through, in this process."""
    DONE.append(element)


class Stop(BaseException):
    """What a handler of the test's own raises."""


class Signal(beam.DoFn):
    """Sends this process a signal, once somebody waits for it who can live with it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def process(self, element: int) -> Iterator[int]:
        if self._number:
            wait_until(lambda: signal.getsignal(self._number) != signal.SIG_DFL, 60)
            os.kill(os.getpid(), self._number)
        yield element


def run(state: Path, number: int) -> None:
    """Run a pipeline of two epochs; the signal comes in the first one."""
    DONE.clear()
    options = PipelineOptions([f"--state_dir={state}"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as p:
        signalled = p | beam.Create([1]) | beam.ParDo(Signal(number))
        _ = signalled | beam.Reshuffle() | beam.Map(finish)


def stop(number: int, frame: FrameType | None) -> None:
    raise Stop(number, frame)


@pytest.fixture
def handled() -> Iterator[int]:
    """Give a signal that the process handles in its own way."""
    before = signal.signal(signal.SIGUSR1, stop)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("number", "raised"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, SystemExit),
        (signal.SIGUSR1, Stop),
    ],
)
@pytest.mark.usefixtures("handled")
def test_interrupted_job_is_suspended(
    tmp_path: Path, number: int, raised: type[BaseException]
) -> None:
    """Whatever interrupts the wait, the job has ended behind it, and goes on at the next start."""
    with pytest.raises(raised):
        run(tmp_path, number)
    assert not DONE
    Store.open(str(tmp_path / JOB_NAME)).close()
    run(tmp_path, 0)
    assert DONE == [1]


@pytest.mark.usefixtures("handled")
def test_job_that_was_never_begun_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before its thread runs, a job lets go of its folder as well."""

    def interrupt(thread: threading.Thread) -> None:
        if thread.name == f"job-{JOB_NAME}":
            raise Stop
        start(thread)

    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(Stop):
        run(tmp_path, 0)
    Store.open(str(tmp_path / JOB_NAME)).close()
