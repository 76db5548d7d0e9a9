"""Epochs: take what waits, run it through the stages until nothing is ready, commit, finalize.

An epoch is one transaction of the store. To take it back, or to go on after the process has died,
is the same: everything is read anew from the store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from runners.local.bundles import BundleResult
from runners.local.clock import Clock
from runners.local.drops import Drops, Weigh
from runners.local.epoch import Epoch
from runners.local.event_time import EventTime
from runners.local.graph import Graph
from runners.local.intake import Intake, Taken, bundle_of
from runners.local.internals import ENCODED_IMPULSE_VALUE
from runners.local.metrics import Totals
from runners.local.nodes import StageNode
from runners.local.pending import Pending
from runners.local.progress import Progress, numbers_of
from runners.local.routing import Routing
from runners.local.state import StateService
from runners.local.store import Chunk, Store
from runners.local.translation import IMPULSE
from runners.local.watermarks import MAX_US, MIN_US
from runners.local.workers import Workers

__all__ = ["Executor"]

_log = logging.getLogger(__name__)

EPOCH_S = 2.0
"""After this time an epoch is committed although more is ready: what waits is stored too."""

_EPOCH = "epoch"
_WATERMARKS = "watermarks"
_IMPULSES = "impulses"
_METRICS = "metrics"


class Executor:
    """Executes a graph, epoch by epoch.

    Args:
        graph: what is executed.
        store: where all state is.
        state: the state of steps and side inputs, in the same store.
        workers: SDK harnesses.
        clock: processing time.
        guard: held while the store is used.
        weigh: how much a value counts that is dropped for being late; by default 1.

    Attributes:
        totals: what was counted so far.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        store: Store,
        state: StateService,
        workers: Workers,
        clock: Clock,
        guard: Any,
        weigh: Weigh | None = None,
    ) -> None:
        self._graph, self._store, self._state = graph, store, state
        self._workers, self._clock, self._guard = workers, clock, guard
        self._epoch = Epoch()
        self._pending = Pending(store)
        self._drops = drops = Drops(weigh)
        self._time = EventTime(graph, store, state, self._pending, clock, self._epoch, drops)
        self._intake = Intake(graph, state, self._pending, self._time, self._epoch, drops)
        self._routing = Routing(graph, state, self._pending, self._time, clock, self._epoch, drops)
        self._results: list[BundleResult] = []
        self._open = self._counted = False
        self.totals = Totals()
        self._reload()

    # --- between epochs -----------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all input is processed, all windows are closed and no timer is left."""
        return (
            not self._pending.ports
            and all(self.watermark_us(stage.name) == MAX_US for stage in self._graph.stages)
            and self._next_timer_us() is None
        )

    def next_due_us(self) -> int | None:
        """Return the processing time at which there will be something to do, if it is known."""
        times = (self._next_timer_us(), self._pending.next_due_us(self._epoch.number))
        return min((time_us for time_us in times if time_us is not None), default=None)

    def watermark_us(self, node: str) -> int:
        """Return the output watermark of a node."""
        return self._time.watermarks.of(node)

    def progress(self) -> Progress:
        """Return how far the job has come, by its commits. May be called from any thread.

        It never goes back, not even when the process is killed and started again.
        """
        with self._guard:
            results = self.totals.query(user_only=True)
            sources = (stage.name for stage in self._graph.stages if stage.splittable)
            watermark_us = min(map(self.watermark_us, sources), default=MIN_US)
            epoch, ended_s = self._epoch.committed, self._epoch.ended_s
        known = MIN_US < watermark_us < MAX_US
        return Progress(epoch, watermark_us if known else None, numbers_of(results), ended_s)

    def deliver(self, buffer: bytes, data: bytes) -> None:
        """Give elements to the readers of a buffer. Only for what ``run`` calls first."""
        self._routing.deliver(buffer, data, self._time.watermarks.of_buffer(buffer))

    def promise(self, buffer: bytes, watermark_us: int) -> None:
        """Move the watermark of a TestStream's output. Only for what ``run`` calls first."""
        self._time.watermarks.advance(buffer.decode(), watermark_us, ())

    def run(self, first: Callable[[], None] | None = None) -> bool:
        """Run one epoch, if there is anything to do.

        An epoch that has only asked sources, and got nothing, is not committed: it goes on in
        the next one. What it has counted is seen at once, and stored with the next commit.

        Args:
            first: is called within the epoch, before anything else.

        Returns:
            Whether anything was done.

        Raises:
            Exception: what user code has raised; the epoch was taken back.
        """
        try:
            self._begin()
            if first is not None:
                first()
            worked = self._work() or first is not None
            if (worked and not self._is_quiet()) or first is not None or self._has_spare_space():
                self._commit()
            else:
                self._count_quiet()
        except BaseException as error:
            self._take_back(error)
            raise
        self._end_bundles()
        return worked

    def close(self) -> None:
        """Commit what quiet epochs have counted; there is nothing else between two epochs."""
        if self._open and self._counted:
            self._commit()
        with self._guard:
            if self._open:
                self._store.rollback()
                self._open = False

    def _next_timer_us(self) -> int | None:
        with self._guard:
            return self._time.next_timer_us()

    # --- the transaction ----------------------------------------------------------------------

    def _begin(self) -> None:
        self._epoch.number += 1
        if not self._open:
            with self._guard:
                self._store.begin()
            self._open = True

    def _commit(self) -> None:
        with self._guard:  # of both, or progress would show what a crash takes back
            self._save()
            self._store.commit()
            self._epoch.committed, self._epoch.ended_s = self._epoch.number, time.monotonic()
        self._open = self._epoch.changed = self._counted = False

    def _has_spare_space(self) -> bool:
        """Whether the disk would get something back: that happens between two transactions."""
        with self._guard:
            return self._store.has_spare_space()

    def _is_quiet(self) -> bool:
        """Whether sources were asked and had nothing, and nothing else has happened."""
        return not self._epoch.changed and not any(result.needs_end for result in self._results)

    def _count_quiet(self) -> None:
        """Count what an epoch has reported that is not committed: the next commit stores it."""
        with self._guard:
            for result in self._results:
                self._counted |= self.totals.add_user(result.infos)
            self._epoch.ended_s = time.monotonic()

    def _take_back(self, error: BaseException) -> None:
        with self._guard:
            self._store.rollback()
            self._epoch.ended_s = time.monotonic()
        self._open = self._epoch.changed = self._counted = False
        self._workers.abandon(self._results, error)
        self._results = []
        self._drops.forget()
        self._reload()

    def _reload(self) -> None:
        with self._guard:
            epoch = self._store.get(_EPOCH)
            self._epoch.number = self._epoch.committed = 0 if epoch is None else int(epoch)
            self.totals.load(self._store.get(_METRICS))
            self._pending.reload(self._epoch.number)
            self._time.reload(self._store.get(_WATERMARKS))
            self._state.reload()
            self._add_impulses()
        self._workers.invalidate()

    def _add_impulses(self) -> None:
        """Give each impulse its one element, unless that was done in an earlier life."""
        encoded = self._store.get(_IMPULSES)
        self._impulses = set() if encoded is None else set(msgspec.json.decode(encoded))
        for port in self._graph.readers[IMPULSE]:
            if port.name not in self._impulses:
                self._impulses.add(port.name)
                chunk = Chunk(ENCODED_IMPULSE_VALUE, MIN_US)
                self._pending.add(port.name, chunk, self._epoch.number)

    def _save(self) -> None:
        self._pending.save()
        self._state.forget_runner_cells()
        for result in self._results:
            self.totals.add(result.infos)
        self.totals.add(self._drops.take())
        self._store.put(_EPOCH, str(self._epoch.number).encode())
        self._store.put(_WATERMARKS, self._time.watermarks.encode())
        self._store.put(_IMPULSES, msgspec.json.encode(sorted(self._impulses)))
        self._store.put(_METRICS, self.totals.encode())

    def _end_bundles(self) -> None:
        """Finalize: only now may messages be acknowledged."""
        results, self._results = self._results, []
        for result in results:
            if result.needs_end:
                _finalize(result)

    # --- within an epoch ----------------------------------------------------------------------

    def _work(self) -> bool:
        """Run bundles until nothing is ready or the epoch is long enough."""
        started_s = time.monotonic()
        worked = self._epoch.crowded = False
        while not self._epoch.crowded:
            if self._run_last_ready():
                worked = True
                if time.monotonic() - started_s > EPOCH_S:
                    self._advance()  # else sources that are always busy would stop all windows
                    return True
            elif self._advance():
                worked = True
            else:
                return worked
        return True

    def _advance(self) -> bool:
        with self._guard:
            return self._time.advance()

    def _run_last_ready(self) -> bool:
        """Run the stage that is ready and farthest down: what waits stays little."""
        now_us = self._clock.now_us()
        for stage in reversed(self._graph.stages):
            with self._guard:
                inputs = self._intake.take(stage, now_us)
                timers = {} if inputs else self._time.take_timers(stage, now_us)
            if inputs or timers:
                self._run(stage, inputs, timers)
                return True
        return False

    def _run(
        self, stage: StageNode, inputs: Taken, timers: Mapping[tuple[str, str], bytes]
    ) -> None:
        descriptor = self._workers.descriptor(stage)
        bundle = bundle_of(stage, inputs, timers, descriptor, self._workers.token)
        holds_us = (item.chunk.hold_us for items in inputs.values() for item in items)
        hold_us = min(holds_us, default=MAX_US)
        for result in self._workers.run(stage, bundle):
            self._results.append(result)
            self._epoch.changed |= bool(timers) or not result.residuals
            with self._guard:
                self._routing.route(stage, result)
                self._routing.keep_residuals(stage, result, hold_us)
            result.drop_data()
        with self._guard:
            for items in inputs.values():
                self._pending.discard(items)


def _finalize(result: BundleResult) -> None:
    try:
        result.harness.finalize(result.number)
    except Exception:  # noqa: BLE001 - whatever a harness answers
        # The epoch is committed: what was not acknowledged comes again, for the source to tell.
        _log.warning("bundle %s: committed, but not finalized", result.number, exc_info=True)
