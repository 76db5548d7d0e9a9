"""How far event time has come at each node.

The input watermark of a node is the least of what its producers promise and of what waits at its
ports. Its output watermark is that, held back by timers, open windows and sources. No watermark
moves backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

__all__ = ["MAX_US", "MIN_US", "Watermarks"]

MIN_US: int = MIN_TIMESTAMP.micros
MAX_US: int = MAX_TIMESTAMP.micros


class Watermarks:
    """The output watermark of each node by name, in microseconds.

    Args:
        producers: names of the nodes that write a buffer; a buffer without any is complete.
    """

    def __init__(self, producers: Mapping[bytes, Iterable[str]]) -> None:
        self._producers = {buffer: tuple(names) for buffer, names in producers.items()}
        self._outputs: dict[str, int] = {}

    def load(self, encoded: bytes | None) -> None:
        """Take the watermarks that ``encode`` has given; None for none."""
        self._outputs = {} if encoded is None else msgspec.json.decode(encoded, type=dict[str, int])

    def encode(self) -> bytes:
        """Return the watermarks for the store."""
        return msgspec.json.encode(self._outputs)

    def of(self, node: str) -> int:
        """Return the output watermark of a node."""
        return self._outputs.get(node, MIN_US)

    def of_buffer(self, buffer: bytes) -> int:
        """Return the least watermark of those who write a buffer."""
        return min(map(self.of, self._producers.get(buffer, ())), default=MAX_US)

    def advance(self, node: str, input_us: int, holds: Iterable[int | None]) -> bool:
        """Move a node's output watermark as far as its input and its holds allow.

        Returns:
            Whether it has moved.
        """
        output = min([input_us, *(hold for hold in holds if hold is not None)])
        if output <= self.of(node):
            return False
        self._outputs[node] = output
        return True
