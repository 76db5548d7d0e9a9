"""How nodes hang together in time: who is behind whom, and who promises what."""

from __future__ import annotations

from runners.local.graph import Graph
from runners.local.nodes import GroupNode, StageNode
from runners.local.timers import TimerFamily
from runners.local.translation import GROUP, IMPULSE, buffer_parts

__all__ = ["families", "in_order", "input_of", "producers"]


def input_of(buffer: bytes) -> bytes:
    """Return the name under which the writers of a grouping are known."""
    return b"into:" + buffer


def producers(graph: Graph) -> dict[bytes, list[str]]:
    """Return who promises that nothing earlier comes through a buffer.

    A grouping stands between those who write its buffer and those who read it.
    """
    producers: dict[bytes, list[str]] = {}
    for buffer, stages in graph.producers.items():
        names = [stage.name for stage in stages]
        producers[input_of(buffer) if _kind(buffer) == GROUP else buffer] = names
    for group in graph.groups:
        producers[group.buffer] = [group.name]
    for stream in graph.streams:
        for buffer in stream.buffers.values():
            producers[buffer] = [buffer.decode()]
    return producers


def _kind(buffer: bytes) -> str:
    return "" if buffer == IMPULSE else buffer_parts(buffer)[0]


def in_order(graph: Graph) -> list[StageNode | GroupNode]:
    """Return all nodes, each behind those that it depends on."""
    nodes: list[StageNode | GroupNode] = []
    groups = {group.buffer: group for group in graph.groups}
    for stage in graph.stages:
        read = [port.buffer for port in stage.ports.values()]
        nodes.extend(groups.pop(buffer) for buffer in read if buffer in groups)
        nodes.append(stage)
    return nodes


def families(graph: Graph) -> dict[tuple[str, str], TimerFamily]:
    """Return the timer families of all steps, by step and family."""
    return {
        (timer.transform, timer.family): TimerFamily(graph.coder_impl(timer.coder_id), timer.domain)
        for stage in graph.stages
        for timer in stage.timers
    }
