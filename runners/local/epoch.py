"""The epoch at work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Epoch"]


@dataclass
class Epoch:
    """What is known of the epoch at work.

    Attributes:
        number: rises, over restarts too.
        committed: number of the last one that was.
        changed: something has happened since the last commit but that sources were asked in vain.
        crowded: more panes were fired than memory should hold.
        ended_s: when the last one ended, committed or not; seconds of ``time.monotonic``.
    """

    number: int = 0
    committed: int = 0
    changed: bool = False
    crowded: bool = False
    ended_s: float = field(default_factory=time.monotonic)
