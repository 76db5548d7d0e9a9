"""Which part of a bundle goes to which worker."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runners.local.bundles import Bundle
from runners.local.elements import each
from runners.local.graph import Graph
from runners.local.nodes import StageNode

__all__ = ["Part", "partition"]

Part = tuple[Mapping[str, Sequence[bytes]], Mapping[tuple[str, str], bytes]]
"""The inputs and the timers of one worker, each with the same keys as in the whole bundle."""


def partition(graph: Graph, stage: StageNode, bundle: Bundle, count: int) -> list[Part]:
    """Part a bundle: by key where the stage has state or timers, evenly elsewhere."""
    inputs: list[dict[str, Sequence[bytes]]] = [{} for _ in range(count)]
    for transform, pieces in bundle.inputs.items():
        coder = graph.coder_of(stage, transform)
        if stage.stateful:
            key_coder = coder.wrapped_value_coder.key_coder().get_impl()
            parts = _by_key(b"".join(pieces), coder, count, _key_of_element(key_coder))
        else:
            parts = _evenly(pieces, coder, count)
        for worker, part in zip(inputs, parts, strict=True):
            worker[transform] = part
    timers: list[dict[tuple[str, str], bytes]] = [{} for _ in range(count)]
    for timer in stage.timers:
        family = (timer.transform, timer.family)
        coder = graph.coder(timer.coder_id)
        parts = _by_key(bundle.timers[family], coder, count, _key_of_timer(graph, stage))
        for worker_timers, part in zip(timers, parts, strict=True):
            worker_timers[family] = b"".join(part)
    return list(zip(inputs, timers, strict=True))


def _key_of_element(key_coder: Any) -> Callable[[Any], bytes]:
    return lambda windowed: bytes(key_coder.encode(windowed.value[0]))


def _key_of_timer(graph: Graph, stage: StageNode) -> Callable[[Any], bytes]:
    """Return what gives a timer's key as it is encoded in the stage's elements.

    A timer's own coder encodes the key without the length before it that a type has which the
    runner does not know.
    """
    (transform,) = stage.ports
    real = graph.coder(stage.channel_coders[transform]).wrapped_value_coder.key_coder().get_impl()
    known = graph.coder_of(stage, transform).wrapped_value_coder.key_coder().get_impl()
    return lambda timer: bytes(
        known.encode(known.decode_nested(real.encode_nested(timer.user_key)))
    )


def _by_key(
    data: bytes, coder: Any, count: int, key_of: Callable[[Any], bytes]
) -> list[list[bytes]]:
    parts: list[list[bytes]] = [[] for _ in range(count)]
    for element, encoded in each(data, coder):
        parts[zlib.crc32(key_of(element)) % count].append(encoded)
    return parts


def _evenly(pieces: Sequence[bytes], coder: Any, count: int) -> list[list[bytes]]:
    """Part by pieces, which costs nothing, or by elements if there are too few of them."""
    if len(pieces) < count:
        pieces = [encoded for piece in pieces for _, encoded in each(piece, coder)]
    return [list(pieces[number::count]) for number in range(count)]
