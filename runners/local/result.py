"""What ``pipeline.run()`` returns on the local runner."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from apache_beam.runners.runner import PipelineResult, PipelineState

from runners.local.job import Job
from runners.local.options import StopMode
from runners.local.progress import Progress

__all__ = ["LocalResult"]

LOOK_S = 0.5
"""How often a wait looks for signals. The kernel may give a signal of the process to any thread of
it, such as one that is just starting. Python then notes it for the main thread, but wakes nobody:
in a wait without a limit it would be noticed only when that is over.
"""


class LocalResult(PipelineResult):
    """A job that runs, or has run.

    Args:
        job: which is started.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job.state)
        self._job = job

    @property
    def state(self) -> str:
        """One of Beam's ``PipelineState``: a STOPPED job can go on, a DRAINED one is complete."""
        return self._job.state

    def wait_until_finish(self, duration: float | None = None) -> str | None:
        """Wait until the job has ended.

        Called in the main thread, it takes Ctrl-C and SIGTERM, and whatever a handler of signals
        raises, as a request to stop, in the mode of ``--on_stop``; a second one ends the wait. The
        state is consistent in any case.

        Args:
            duration: milliseconds to wait at most.

        Returns:
            The final state, or None if the time is over.

        Raises:
            Exception: what user code has raised.
            LocalRunnerError: the state could not be used any more.
            BaseException: what has interrupted the wait; the job has been stopped. Ctrl-C and
                SIGTERM raise nothing if the job was done before it could be stopped.
        """
        limit_s = math.inf if duration is None else duration / 1_000
        try:
            with self.interruptible(), _terminable():
                ended = self._ends_within(limit_s)
        except (KeyboardInterrupt, _Terminated):
            # One that was done has no state to go on from: who heard of a stop would do all again.
            if self.state != PipelineState.DONE:
                raise
            ended = True
        if not ended:
            return None
        if self._job.error is not None:
            raise self._job.error
        return self.state

    def _ends_within(self, limit_s: float) -> bool:
        until_s = time.monotonic() + limit_s
        while not self._job.ended.wait(max(0.0, min(LOOK_S, until_s - time.monotonic()))):
            if time.monotonic() >= until_s:
                return False
        return True

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Stop the job, and wait for it, if anything is raised in the block."""
        try:
            yield
        except BaseException:
            self._job.end(self._job.settings.on_stop)
            raise

    def stop(self, mode: StopMode) -> str:
        """Stop at the next commit, and wait for it.

        Args:
            mode: ``suspend`` keeps everything for the next start. ``drain`` ends the sources,
                closes all windows and removes the state.

        Returns:
            The final state.
        """
        self._job.end(mode)
        return self.state

    def cancel(self) -> str:
        """Stop at the next commit; the state is kept if it has a folder."""
        if not PipelineState.is_terminal(self.state):
            self.stop("suspend")
            if self._job.state == PipelineState.STOPPED:
                self._job.state = str(PipelineState.CANCELLED)
        return self.state

    @property
    def job(self) -> Job:
        """The job, for those who show its progress."""
        return self._job

    def progress(self) -> Progress:
        """Return how far the job has come. May be called from any thread."""
        return self._job.executor.progress()

    def metrics(self) -> Any:
        """Return the user's metrics as Beam's ``MetricResults``; only committed work counts."""
        return self._job.totals.query(user_only=True)

    def monitoring_metrics(self) -> Any:
        """Return all metrics as Beam's ``MetricResults``."""
        return self._job.totals.query(user_only=False)

    def monitoring_infos(self) -> Iterator[Any]:
        """Yield the ``MonitoringInfo`` of each metric."""
        yield from self._job.totals.infos()


class _Terminated(SystemExit):
    """SIGTERM, as an exception of the main thread."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt the main thread, unless someone handles it already."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: object) -> None:
        del frame
        raise _Terminated(128 + number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
