"""Facts about positions, one numpy array each, over a range that grows above and is cut below."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Columns", "Positions"]

Positions = npt.NDArray[np.int64]
"""Numbers of messages in their topic."""

_CAPACITY_MIN = 16_384


class Columns:
    """Arrays that share one index: the position, less an origin that moves when they grow.

    Args:
        start: the first position.
        kinds: name and type of each column; all begin with zeros.
    """

    def __init__(self, start: int, kinds: dict[str, Any]) -> None:
        self._origin = start
        self._arrays = {name: np.zeros(_CAPACITY_MIN, kind) for name, kind in kinds.items()}
        self._capacity = _CAPACITY_MIN

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a whole column; ``where`` says where in it positions are."""
        return self._arrays[name]

    def where(self, positions: Positions) -> Any:
        """Return the index of sorted, distinct positions: a slice if they are consecutive."""
        if positions.size and positions[-1] - positions[0] + 1 == positions.size:
            return slice(int(positions[0]) - self._origin, int(positions[-1]) - self._origin + 1)
        return positions - self._origin

    def at(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        """Return what a column says of sorted, distinct positions."""
        return self._arrays[name][self.where(positions)]

    def at_any(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        """Return what a column says of positions in any order."""
        return self._arrays[name][positions - self._origin]

    def view(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Return what a column says of the positions from ``start`` to ``stop``, in place."""
        return self._arrays[name][start - self._origin : stop - self._origin]

    def reserve(self, base: int, end: int, new_end: int) -> None:
        """Make room up to ``new_end``, keeping what is known from ``base`` to ``end`` alone."""
        if new_end - self._origin <= self._capacity:
            return
        self._capacity = max(_CAPACITY_MIN, 2 * (new_end - base))
        for name, old in self._arrays.items():
            new = np.zeros(self._capacity, old.dtype)
            new[: end - base] = old[base - self._origin : end - self._origin]
            self._arrays[name] = new
        self._origin = base
