"""Drops elements that come behind the end of their window, before steps with state.

The state of such a window is gone, and a harness may still have some of it in its cache: what an
element would find there is left to chance.
"""

from __future__ import annotations

from typing import Any

from apache_beam.transforms.window import GlobalWindows

from runners.local.drops import Drops
from runners.local.elements import each
from runners.local.expiry import expiry_us
from runners.local.graph import Graph, lateness_us
from runners.local.nodes import Port, StageNode
from runners.local.pending import Item
from runners.local.side_inputs import separate
from runners.local.store import Chunk
from runners.local.watermarks import MIN_US

__all__ = ["LateElements"]


class LateElements:
    """Judges what a stage with state is given.

    Args:
        graph: the stages.
        drops: is told what drops.
    """

    def __init__(self, graph: Graph, drops: Drops) -> None:
        self._graph = graph
        self._drops = drops
        self._lateness_us: dict[str, int] = {}
        self._steps: dict[str, str] = {}
        for stage in graph.stages:
            if stage.stateful:
                step = next(t for t in stage.transforms if t.unique_name in stage.stateful)
                windowing = graph.windowing_of(graph.main_pcollection(step))
                if not isinstance(windowing.windowfn, GlobalWindows):
                    self._lateness_us[stage.name] = lateness_us(windowing)
                    self._steps[stage.name] = step.unique_name

    def part(
        self, stage: StageNode, port: Port, items: list[Item], expired_us: int
    ) -> tuple[list[Item], list[Item]]:
        """Return what may be processed, and the items of which nothing is left.

        Args:
            stage: which has state.
            port: where the items wait.
            items: what was taken from there.
            expired_us: the watermark by which state was removed.
        """
        lateness = self._lateness_us.get(stage.name)
        if lateness is None or expired_us == MIN_US:
            return items, []
        kept: list[Item] = []
        dropped: list[Item] = []
        coder = self._graph.coder_of(stage, port.transform)

        def is_open(window: Any) -> bool:
            return expiry_us(window, lateness) > expired_us

        for item in items:
            chunk = item.chunk
            data = chunk.data or b""
            rest, late = separate(data, coder, is_open, truncated=chunk.bag is not None)
            if late:
                weight = self._weight(stage, port, late, truncated=chunk.bag is not None)
                self._drops.note(self._steps[stage.name], weight)
            if not late:
                kept.append(item)
            elif not rest:
                dropped.append(item)
            else:
                kept.append(Item(Chunk(rest, chunk.hold_us, chunk.due_us), item.epoch, item.number))
        return kept, dropped

    def _weight(self, stage: StageNode, port: Port, late: bytes, *, truncated: bool) -> int:
        if truncated:  # one pane, too large to be taken apart
            return 1
        coder = self._graph.full_coder(self._graph.read_by(stage, port.transform))
        return sum(
            len(windowed.windows) * self._drops.weight(_value(windowed.value))
            for windowed, _ in each(late, coder)
        )


def _value(element: Any) -> Any:
    """Return the value of a pair; what a stage reads may not be one yet."""
    return element[1] if isinstance(element, tuple) and len(element) == 2 else element  # noqa: PLR2004
