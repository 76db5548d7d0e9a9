"""Event time through the graph: watermarks move, windows fire, timers are due, state expires."""

from __future__ import annotations

from apache_beam.utils.timestamp import Timestamp

from runners.local.clock import Clock
from runners.local.drops import Drops
from runners.local.epoch import Epoch
from runners.local.graph import Graph
from runners.local.grouping import Grouping
from runners.local.nodes import GroupNode, StageNode
from runners.local.pending import Pending
from runners.local.state import StateService
from runners.local.store import Store
from runners.local.timers import UserTimers
from runners.local.watermarks import MAX_US, MIN_US, Watermarks
from runners.local.wiring import families, in_order, input_of, producers

__all__ = ["EventTime"]

TIMERS_MAX = 10_000
"""Timers that fire in one bundle."""


class EventTime:
    """How far every node is, and what follows from it. Its caller holds the lock of the store.

    Args:
        graph: the nodes.
        store: where groupings and timers are.
        state: of steps and side inputs, which expires.
        pending: what waits holds the watermark; panes that fire wait there.
        clock: processing time.
        epoch: the one at work.
        drops: weighs what groupings drop.

    Attributes:
        watermarks: the output watermark of each node.
        groups: the groupings by their buffers.
        timers: of all steps.
    """

    def __init__(  # noqa: PLR0917 - the parts that time goes through
        self,
        graph: Graph,
        store: Store,
        state: StateService,
        pending: Pending,
        clock: Clock,
        epoch: Epoch,
        drops: Drops,
    ) -> None:
        self._graph, self._store, self._state = graph, store, state
        self._drops = drops
        self._pending, self._clock, self._epoch = pending, clock, epoch
        self._nodes = in_order(graph)
        self._inputs_us: dict[str, int] = {}
        self.watermarks = Watermarks(producers(graph))
        self.groups = {group.buffer: self._grouping(group) for group in graph.groups}
        self.timers = UserTimers(store, families(graph), state.expiry)

    def reload(self, watermarks: bytes | None) -> None:
        """Forget what is not in the store, after a rollback; take the watermarks that are."""
        self.watermarks.load(watermarks)
        self._inputs_us.clear()
        for grouping in self.groups.values():
            grouping.reload()

    def advance(self) -> bool:
        """Move the watermarks; fire windows; expire. Return whether anything has changed."""
        moved = False
        for node in self._nodes:
            if isinstance(node, GroupNode):
                moved |= self._advance_group(node)
            else:
                moved |= self._advance_stage(node)
        return moved

    def expired_us(self, stage: StageNode) -> int:
        """Return the watermark by which the state of a stage was removed."""
        return self._inputs_us.get(stage.name, MIN_US)

    def take_timers(self, stage: StageNode, now_us: int) -> dict[tuple[str, str], bytes]:
        """Remove timers of a stage that are due, and return them by step and family."""
        if not stage.timers:
            return {}
        steps = sorted({timer.transform for timer in stage.timers})
        return self.timers.take_due(steps, self._input_us(stage), now_us, TIMERS_MAX)

    def next_timer_us(self) -> int | None:
        """Return the next processing time at which a timer or a trigger is due."""
        steps = sorted({timer.transform for s in self._graph.stages for timer in s.timers})
        times = [self.timers.next_time_us(steps)] if steps else []
        times += [grouping.next_time_us() for grouping in self.groups.values()]
        return min((time_us for time_us in times if time_us is not None), default=None)

    def _advance_stage(self, stage: StageNode) -> bool:
        input_us = self._input_us(stage)
        steps = {timer.transform for timer in stage.timers}
        holds = [self.timers.hold_us(step) for step in steps]
        moved = self.watermarks.advance(stage.name, input_us, holds)
        if input_us > self._inputs_us.get(stage.name, MIN_US):
            self._inputs_us[stage.name] = input_us
            # Timers may have become due, which the caller looks for.
            moved = moved or bool(steps) or bool(stage.side_inputs)
        self._expire(stage, input_us)
        return moved

    def _advance_group(self, node: GroupNode) -> bool:
        grouping = self.groups[node.buffer]
        input_us = self.watermarks.of_buffer(input_of(node.buffer))
        # More panes than memory should hold: they are stored before the next ones fire.
        self._epoch.crowded |= grouping.advance(input_us, self._clock.now_us())
        panes = grouping.take()
        for pane in panes:
            self._pending.add(node.port.name, pane, self._epoch.number + 1)
        self._epoch.changed |= bool(panes)
        moved = self.watermarks.advance(node.name, input_us, [grouping.hold_us()])
        return moved or bool(panes)

    def _input_us(self, stage: StageNode) -> int:
        ports = stage.ports.values()
        promised = [self.watermarks.of_buffer(port.buffer) for port in ports]
        waiting = [self._pending.hold_us(port.name) for port in ports]
        return min([*promised, *(hold for hold in waiting if hold is not None)], default=MAX_US)

    def _expire(self, stage: StageNode, input_us: int) -> None:
        """Remove the state of windows that nothing can reach any more."""
        for step in stage.stateful:
            self._state.expire(step, input_us)
        for side in stage.side_inputs:
            self._state.expire_side_input(side.transform, side.tag, input_us)

    def _grouping(self, node: GroupNode) -> Grouping:
        return Grouping(
            node.name, node.windowing, node.input_coder, node.output_coder,
            self._store, lambda: Timestamp(micros=self._clock.now_us()),
            batch=node.bounded, weigh=self._drops.scale(node.value_coder),
        )  # fmt: skip
