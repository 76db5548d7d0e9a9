"""What a run has taken from a subscription and owes to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from connectors import retry
from connectors.pubsub.delivery import Delivery, Lease, Subscription
from connectors.pubsub.intake import Intake
from connectors.pubsub.keeper import LeaseKeeper
from transforms.errors import HeadraceError

__all__ = ["PubsubSource"]

Result = TypeVar("Result")

RELEASE_BACKOFF = retry.Backoff(patience_s=2.0)
"""Giving back is a courtesy: leases that nobody extends expire anyway."""


class PubsubSource:
    """A subscription that a run reads: its leases live until the run acknowledges or releases.

    Args:
        name: full name of the subscription.
        subscription: the wire to it.
        subject: what its errors say.
        ack_deadline_s: how long a lease lasts without extension.
        committed: messages that earlier runs have committed.
        backoff: how long an outage of the server is sat out.
    """

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        subject: retry.Subject,
        *,
        ack_deadline_s: float,
        committed: pa.Table,
        backoff: retry.Backoff,
    ) -> None:
        self.name = name
        self.ack_deadline_s = ack_deadline_s
        self.intake = Intake(committed)
        self._subscription = subscription
        self._subject = subject
        self._backoff = backoff
        self._closing = contextlib.ExitStack()
        self._leases: list[Lease] = []
        self._keeper = LeaseKeeper(subscription, ack_deadline_s)

    def owns(self, resources: contextlib.ExitStack) -> None:
        """Free these, such as the channel, when the run acknowledges or releases."""
        self._closing = resources

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Return the next messages as delivered, and hold their lease.

        Raises:
            TransientError: the server did not come back while ``backoff`` had patience.
        """
        delivery = self._call(lambda: self._subscription.pull(messages_max, wait_s), self._backoff)
        if delivery.lease is not None:
            self._leases.append(delivery.lease)
            self._keeper.hold(delivery.lease)
        return delivery

    def pause(self) -> None:
        """Pull no more: give back what was asked for ahead, keep the leases."""
        # A server that is gone now holds nothing for us that would not come back by itself.
        with contextlib.suppress(HeadraceError):
            self._call(self._subscription.close, RELEASE_BACKOFF)

    def messages(self) -> pa.Table:
        """Return the messages that entered the graph, each once, as ``IDENTITY_SCHEMA``."""
        return self.intake.messages()

    def acknowledge(self) -> None:
        """Acknowledge everything that was delivered, and close.

        Raises:
            HeadraceError: the server did not take it; the messages come again.
        """
        with self._closing:
            self._keeper.stop()
            self._call(lambda: self._subscription.acknowledge(self._leases), self._backoff)

    def release(self) -> None:
        """Give every message back for redelivery, if the server can be reached, and close."""
        with contextlib.suppress(HeadraceError), self._closing:
            self._keeper.stop()
            self._call(lambda: self._subscription.release(self._leases), RELEASE_BACKOFF)

    def _call(self, function: Callable[[], Result], backoff: retry.Backoff) -> Result:
        return retry.call(function, self._subject, backoff)
