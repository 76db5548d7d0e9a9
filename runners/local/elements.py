"""Encoded elements, one after the other: where each begins and ends, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runners.local.internals import create_InputStream

__all__ = ["each", "from_index"]


def each(data: bytes, coder: Any) -> Iterator[tuple[Any, bytes]]:
    """Yield each element, decoded and as it was encoded.

    Args:
        data: encoded elements, nested, back to back.
        coder: decodes one of them.
    """
    stream = create_InputStream(data)
    decode = coder.get_impl().decode_from_stream
    start, size = 0, len(data)
    while start < size:
        element = decode(stream, True)
        end = size - stream.size()
        yield element, data[start:end]
        start = end


def from_index(data: bytes, coder: Any, first: int) -> bytes:
    """Return the encoded elements from an index on."""
    parts = [encoded for _, encoded in each(data, coder)]
    return b"".join(parts[first:])
