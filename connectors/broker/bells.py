"""Waking those who wait for something to happen to a subscription; nobody polls."""

from __future__ import annotations

import asyncio
from collections import defaultdict

__all__ = ["Bells"]


class Bells:
    """A bell per subscription, by its number; use it on the event loop only."""

    def __init__(self) -> None:
        self._waiting: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)

    async def wait(self, uid: int, timeout_s: float | None) -> None:
        """Wait until the bell rings, or the time is over."""
        rung = asyncio.get_running_loop().create_future()
        waiting = self._waiting[uid]
        waiting.add(rung)
        try:
            await asyncio.wait([rung], timeout=timeout_s)
        finally:
            waiting.discard(rung)

    def ring(self, uid: int) -> None:
        """Wake all that wait for this bell now."""
        for rung in self._waiting.pop(uid, ()):
            if not rung.done():
                rung.set_result(None)
