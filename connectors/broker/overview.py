"""The broker at a glance, for metrics and the status page: read from counts, nothing is scanned."""

from __future__ import annotations

import time

from connectors.broker.state import Subscription

__all__ = ["age_s", "outstanding", "unacked"]


def unacked(subscription: Subscription) -> int:
    """Return how many messages a subscription has still to see acknowledged."""
    return subscription.backlog.waiting + subscription.backlog.leased


def outstanding(subscription: Subscription) -> int:
    """Return how many messages of a subscription are with subscribers at the moment."""
    return subscription.backlog.leased


def age_s(subscription: Subscription) -> int:
    """Return the age of a subscription's oldest unacknowledged message, seconds; 0 without one."""
    oldest_us = subscription.oldest_us()
    return 0 if oldest_us is None else max(0, int(time.time() - oldest_us / 1_000_000))
