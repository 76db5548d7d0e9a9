"""A job: runs epochs in a thread of its own until it is finished, stopped or has failed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from apache_beam.runners.runner import PipelineState

from runners.local import identity
from runners.local.clock import Clock, RealClock, SimulatedClock
from runners.local.drops import Weigh
from runners.local.errors import LocalRunnerError
from runners.local.executor import Executor
from runners.local.failure import Failure, Retry, explain
from runners.local.graph import Graph
from runners.local.metrics import Totals
from runners.local.options import Settings, StopMode
from runners.local.scopes import scopes
from runners.local.state import StateService
from runners.local.store import Store
from runners.local.test_stream import CLOCK, TestStreamDriver
from runners.local.workers import Workers

__all__ = ["Job"]

_log = logging.getLogger(__name__)

IDLE_S = 1.0
"""Longest sleep: how late a change of the machine's clock is noticed."""


class Job:
    """Executes a pipeline.

    Args:
        pipeline: its ``beam_runner_api_pb2.Pipeline``.
        settings: of the local runner.
        options: of the pipeline, for worker processes.
        drain: begin with sources that end.
        weigh: how much a value counts that is dropped for being late.

    Raises:
        LocalRunnerError: the state can't be opened, or belongs to another pipeline.
    """

    def __init__(
        self,
        pipeline: Any,
        settings: Settings,
        options: Mapping[str, Any],
        *,
        drain: bool = False,
        weigh: Weigh | None = None,
    ) -> None:
        self.settings = settings
        self.state = PipelineState.RUNNING
        self.error: BaseException | None = None
        self.failure: Failure | None = None
        self.ended = threading.Event()
        self._pipeline = pipeline
        self._options, self._weigh = options, weigh
        self._wake = threading.Condition()
        self._stop: StopMode | None = None
        self._draining = drain
        self._guard = threading.RLock()
        self._store = Store.open(_folder(settings))
        try:
            self._assemble()
        except BaseException:
            self._store.close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"job-{settings.job_name}")

    def _assemble(self) -> None:
        """Build everything that depends on the graph, which a drain changes."""
        graph = Graph(self._pipeline, drain=self._draining)
        identity.check(graph, self._store)
        simulated = SimulatedClock(int(self._store.get(CLOCK) or b"0"))
        self._clock: Clock = simulated if graph.streams else RealClock()
        state = StateService(self._store, self._guard, scopes(graph))
        self._workers = Workers(graph, state, self.settings.workers, self._options)
        self._executor = Executor(
            graph,
            store=self._store,
            state=state,
            workers=self._workers,
            clock=self._clock,
            guard=self._guard,
            weigh=self._weigh,
        )
        self._streams = [
            TestStreamDriver(node, self._executor, self._store, simulated) for node in graph.streams
        ]

    def start(self) -> None:
        """Begin to run."""
        self._thread.start()

    def stop(self, mode: StopMode) -> None:
        """Ask for the end at the next commit; a suspended job goes on when it is started again."""
        with self._wake:
            self._stop = mode
            self._wake.notify_all()

    def end(self, mode: StopMode) -> None:
        """Stop, and wait until all is closed."""
        self.stop(mode)
        while not self.ended.wait(IDLE_S):
            if not self._thread.is_alive():  # it was interrupted before it began
                self._close()
                self.ended.set()

    @property
    def totals(self) -> Totals:
        """What was counted so far."""
        return self._executor.totals

    @property
    def executor(self) -> Executor:
        """What runs the epochs."""
        return self._executor

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        final = str(PipelineState.FAILED)
        try:
            final = self._run_to_the_end()
        except BaseException as error:  # noqa: BLE001 - it is raised where someone waits
            self._explain(error)
        try:
            self._close()
        except Exception:  # noqa: BLE001 - all that counts was committed before
            _log.warning("the job has ended, but not in order", exc_info=True)
        finally:
            self.state = final
            self.ended.set()

    def _explain(self, error: BaseException) -> None:
        self.error = error
        if not isinstance(error, LocalRunnerError):
            self.failure = explain(error)
            _log.error("%s", self.failure)

    def _run_to_the_end(self) -> str:
        retry = Retry(self.settings.max_attempts)
        while True:
            if self._stop == "suspend":
                return str(PipelineState.STOPPED)
            if self._stop == "drain" and not self._draining:
                self._begin_drain()
            if self._attempt(retry, None):
                continue
            event = self._next_event()
            if event is not None:
                self._attempt(retry, event)
            elif self._executor.finished:
                self._forget()
                return str(PipelineState.DRAINED if self._draining else PipelineState.DONE)
            else:
                self._wait()

    def _attempt(self, retry: Retry, event: Callable[[], None] | None) -> bool:
        """Run an epoch, again if it fails, as often as allowed."""
        try:
            worked = self._executor.run(event)
        except Exception as error:
            delay_s = retry.failed(error)
            if delay_s is None:
                raise
            _log.warning("epoch taken back, next try in %.1f s: %s", delay_s, explain(error))
            with self._wake:
                self._wake.wait_for(lambda: self._stop is not None, delay_s)
            return True
        if worked:
            retry.succeeded()
        return worked

    def _next_event(self) -> Callable[[], None] | None:
        for stream in self._streams:
            event = stream.next_event()
            if event is not None:
                return event
        return None

    def _wait(self) -> None:
        """Sleep until something is due."""
        due_us = self._executor.next_due_us()
        if isinstance(self._clock, SimulatedClock):
            # All events were played: what is left is a matter of time, which nobody else moves.
            if due_us is not None:
                self._clock.advance_to(due_us)
            return
        wait_s = IDLE_S
        if due_us is not None:
            wait_s = min(max((due_us - self._clock.now_us()) / 1e6, 0.0), IDLE_S)
        with self._wake:
            self._wake.wait_for(lambda: self._stop is not None and not self._draining, wait_s)

    def _forget(self) -> None:
        """Remove the state of a job that is complete: who starts it again starts it anew."""
        self._executor.close()
        self._store.clear()

    def _begin_drain(self) -> None:
        """Go on with a graph whose sources end."""
        self._executor.close()
        self._workers.close()
        self._draining = True
        self._assemble()

    def _close(self) -> None:
        with contextlib.ExitStack() as closing:  # each is called, whatever the others raise
            closing.callback(self._store.close)
            closing.callback(self._workers.close)
            closing.callback(self._executor.close)


def _folder(settings: Settings) -> str | None:
    if settings.state_dir is None:
        return None
    return os.path.join(settings.state_dir, settings.job_name)
