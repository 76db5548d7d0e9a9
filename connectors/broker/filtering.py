"""What the filters of subscriptions keep out, found when messages are published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import pyarrow as pa

from connectors.broker import filters, rows
from connectors.broker.events import Published, Skipped, SubscriptionCreated
from connectors.broker.frame import Entry
from connectors.broker.need import Part
from connectors.broker.resources import Subscription
from connectors.broker.state import State
from connectors.broker.store import Store

__all__ = ["Filters", "compiled", "passing"]

compiled = lru_cache(1_024)(filters.compile)
"""The filter that a text means; a filter never changes."""


def passing(log: Store, subscription: Subscription, wanted: Part) -> Part:
    """Return those of wanted positions that pass the subscription's filter.

    A seek brings back what was never asked through it, or counted as acked because of it.
    """
    matching = compiled(subscription.settings.filter)
    needed = wanted.needed.copy()
    for block in subscription.topic.blocks:
        low, high = block.first - wanted.base, block.first - wanted.base + block.messages
        part = needed[max(low, 0) : max(high, 0)]
        if part.any():
            batch = pa.ipc.read_record_batch(log.payload(block.place), rows.STORED)
            part &= matching.mask(batch.column("attributes"))[max(-low, 0) :]
    return Part(wanted.base, needed)


class Filters:
    """The filters of all subscriptions, also of those whose creation is on its way to the log.

    A publish that is evaluated now may be applied after such a creation.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._coming: list[SubscriptionCreated] = []

    @contextmanager
    def coming(self, created: SubscriptionCreated) -> Iterator[None]:
        """Count a subscription in while its creation is being committed."""
        self._coming.append(created)
        try:
            yield
        finally:
            self._coming.remove(created)

    def skipped(self, event: Published, messages: pa.StructArray) -> list[Entry]:
        """Return what belongs in the bundle of a publish: for each filter, what it keeps out."""
        wanted = {c.uid: c.settings.filter for c in self._coming if c.topic_uid == event.topic_uid}
        for each in self._state.subscriptions_of(event.topic_uid):
            wanted[each.uid] = each.settings.filter
        found: list[Entry] = []
        for uid, text in wanted.items():
            if text:
                mask = compiled(text).mask(messages.field("attributes"))
                offsets = np.flatnonzero(~mask)
                if offsets.size:
                    found.append((Skipped(uid, event.first_id, offsets), b""))
        return found
