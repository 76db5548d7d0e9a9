"""Numbers of streams: what a stream holds is charged to its number."""

from __future__ import annotations

from itertools import count

from connectors.broker.state import Subscription

__all__ = ["Owners"]


class Owners:
    """Gives a stream that reconnects the number it had, and with it the charge for what it holds.

    A client says by its ``client_id`` that it is the same one.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._gone: dict[tuple[int, str], tuple[int, Subscription]] = {}

    def join(self, subscription: Subscription, client_id: str) -> int:
        """Return the number of a stream that opens."""
        gone = self._gone.pop((subscription.uid, client_id), None) if client_id else None
        return gone[0] if gone else next(self._numbers)

    def leave(self, subscription: Subscription, client_id: str, owner: int) -> None:
        """Keep the number of a stream that has ended, for as long as something is charged to it."""
        self._gone = {
            key: (number, each)
            for key, (number, each) in self._gone.items()
            if each.backlog.held(number).messages
        }
        if client_id and subscription.backlog.held(owner).messages:
            self._gone[subscription.uid, client_id] = owner, subscription
