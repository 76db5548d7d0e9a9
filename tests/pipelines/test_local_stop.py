"""Bounded pipelines on the local runner that are interrupted."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local import LocalRunner
from runners.local.job import Job
from runners.local.options import JOB_NAME, StopMode
from runners.local.store import Store
from tests.processes import wait_until

DONE: list[int] = []
ASKED = threading.Event()


def finish(element: int) -> None:
    """Note what has come through, in this process."""
    DONE.append(element)


class Stop(BaseException):
    """What a handler of the test's own raises."""


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Take Ctrl-C as Python does, also where a shell's ``&`` has made the tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note when a job is asked to stop."""
    stop_job = Job.stop

    def noted(job: Job, mode: StopMode) -> None:
        stop_job(job, mode)
        ASKED.set()

    ASKED.clear()
    monkeypatch.setattr(Job, "stop", noted)


class Signal(beam.DoFn):
    """Sends this process a signal, once somebody waits for it who can live with it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def process(self, element: int) -> Iterator[int]:
        if self._number:
            wait_until(lambda: signal.getsignal(self._number) != signal.SIG_DFL, 60)
            # To this thread: the kernel may do so, and then does not wake who waits for the job.
            signal.pthread_kill(threading.get_ident(), self._number)
            assert ASKED.wait(60)  # the job must not be quicker than who stops it
        yield element


class Leave(Signal):
    """Sends the signal when the job is done, and its steps are torn down."""

    def process(self, element: int | None) -> Iterator[int | None]:
        yield element

    def teardown(self) -> None:
        list(super().process(0))


def run(state: Path, number: int, late: int = 0) -> None:
    """Run a pipeline of two epochs; a signal comes in the first one, and a late one at the end."""
    DONE.clear()
    options = PipelineOptions([f"--state_dir={state}"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as p:
        signalled = p | beam.Create([1], reshuffle=False) | beam.ParDo(Signal(number))
        _ = signalled | beam.Reshuffle() | beam.Map(finish) | beam.ParDo(Leave(late))


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_job_that_is_done_was_not_interrupted(tmp_path: Path, number: int) -> None:
    """A signal that comes when all is done, and the state gone, is no reason to do all again."""
    run(tmp_path, 0, late=number)
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
