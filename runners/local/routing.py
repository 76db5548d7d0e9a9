"""Where the outputs of a bundle go: to the ports, groupings and side inputs that read them."""

from __future__ import annotations

from runners.local.bundles import BundleResult
from runners.local.clock import Clock
from runners.local.drops import Drops
from runners.local.elements import from_index
from runners.local.epoch import Epoch
from runners.local.event_time import EventTime
from runners.local.graph import Graph
from runners.local.internals import proto_utils
from runners.local.nodes import Port, StageNode
from runners.local.pending import Pending
from runners.local.state import StateService
from runners.local.store import Chunk
from runners.local.wiring import input_of

__all__ = ["Routing"]


class Routing:
    """Gives elements to who reads them. Its caller holds the lock of the store.

    Args:
        graph: tells who does.
        state: keeps the elements of side inputs.
        pending: keeps what waits at ports.
        event_time: has groupings and timers.
        clock: processing time.
        epoch: the one at work.
        drops: is told which groupings drop.
    """

    def __init__(  # noqa: PLR0917 - all that takes elements in
        self,
        graph: Graph,
        state: StateService,
        pending: Pending,
        event_time: EventTime,
        clock: Clock,
        epoch: Epoch,
        drops: Drops,
    ) -> None:
        self._graph, self._state, self._pending = graph, state, pending
        self._time, self._clock, self._epoch = event_time, clock, epoch
        self._drops = drops

    def route(self, stage: StageNode, result: BundleResult) -> None:
        """Give what a bundle has put out to who reads it."""
        hold_us = self._time.watermarks.of(stage.name)
        for transform, pieces in result.outputs.items():
            for piece in pieces:
                self.deliver(stage.outputs[transform], piece, hold_us)
        for (transform, family), pieces in result.timers.items():
            for piece in pieces:
                self._time.timers.record(transform, family, piece)
                self._epoch.changed = True

    def deliver(self, buffer: bytes, data: bytes, hold_us: int) -> None:
        """Give elements to the readers of a buffer; they hold the watermark there."""
        self._epoch.changed = True
        grouping = self._time.groups.get(buffer)
        if grouping is not None:
            before = grouping.dropped
            grouping.add(data, self._time.watermarks.of_buffer(input_of(buffer)))
            if grouping.dropped > before:
                self._drops.note(grouping.name, grouping.dropped - before)
            return
        for port in self._graph.readers.get(buffer, ()):
            # What was committed before it is taken, a retry finds as it was.
            epoch = self._epoch.number + 1 if port.stable else self._epoch.number
            self._pending.add(port.name, Chunk(data, hold_us), epoch)
        for side_input in self._graph.side_readers.get(buffer, ()):
            self._state.add_side_input(
                side_input.transform, side_input.tag, side_input.access, side_input.coder, data,
                lateness_us=side_input.lateness_us,
            )  # fmt: skip

    def keep_residuals(self, stage: StageNode, result: BundleResult, hold_us: int) -> None:
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
            self._pending.add(port.name, chunk, self._epoch.number + 1)
        for split in result.splits:
            port = stage.ports[split.transform]
            coder = self._graph.coder_of(stage, split.transform)
            given = b"".join(result.inputs[split.transform])
            rest = from_index(given, coder, split.first_residual)
            if rest:
                self._pending.add(port.name, Chunk(rest, hold_us), self._epoch.number + 1)

    def _source_port(self, stage: StageNode, transform: str, tag: str) -> Port:
        """Return the port that feeds a source, perhaps by way of a truncation."""
        by_name = {part.unique_name: part for part in stage.transforms}
        pcollection = by_name[transform].inputs[tag]
        while True:
            producer = next(p for p in stage.transforms if pcollection in p.outputs.values())
            if producer.unique_name in stage.ports:
                return stage.ports[producer.unique_name]
            (pcollection,) = producer.inputs.values()
