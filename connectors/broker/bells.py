"""Waking those who wait at a subscription; nobody polls, and no more are woken than can be served.

Who waits for messages is woken in the order of coming, and told a share, so that many who wait get
alike. Who waits for room, because flow control says stop, is woken when something is taken off.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import islice

__all__ = ["EVERYTHING", "Bells"]

EVERYTHING = 1 << 62
"""The share of one who did not have to wait."""

_Woken = asyncio.Future[int]
_Waiting = defaultdict[int, dict[_Woken, int]]  # by subscription: the owner of each


class Bells:
    """Who waits, by number of subscription; use it on the event loop only."""

    def __init__(self) -> None:
        self._hungry: _Waiting = defaultdict(dict)
        self._full: _Waiting = defaultdict(dict)

    async def wait_for_messages(self, uid: int, timeout_s: float | None) -> int:
        """Wait for messages; return how many of them are the caller's share, 0 if time is over."""
        return await self._wait(self._hungry, uid, 0, timeout_s)

    async def wait_for_room(self, uid: int, owner: int) -> None:
        """Wait until something is taken off what an owner holds."""
        await self._wait(self._full, uid, owner, None)

    def share(self, uid: int, messages: int) -> None:
        """Wake those who wait for messages, the first ones first, for so many messages."""
        hungry = self._hungry.get(uid)
        if not hungry or messages <= 0:
            return
        woken = list(islice(hungry, messages))
        for each in woken:
            del hungry[each]
            _wake(each, -(-messages // len(woken)))

    def make_room(self, uid: int, owners: set[int]) -> None:
        """Wake those owners who wait for room."""
        full = self._full.get(uid)
        if full and owners:
            for each in [each for each, owner in full.items() if owner in owners]:
                _wake(each, EVERYTHING)

    def ring(self, uid: int) -> None:
        """Wake all who wait."""
        for waiting in (self._hungry, self._full):
            for each in waiting.pop(uid, ()):
                _wake(each, EVERYTHING)

    def awaited(self, uid: int) -> bool:
        """Tell whether anybody waits at a subscription."""
        return bool(self._hungry.get(uid) or self._full.get(uid))

    async def _wait(
        self,
        waiting: _Waiting,
        uid: int,
        owner: int,
        timeout_s: float | None,
    ) -> int:
        woken: _Woken = asyncio.get_running_loop().create_future()
        waiting[uid][woken] = owner
        try:
            await asyncio.wait([woken], timeout=timeout_s)
            return woken.result() if woken.done() else 0
        finally:
            there = waiting.get(uid)
            if there is not None:
                there.pop(woken, None)
                if not there:
                    del waiting[uid]


def _wake(woken: _Woken, share: int) -> None:
    if not woken.done():
        woken.set_result(share)
