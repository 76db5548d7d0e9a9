"""Lets elements through to a stage as soon as the side inputs of its steps are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runners.local.graph import Graph
from runners.local.nodes import Port, SideInput, StageNode
from runners.local.pending import Item
from runners.local.side_inputs import is_ready, separate
from runners.local.state import StateService
from runners.local.store import Chunk
from runners.local.watermarks import MAX_US, Watermarks

__all__ = ["Gate"]

WINDOWS_MAX = 1_000
"""So many windows of a chunk are remembered; one that waits for more is read to be judged."""


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

    def wanted(self, stage: StageNode) -> Callable[[Item], bool]:
        """Return what tells whether an item may be ready, without a look at its data.

        What waits is not judged again before a side input has changed, and not read again before
        one of its windows is ready.
        """
        version = self._version(stage)
        ready = self._judge(stage)

        def may_be_ready(item: Item) -> bool:
            if version is None or item.checked is None:
                return True
            if item.checked == version:
                return False
            if item.windows is None or any(map(ready, item.windows)):
                return True
            item.checked = version
            return False

        return may_be_ready

    def part(
        self, stage: StageNode, port: Port, items: list[Item], epoch: int
    ) -> tuple[list[Item], list[Item]]:
        """Return the items that may be processed, and those that must wait."""
        version = self._version(stage)
        if version is None:
            return items, []
        judge = self._judge(stage)
        ready: list[Item] = []
        waiting: list[Item] = []
        for item in items:
            now, later = self._separate(stage, port, item, epoch, judge)
            ready += now
            waiting += later
        for item in waiting:
            item.checked = version
        return ready, waiting

    def _version(self, stage: StageNode) -> tuple[object, ...] | None:
        """Return what the side inputs of a stage are like, None if they are complete."""
        progress = [self._watermarks.of_buffer(side.buffer) for side in stage.side_inputs]
        if all(watermark == MAX_US for watermark in progress):
            return None
        return (*progress, self._state.side_input_version)

    def _judge(self, stage: StageNode) -> Callable[[Any], bool]:
        """Return what tells whether the side inputs of a window are ready."""
        judged: dict[Any, bool] = {}

        def ready(window: Any) -> bool:
            if window not in judged:
                judged[window] = all(
                    is_ready(
                        side, window, self._watermarks.of_buffer(side.buffer), self._has_elements
                    )
                    for side in stage.side_inputs
                )
            return judged[window]

        return ready

    def _separate(
        self,
        stage: StageNode,
        port: Port,
        item: Item,
        epoch: int,
        judge: Callable[[Any], bool],
    ) -> tuple[list[Item], list[Item]]:
        waited: set[Any] = set()

        def ready(window: Any) -> bool:
            yes = judge(window)
            if not yes:
                waited.add(window)
            return yes

        chunk = item.chunk
        coder = self._graph.coder_of(stage, port.transform)
        now, later = separate(chunk.data or b"", coder, ready, truncated=chunk.bag is not None)
        if not later:
            return [item], []
        windows = waited if len(waited) <= WINDOWS_MAX else None
        if not now:
            item.windows = windows
            return [], [item]
        rest = Item(Chunk(later, chunk.hold_us, chunk.due_us), epoch, windows=windows)
        return [Item(Chunk(now, chunk.hold_us, chunk.due_us), epoch, item.number)], [rest]

    def _has_elements(self, side_input: SideInput, window: Any) -> bool:
        encoded = side_input.windowing.windowfn.get_window_coder().encode(window)
        return self._state.has_side_input(side_input.transform, side_input.tag, encoded)
