"""What a stage is given next: elements that may be processed, and timers that are due."""

from __future__ import annotations

from collections.abc import Mapping

from runners.local.bundles import Bundle
from runners.local.drops import Drops
from runners.local.epoch import Epoch
from runners.local.event_time import EventTime
from runners.local.gate import Gate
from runners.local.graph import Graph
from runners.local.internals import create_OutputStream
from runners.local.late import LateElements
from runners.local.nodes import Port, StageNode
from runners.local.pending import Item, Pending
from runners.local.state import StateService, bag_token
from runners.local.store import Chunk

__all__ = ["Intake", "Taken", "bundle_of"]

BUNDLE_BYTES_MAX = 64 << 20
"""Input of one bundle, by whole chunks."""

Taken = Mapping[Port, list[Item]]


class Intake:
    """Takes from what waits. Its caller holds the lock of the store.

    Args:
        graph: the stages.
        state: has the elements of side inputs.
        pending: where elements wait.
        event_time: tells what is late, and which side inputs are complete.
        epoch: the one at work.
        drops: is told what comes too late.
    """

    def __init__(  # noqa: PLR0917 - all that decides what may go
        self,
        graph: Graph,
        state: StateService,
        pending: Pending,
        event_time: EventTime,
        epoch: Epoch,
        drops: Drops,
    ) -> None:
        self._pending, self._time, self._epoch = pending, event_time, epoch
        self._gate = Gate(graph, state, event_time.watermarks)
        self._late = LateElements(graph, drops)

    def take(self, stage: StageNode, now_us: int) -> Taken:
        """Take elements for a stage, about as many as fit into a bundle, at each of its ports."""
        taken = {}
        for port in stage.ports.values():
            items = self._take_ready(stage, port, now_us)
            if items and stage.stateful:
                items = self._drop_late(stage, port, items)
            if items:
                taken[port] = items
        return taken

    def _drop_late(self, stage: StageNode, port: Port, items: list[Item]) -> list[Item]:
        expired_us = self._time.expired_us(stage)
        items, late = self._late.part(stage, port, items, expired_us)
        self._pending.discard(late)
        self._epoch.changed |= bool(late)
        return items

    def _take_ready(self, stage: StageNode, port: Port, now_us: int) -> list[Item]:
        """Take what need not wait for side inputs."""
        if not stage.side_inputs:
            return self._pending.take(port.name, self._epoch.number, now_us, BUNDLE_BYTES_MAX)
        wanted = self._gate.wanted(stage)
        while True:  # those that must wait may fill a bundle, and others come behind them
            items = self._pending.take(
                port.name, self._epoch.number, now_us, BUNDLE_BYTES_MAX, wanted
            )
            ready, waiting = self._gate.part(stage, port, items, self._epoch.number)
            self._pending.put_back(port.name, waiting)
            if ready or not waiting:
                return ready


def bundle_of(
    stage: StageNode,
    inputs: Taken,
    timers: Mapping[tuple[str, str], bytes],
    descriptor: str,
    token: bytes,
) -> Bundle:
    """Return the bundle that processes what was taken.

    Args:
        stage: which processes it.
        inputs: elements by port.
        timers: by step and family.
        descriptor: id of the stage's descriptor.
        token: what harnesses keep of the state is valid while it stays the same.
    """
    by_transform = {port.transform: items for port, items in inputs.items()}
    pieces = {
        transform: [_encoded(item.chunk) for item in by_transform.get(transform, ())]
        for transform in stage.ports
    }
    families = [(timer.transform, timer.family) for timer in stage.timers]
    return Bundle(
        descriptor,
        pieces,
        {family: timers.get(family, b"") for family in families},
        list(stage.outputs),
        token,
        stage.splittable,
    )


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
