"""All push subscriptions of a broker: a pusher each, from when one is made until it is not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from connectors.broker.delivery import Deliveries
from connectors.broker.errors import Refusal
from connectors.broker.state import State, Subscription

if TYPE_CHECKING:
    from connectors.broker.push.tokens import Tokens

__all__ = ["Pushing"]

_log = logging.getLogger(__name__)

_AGAIN_S = 1.0


class Pushing:
    """Keeps a pusher for every subscription that says where to push.

    Args:
        state: whose subscriptions are pushed.
        deliveries: to lease from.
    """

    def __init__(self, state: State, deliveries: Deliveries) -> None:
        self._state, self._deliveries = state, deliveries
        self._pushers: dict[int, asyncio.Task[None]] = {}
        self._tokens: asyncio.Task[Tokens] | None = None

    def start(self) -> None:
        """Begin with all push subscriptions that there are."""
        for subscription in self._state.subscriptions.values():
            self.changed(subscription.uid)

    def changed(self, uid: int) -> None:
        """Take notice of a subscription that was made, changed or deleted."""
        subscription = self._pushed(uid)
        if subscription is None:
            task = self._pushers.pop(uid, None)
            if task:
                task.cancel()
        elif uid not in self._pushers:
            self._pushers[uid] = asyncio.get_running_loop().create_task(self._push(subscription))

    async def close(self) -> None:
        """End all pushers; what was under way is delivered again."""
        tasks = list(self._pushers.values())
        self._pushers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tokens(self) -> Tokens:
        """Return what signs the tokens of all pushes: who checks them is shown one key."""
        if self._tokens is None:
            making = asyncio.to_thread(_new_tokens)
            self._tokens = asyncio.get_running_loop().create_task(making)
        return await asyncio.shield(self._tokens)

    def _pushed(self, uid: int) -> Subscription | None:
        """Return a subscription if it is to be pushed."""
        with suppress(Refusal):
            subscription = self._state.subscription_by_uid(uid)
            self._state.check_open(subscription)
            return subscription if subscription.settings.push else None
        return None

    async def _push(self, subscription: Subscription) -> None:
        tokens = await self.tokens()
        await asyncio.to_thread(_import)
        import aiohttp  # noqa: PLC0415 - 0.2 s, and few brokers push

        from connectors.broker.push.pusher import Pusher  # noqa: PLC0415 - it imports aiohttp

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as client:
            while True:
                try:
                    await Pusher(self._deliveries, subscription, client, tokens).run()
                except Exception:  # noqa: BLE001 - nobody else would push its messages
                    _log.exception("the push of %s has failed", subscription.settings.name)
                await asyncio.sleep(_AGAIN_S)


def _import() -> None:
    import connectors.broker.push.pusher  # noqa: F401, PLC0415 - in a thread, for it takes 0.2 s


def _new_tokens() -> Tokens:
    from connectors.broker.push.tokens import Tokens  # noqa: PLC0415 - few brokers push

    return Tokens()
