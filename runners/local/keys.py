"""Binary keys whose parts can't run into each other: cells of state, slots of timers.

Each part is preceded by its length, so that the first parts of a key are a prefix that no other
first parts share. What is removed together has its prefix in common.
"""

from __future__ import annotations

from struct import Struct

__all__ = [
    "bag_state",
    "expiry_owner",
    "first_parts",
    "join",
    "list_state",
    "runner_cell",
    "side_input",
    "side_owner",
    "split",
    "state_of_step",
    "state_of_window",
    "timer_owner",
]

_LENGTH = Struct(">I")
_pack = _LENGTH.pack


def join(*parts: bytes) -> bytes:
    """Return the parts as one key."""
    return b"".join([_pack(len(part)) + part for part in parts])


def split(key: bytes) -> list[bytes]:
    """Return the parts of a key that `join` made."""
    parts, at = [], 0
    while at < len(key):
        (size,) = _LENGTH.unpack_from(key, at)
        at += _LENGTH.size + size
        parts.append(key[at - size : at])
    return parts


def first_parts(key: bytes, count: int) -> bytes:
    """Return the prefix of a key that `join` made, of so many parts."""
    at = 0
    for _ in range(count):
        at += _LENGTH.size + _LENGTH.unpack_from(key, at)[0]
    return key[:at]


def state_of_step(transform_id: str) -> bytes:
    """Return the prefix of all user state of a step."""
    return b"u" + join(transform_id.encode())


def state_of_window(transform_id: str, window: bytes) -> bytes:
    """Return the prefix of all user state of a step in a window."""
    return b"u" + join(transform_id.encode(), window)


def bag_state(transform_id: str, window: bytes, state_id: str, key: bytes) -> bytes:
    """Return the cell of a bag, which is also what values, accumulators and sets are kept in."""
    return b"u" + join(transform_id.encode(), window, b"b" + state_id.encode(), key)


def list_state(transform_id: str, window: bytes, state_id: str, key: bytes) -> bytes:
    """Return the prefix of the cells of an ordered list, one for each sort key."""
    return b"u" + join(transform_id.encode(), window, b"o" + state_id.encode(), key)


def side_input(transform_id: str, tag: str, *parts: bytes) -> bytes:
    """Return a cell, or a prefix of cells, of a side input: its window, the use, the key."""
    return b"s" + join(transform_id.encode(), tag.encode(), *parts)


def runner_cell(key: bytes) -> bytes:
    """Return the cell of what the runner lent to the harness under a key."""
    return b"r" + key


def timer_owner(transform_id: str) -> str:
    """Return the owner, in the store, of the user timers of a step."""
    return f"timers:{transform_id}"


def expiry_owner(transform_id: str) -> str:
    """Return the owner, in the store, of the windows of a step, by the time that they expire."""
    return f"expiry:{transform_id}"


def side_owner(transform_id: str, tag: str) -> str:
    """Return the owner, in the store, of the windows of a side input, by expiry."""
    return f"side:{transform_id}:{tag}"
