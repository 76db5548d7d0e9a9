"""Which pushes may run beside each other: messages of one ordering key go one after the other."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

__all__ = ["Lanes", "Pushed"]


class Pushed(NamedTuple):
    """A message that was leased to be pushed."""

    position: int
    generation: int
    attempt: int | None
    message: dict[str, Any]


class Lanes:
    """Leased messages in the order in which they may be sent.

    Args:
        ordered: whether ordering keys count.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._free: deque[Pushed] = deque()
        self._behind: dict[str, deque[Pushed]] = {}

    def add(self, pushed: Pushed) -> None:
        """Add a message behind those that are there."""
        key = self._key(pushed)
        if key and key in self._behind:
            self._behind[key].append(pushed)
        else:
            if key:
                self._behind[key] = deque()
            self._free.append(pushed)

    def next(self) -> Pushed | None:
        """Return a message that may be sent now, None if there is none."""
        return self._free.popleft() if self._free else None

    def done(self, pushed: Pushed) -> None:
        """Take notice that a message was acknowledged: the next of its key may be sent."""
        key = self._key(pushed)
        if not key:
            return
        if self._behind[key]:
            self._free.append(self._behind[key].popleft())
        else:
            del self._behind[key]

    def failed(self, pushed: Pushed) -> list[Pushed]:
        """Take notice that a message was not; return those behind it, which go back with it."""
        return list(self._behind.pop(self._key(pushed), ()))

    def _key(self, pushed: Pushed) -> str:
        return pushed.message["ordering_key"] or "" if self._ordered else ""
