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
from apache_beam.utils.timestamp import Timestamp

from runners.local.bundles import Bundle, BundleResult
from runners.local.clock import Clock
from runners.local.elements import from_index
from runners.local.gate import Gate
from runners.local.graph import Graph, GroupNode, Port, StageNode
from runners.local.grouping import Grouping
from runners.local.internals import ENCODED_IMPULSE_VALUE, create_OutputStream, proto_utils
from runners.local.late import LateElements
from runners.local.metrics import Totals
from runners.local.pending import Item, Pending
from runners.local.progress import Progress, numbers_of
from runners.local.state import StateService, bag_token
from runners.local.store import Chunk, Store
from runners.local.timers import TimerFamily, UserTimers
from runners.local.translation import GROUP, IMPULSE, buffer_parts
from runners.local.watermarks import MAX_US, MIN_US, Watermarks
from runners.local.workers import Workers

__all__ = ["Executor"]

_log = logging.getLogger(__name__)

BUNDLE_BYTES_MAX = 64 << 20
"""Input of one bundle, by whole chunks."""
EPOCH_S = 2.0
"""After this time an epoch is committed although more is ready: what waits is stored too."""
TIMERS_MAX = 10_000
"""Timers that fire in one bundle."""

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
    ) -> None:
        self._graph = graph
        self._store = store
        self._state = state
        self._workers = workers
        self._clock = clock
        self._guard = guard
        self._pending = Pending(store)
        self._stages = {stage.name: stage for stage in graph.stages}
        self._inputs_us: dict[str, int] = {}
        self._groups = {group.buffer: self._grouping(group) for group in graph.groups}
        self._timers = UserTimers(store, _families(graph), state.expiry)
        self._nodes = _in_order(graph)
        self._watermarks = Watermarks(_producers(graph))
        self._gate = Gate(graph, state, self._watermarks)
        self._late = LateElements(graph)
        self._results: list[BundleResult] = []
        self._open = self._changed = self._counted = self._crowded = False
        self.totals = Totals()
        self.epoch = 0
        self._reload()

    # --- between epochs -----------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all input is processed, all windows are closed and no timer is left."""
        return (
            not self._pending.ports
            and all(self._watermarks.of(stage) == MAX_US for stage in self._stages)
            and self._next_timer_us() is None
        )

    def next_due_us(self) -> int | None:
        """Return the processing time at which there will be something to do, if it is known."""
        times = (self._next_timer_us(), self._pending.next_due_us(self.epoch))
        return min((time_us for time_us in times if time_us is not None), default=None)

    def watermark_us(self, node: str) -> int:
        """Return the output watermark of a node."""
        return self._watermarks.of(node)

    def progress(self) -> Progress:
        """Return how far the job has come. May be called from any thread."""
        with self._guard:
            results = self.totals.query(user_only=True)
            sources = (stage.name for stage in self._graph.stages if stage.splittable)
            watermark_us = min(map(self._watermarks.of, sources), default=MIN_US)
            epoch = self.epoch
        known = MIN_US < watermark_us < MAX_US
        return Progress(epoch, watermark_us if known else None, numbers_of(results))

    def deliver(self, buffer: bytes, data: bytes) -> None:
        """Give elements to the readers of a buffer. Only for what ``run`` calls first."""
        self._deliver(buffer, data, self._watermarks.of_buffer(buffer))

    def promise(self, buffer: bytes, watermark_us: int) -> None:
        """Move the watermark of a TestStream's output. Only for what ``run`` calls first."""
        self._watermarks.advance(buffer.decode(), watermark_us, ())

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
                self._save()
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
            self._save()
            self._commit()
        with self._guard:
            if self._open:
                self._store.rollback()
                self._open = False

    def _count_quiet(self) -> None:
        """Count what an epoch has reported that is not committed: the next commit stores it."""
        for result in self._results:
            self._counted |= self.totals.add_user(result.infos)

    def _begin(self) -> None:
        self.epoch += 1
        if not self._open:
            with self._guard:
                self._store.begin()
            self._open = True

    def _commit(self) -> None:
        with self._guard:
            self._store.commit()
        self._open = self._changed = self._counted = False

    def _has_spare_space(self) -> bool:
        """Whether the disk would get something back: that happens between two transactions."""
        with self._guard:
            return self._store.has_spare_space()

    def _is_quiet(self) -> bool:
        """Whether sources were asked and had nothing, and nothing else has happened."""
        return not self._changed and not any(result.needs_end for result in self._results)

    def _take_back(self, error: BaseException) -> None:
        with self._guard:
            self._store.rollback()
        self._open = self._changed = self._counted = False
        self._workers.abandon(self._results, error)
        self._results = []
        self._reload()

    def _reload(self) -> None:
        with self._guard:
            epoch = self._store.get(_EPOCH)
            self.epoch = 0 if epoch is None else int(epoch)
            self._watermarks.load(self._store.get(_WATERMARKS))
            self.totals.load(self._store.get(_METRICS))
            self._pending.reload(self.epoch)
            self._inputs_us.clear()
            self._state.reload()
            for grouping in self._groups.values():
                grouping.reload()
            self._add_impulses()
        self._workers.invalidate()

    def _add_impulses(self) -> None:
        """Give each impulse its one element, unless that was done in an earlier life."""
        encoded = self._store.get(_IMPULSES)
        self._impulses = set() if encoded is None else set(msgspec.json.decode(encoded))
        for port in self._graph.readers[IMPULSE]:
            if port.name not in self._impulses:
                self._impulses.add(port.name)
                self._pending.add(port.name, Chunk(ENCODED_IMPULSE_VALUE, MIN_US), self.epoch)

    def _save(self) -> None:
        with self._guard:
            self._pending.save()
            self._state.forget_runner_cells()
            for result in self._results:
                self.totals.add(result.infos)
            self._store.put(_EPOCH, str(self.epoch).encode())
            self._store.put(_WATERMARKS, self._watermarks.encode())
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
        worked = self._crowded = False
        while not self._crowded:
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

    def _run_last_ready(self) -> bool:
        """Run the stage that is ready and farthest down: what waits stays little."""
        now_us = self._clock.now_us()
        for stage in reversed(self._graph.stages):
            inputs = self._take(stage, now_us)
            if inputs:
                self._run(stage, inputs, {})
                return True
            timers = self._take_timers(stage, now_us)
            if timers:
                self._run(stage, {}, timers)
                return True
        return False

    def _take(self, stage: StageNode, now_us: int) -> dict[Port, list[Item]]:
        with self._guard:
            taken = {}
            for port in stage.ports.values():
                items = self._take_ready(stage, port, now_us)
                if items and stage.stateful:
                    expired_us = self._inputs_us.get(stage.name, MIN_US)
                    items, late = self._late.part(stage, port, items, expired_us)
                    self._pending.discard(late)
                    self._changed |= bool(late)
                if items:
                    taken[port] = items
            return taken

    def _take_ready(self, stage: StageNode, port: Port, now_us: int) -> list[Item]:
        """Take what need not wait for side inputs."""
        if not stage.side_inputs:
            return self._pending.take(port.name, self.epoch, now_us, BUNDLE_BYTES_MAX)
        wanted = self._gate.wanted(stage)
        while True:  # those that must wait may fill a bundle, and others come behind them
            items = self._pending.take(port.name, self.epoch, now_us, BUNDLE_BYTES_MAX, wanted)
            ready, waiting = self._gate.part(stage, port, items, self.epoch)
            self._pending.put_back(port.name, waiting)
            if ready or not waiting:
                return ready

    def _take_timers(self, stage: StageNode, now_us: int) -> dict[tuple[str, str], bytes]:
        if not stage.timers:
            return {}
        with self._guard:
            steps = sorted({timer.transform for timer in stage.timers})
            input_us = self._input_us(stage)
            return self._timers.take_due(steps, input_us, now_us, TIMERS_MAX)

    def _run(
        self,
        stage: StageNode,
        inputs: Mapping[Port, list[Item]],
        timers: Mapping[tuple[str, str], bytes],
    ) -> None:
        by_transform = {port.transform: items for port, items in inputs.items()}
        pieces = {
            transform: [_encoded(item.chunk) for item in by_transform.get(transform, ())]
            for transform in stage.ports
        }
        bundle = Bundle(
            self._workers.descriptor(stage),
            pieces,
            {
                (timer.transform, timer.family): timers.get((timer.transform, timer.family), b"")
                for timer in stage.timers
            },
            list(stage.outputs),
            self._workers.token,
            stage.splittable,
        )
        hold_us = min(
            (item.chunk.hold_us for items in inputs.values() for item in items), default=MAX_US
        )
        for result in self._workers.run(stage, bundle):
            self._results.append(result)
            self._changed |= bool(timers) or not result.residuals
            with self._guard:
                self._route(stage, result)
                self._keep_residuals(stage, result, hold_us)
            result.drop_data()
        with self._guard:
            for items in inputs.values():
                self._pending.discard(items)

    def _route(self, stage: StageNode, result: BundleResult) -> None:
        """Give what a bundle has put out to who reads it."""
        hold_us = self._watermarks.of(stage.name)
        for transform, pieces in result.outputs.items():
            for piece in pieces:
                self._deliver(stage.outputs[transform], piece, hold_us)
        for (transform, family), pieces in result.timers.items():
            for piece in pieces:
                self._timers.record(transform, family, piece)
                self._changed = True

    def _deliver(self, buffer: bytes, data: bytes, hold_us: int) -> None:
        self._changed = True
        grouping = self._groups.get(buffer)
        if grouping is not None:
            grouping.add(data, self._watermarks.of_buffer(_input_of(buffer)))
            return
        for port in self._graph.readers.get(buffer, ()):
            # What was committed before it is taken, a retry finds as it was.
            epoch = self.epoch + 1 if port.stable else self.epoch
            self._pending.add(port.name, Chunk(data, hold_us), epoch)
        for side_input in self._graph.side_readers.get(buffer, ()):
            self._state.add_side_input(
                side_input.transform, side_input.tag, side_input.access, side_input.coder, data,
                lateness_us=side_input.lateness_us,
            )  # fmt: skip

    def _keep_residuals(self, stage: StageNode, result: BundleResult, hold_us: int) -> None:
        """Let what a source has left to do wait for a later epoch."""
        for residual in result.residuals:
            application = residual.application
            port = self._source_port(stage, application.transform_id, application.input_id)
            reported = [
                proto_utils.to_micros(watermark)
                for watermark in application.output_watermarks.values()
            ]
            delay_us = proto_utils.to_micros(residual.requested_time_delay)
            due_us = self._clock.now_us() + delay_us if delay_us > 0 else 0
            chunk = Chunk(bytes(application.element), min(reported, default=hold_us), due_us)
            self._pending.add(port.name, chunk, self.epoch + 1)
        for split in result.splits:
            port = stage.ports[split.transform]
            coder = self._graph.coder_of(stage, split.transform)
            given = b"".join(result.inputs[split.transform])
            rest = from_index(given, coder, split.first_residual)
            if rest:
                self._pending.add(port.name, Chunk(rest, hold_us), self.epoch + 1)

    def _source_port(self, stage: StageNode, transform: str, tag: str) -> Port:
        """Return the port that feeds a source, perhaps by way of a truncation."""
        by_name = {part.unique_name: part for part in stage.transforms}
        pcollection = by_name[transform].inputs[tag]
        while True:
            producer = next(p for p in stage.transforms if pcollection in p.outputs.values())
            if producer.unique_name in stage.ports:
                return stage.ports[producer.unique_name]
            (pcollection,) = producer.inputs.values()

    # --- event time ---------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Move the watermarks; fire windows; expire. Return whether anything has changed."""
        moved = False
        with self._guard:
            for node in self._nodes:
                if isinstance(node, GroupNode):
                    moved |= self._advance_group(node)
                else:
                    moved |= self._advance_stage(node)
        return moved

    def _advance_stage(self, stage: StageNode) -> bool:
        input_us = self._input_us(stage)
        steps = {timer.transform for timer in stage.timers}
        holds = [self._timers.hold_us(step) for step in steps]
        moved = self._watermarks.advance(stage.name, input_us, holds)
        if input_us > self._inputs_us.get(stage.name, MIN_US):
            self._inputs_us[stage.name] = input_us
            # Timers may have become due, which the caller looks for.
            moved = moved or bool(steps) or bool(stage.side_inputs)
        self._expire(stage, input_us)
        return moved

    def _advance_group(self, node: GroupNode) -> bool:
        grouping = self._groups[node.buffer]
        input_us = self._watermarks.of_buffer(_input_of(node.buffer))
        # More panes than memory should hold: they are stored before the next ones fire.
        self._crowded |= grouping.advance(input_us, self._clock.now_us())
        panes = grouping.take()
        for pane in panes:
            self._pending.add(node.port.name, pane, self.epoch + 1)
        self._changed = self._changed or bool(panes)
        moved = self._watermarks.advance(node.name, input_us, [grouping.hold_us()])
        return moved or bool(panes)

    def _input_us(self, stage: StageNode) -> int:
        ports = stage.ports.values()
        promised = [self._watermarks.of_buffer(port.buffer) for port in ports]
        waiting = [self._pending.hold_us(port.name) for port in ports]
        return min([*promised, *(hold for hold in waiting if hold is not None)], default=MAX_US)

    def _expire(self, stage: StageNode, input_us: int) -> None:
        """Remove the state of windows that nothing can reach any more."""
        for step in stage.stateful:
            self._state.expire(step, input_us)
        for side in stage.side_inputs:
            self._state.expire_side_input(side.transform, side.tag, input_us)

    def _next_timer_us(self) -> int | None:
        with self._guard:
            steps = sorted({timer.transform for s in self._graph.stages for timer in s.timers})
            times = [self._timers.next_time_us(steps)] if steps else []
            times += [grouping.next_time_us() for grouping in self._groups.values()]
        return min((time_us for time_us in times if time_us is not None), default=None)

    def _grouping(self, node: GroupNode) -> Grouping:
        return Grouping(
            node.name, node.windowing, node.input_coder, node.output_coder,
            self._store, lambda: Timestamp(micros=self._clock.now_us()),
            batch=node.bounded,
        )  # fmt: skip


