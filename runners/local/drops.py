"""Tells that elements were dropped because they came too late: nobody should have to miss them."""

from __future__ import annotations

import logging
import time

__all__ = ["Drops"]

_log = logging.getLogger(__name__)

AGAIN_S = 60.0
"""A step that goes on dropping is named again after this time."""


class Drops:
    """Logs which steps drop elements, each at most once a minute."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def note(self, step: str) -> None:
        """Say that a step has dropped something, unless that was said lately.

        Args:
            step: its name.
        """
        now_s = time.monotonic()
        if now_s - self._told_s.get(step, -AGAIN_S) < AGAIN_S:
            return
        self._told_s[step] = now_s
        _log.warning(
            "step %s: elements came after their windows had expired, and are dropped; a longer "
            "allowed lateness would keep them",
            step,
        )
