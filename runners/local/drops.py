"""Counts what was dropped because it came too late, and says so: nobody should have to miss it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from runners.local.internals import create_InputStream, monitoring_infos

__all__ = ["DROPPED", "Drops", "Weigh"]

_log = logging.getLogger(__name__)

DROPPED = ("runners.local", "dropped_late")
"""Namespace and name of the counter, which is one of each step that drops."""

AGAIN_S = 60.0
"""A step that goes on dropping is named again after this time."""

Weigh: TypeAlias = Callable[[Any], int]
"""How much a value counts, such as the rows in it."""


class Drops:
    """Counts per step, and logs which steps drop, each at most once a minute.

    Args:
        weigh: how much a value counts that is dropped; by default each is 1.
    """

    def __init__(self, weigh: Weigh | None = None) -> None:
        self._weigh = weigh
        self._told_s: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def weight(self, value: Any) -> int:
        """Return how much a value counts."""
        return 1 if self._weigh is None else self._weigh(value)

    def scale(self, coder: Any) -> Callable[[bytes | memoryview], int]:
        """Return what weighs values that are encoded, nested, by a coder."""
        if self._weigh is None:
            return lambda _encoded: 1
        decode = coder.get_impl().decode_from_stream
        return lambda encoded: self.weight(decode(create_InputStream(bytes(encoded)), True))

    def note(self, step: str, weight: int) -> None:
        """Count what a step has dropped, and say so unless that was said lately.

        Args:
            step: its name.
            weight: of what was dropped.
        """
        self._counts[step] += weight
        now_s = time.monotonic()
        if now_s - self._told_s.get(step, -AGAIN_S) < AGAIN_S:
            return
        self._told_s[step] = now_s
        _log.warning(
            "step %s: elements came after their windows had expired, or after their trigger had "
            "finished, and are dropped; a longer allowed lateness, or a trigger that fires again, "
            "would keep them",
            step,
        )

    def take(self) -> list[Any]:
        """Return a ``MonitoringInfo`` for each step that has dropped since the last call."""
        infos = [
            monitoring_infos.int64_user_counter(*DROPPED, count, ptransform=step)
            for step, count in self._counts.items()
        ]
        self._counts.clear()
        return infos

    def forget(self) -> None:
        """Count nothing of an epoch that was taken back: it drops again."""
        self._counts.clear()