def _finalize(result: BundleResult) -> None:
    try:
        result.harness.finalize(result.number)
    except Exception:  # noqa: BLE001 - whatever a harness answers
        # The epoch is committed: what was not acknowledged comes again, for the source to tell.
        _log.warning("bundle %s: committed, but not finalized", result.number, exc_info=True)


def _input_of(buffer: bytes) -> bytes:
    """Return the name under which the writers of a grouping are known."""
    return b"into:" + buffer


def _producers(graph: Graph) -> dict[bytes, list[str]]:
    """Return who promises that nothing earlier comes through a buffer.

    A grouping stands between those who write its buffer and those who read it.
    """
    producers: dict[bytes, list[str]] = {}
    for buffer, stages in graph.producers.items():
        names = [stage.name for stage in stages]
        producers[_input_of(buffer) if _kind(buffer) == GROUP else buffer] = names
    for group in graph.groups:
        producers[group.buffer] = [group.name]
    for stream in graph.streams:
        for buffer in stream.buffers.values():
            producers[buffer] = [buffer.decode()]
    return producers


def _kind(buffer: bytes) -> str:
    return "" if buffer == IMPULSE else buffer_parts(buffer)[0]


def _in_order(graph: Graph) -> list[StageNode | GroupNode]:
    """Return all nodes, each behind those that it depends on."""
    nodes: list[StageNode | GroupNode] = []
    groups = {group.buffer: group for group in graph.groups}
    for stage in graph.stages:
        read = [port.buffer for port in stage.ports.values()]
        nodes.extend(groups.pop(buffer) for buffer in read if buffer in groups)
        nodes.append(stage)
    return nodes


def _families(graph: Graph) -> dict[tuple[str, str], TimerFamily]:
    return {
        (timer.transform, timer.family): TimerFamily(graph.coder_impl(timer.coder_id), timer.domain)
        for stage in graph.stages
        for timer in stage.timers
    }


def _encoded(chunk: Chunk) -> bytes:
    """Return a chunk's encoding for a harness: the values of a bag are read by need."""
    if chunk.bag is None:
        return chunk.data or b""
    stream = create_OutputStream()
    stream.write(chunk.data or b"")
    stream.write_bigendian_int32(-1)  # of unknown length
    stream.write_var_int64(-1)  # nothing of it here, all of it behind a token
    stream.write(bag_token(chunk.bag), True)
    return bytes(stream.get())
