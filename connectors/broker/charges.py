"""What each stream holds: the flow control of StreamingPull counts it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Charges", "Held"]


class Held(NamedTuple):
    """What an owner has been given and has neither acked, nacked nor lost to the deadline."""

    messages: int
    size_bytes: int


class Charges:
    """Messages and bytes by owner; owner 0 is nobody and is not charged."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._relieved: set[int] = set()

    def __bool__(self) -> bool:
        """Tell whether anybody holds anything."""
        return bool(self._held)

    def held(self, owner: int) -> Held:
        """Return what an owner holds at the moment."""
        return self._held.get(owner, Held(0, 0))

    def charge(self, owners: npt.NDArray[Any], sizes_bytes: npt.NDArray[Any]) -> None:
        """Give messages to owners, one of each per message."""
        self._add(owners, sizes_bytes, 1)

    def charge_one(self, owner: int, messages: int, size_bytes: int) -> None:
        """Give messages to an owner."""
        if owner and messages:
            had = self.held(owner)
            now = Held(had.messages + messages, had.size_bytes + size_bytes)
            if now.messages:
                self._held[owner] = now
            else:
                del self._held[owner]

    def relieve(self, owners: npt.NDArray[Any], sizes_bytes: npt.NDArray[Any]) -> None:
        """Take messages from owners, one of each per message."""
        self._relieved.update(self._add(owners, sizes_bytes, -1))

    def relieved(self) -> set[int]:
        """Return the owners that something was taken from since the last call."""
        owners, self._relieved = self._relieved - {0}, set()
        return owners

    def _add(self, owners: npt.NDArray[Any], sizes_bytes: npt.NDArray[Any], sign: int) -> list[int]:
        distinct, which = np.unique(owners, return_inverse=True)
        messages = np.bincount(which, minlength=distinct.size)
        sizes = np.bincount(which, weights=sizes_bytes, minlength=distinct.size)
        for owner, count, size in zip(distinct.tolist(), messages, sizes, strict=True):
            self.charge_one(owner, sign * int(count), sign * int(size))
        return list(distinct.tolist())
