"""Lets elements through to a stage as soon as the side inputs of its steps are there."""

from __future__ import annotations

from typing import Any

from runners.local.graph import Graph, Port, SideInput, StageNode
from runners.local.pending import Item
from runners.local.side_inputs import is_ready, separate
from runners.local.state import StateService
from runners.local.store import Chunk
from runners.local.watermarks import MAX_US, Watermarks

__all__ = ["Gate"]


class Gate:
    """Judges what waits at stages with side inputs.

    Args:
        graph: the stages.
        state: has the elements of side inputs.
        watermarks: tell which windows of a side input are complete.
    """

    def __init__(self, graph: Graph, state: StateService, watermarks: Watermarks) -> None:
        self._graph = graph
        self._state = state
        self._watermarks = watermarks

    def part(
        self, stage: StageNode, port: Port, items: list[Item], epoch: int
    ) -> tuple[list[Item], list[Item]]:
        """Return the items that may be processed, and those that must wait.

        What waits is not judged again before a side input has changed.
        """
        progress = tuple(self._watermarks.of_buffer(side.buffer) for side in stage.side_inputs)
        if all(watermark == MAX_US for watermark in progress):
            return items, []
        version = (*progress, self._state.side_input_version)
        ready: list[Item] = []
        waiting: list[Item] = []
        for item in items:
            if item.checked == version:
                waiting.append(item)
                continue
            now, later = self._separate(stage, port, item, epoch)
            ready += now
            waiting += later
        for item in waiting:
            item.checked = version
        return ready, waiting

    def _separate(
        self, stage: StageNode, port: Port, item: Item, epoch: int
    ) -> tuple[list[Item], list[Item]]:
        def ready(window: Any) -> bool:
            return all(
                is_ready(side, window, self._watermarks.of_buffer(side.buffer), self._has_elements)
                for side in stage.side_inputs
            )

        chunk = item.chunk
        coder = self._graph.coder_of(stage, port.transform)
        now, later = separate(chunk.data or b"", coder, ready, truncated=chunk.bag is not None)
        if not now:
            return [], [item]
        if not later:
            return [item], []
        rest = Item(Chunk(later, chunk.hold_us, chunk.due_us), epoch)
        return [Item(Chunk(now, chunk.hold_us, chunk.due_us), epoch, item.number)], [rest]

    def _has_elements(self, side_input: SideInput, window: Any) -> bool:
        encoded = side_input.windowing.windowfn.get_window_coder().encode(window)
        return self._state.has_side_input(side_input.transform, side_input.tag, encoded)
