"""What a subscriber sees of messages that were leased for it: transforms of a subscription."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.delivery import Deliveries, Delivery
from connectors.broker.retry import FAULTY
from connectors.broker.state import Subscription
from connectors.broker.transforming import Transforming, active

__all__ = ["Presenting"]


class Presenting:
    """Applies transforms between a lease and its delivery."""

    def __init__(self, deliveries: Deliveries, transforming: Transforming) -> None:
        self._deliveries, self._transforming = deliveries, transforming

    async def presented(self, subscription: Subscription, delivery: Delivery) -> Delivery | None:
        """Return what is left to deliver, None if it is nothing.

        What a transform drops is acked. What it fails at is given back as by a nack, so that the
        retry policy and the dead letter policy hold for it; it waits a moment in any case.

        Raises:
            Exhausted: the disk is full even for acks.
            Unavailable: the log has failed.
        """
        transforms = subscription.settings.transforms
        if not active(transforms):
            return delivery
        done = await self._transforming.apply(transforms, delivery.rows)
        positions, faulty = delivery.positions, np.fromiter(done.faults, np.int64)
        dropped = np.flatnonzero(~done.kept)
        dropped = dropped[~np.isin(dropped, faulty)]
        generations = np.full(positions.size, delivery.generation)
        if faulty.size:
            self._deliveries.extend(
                subscription, positions[faulty], generations[faulty], 0, waits=FAULTY
            )
        if dropped.size:
            await self._deliveries.ack(subscription, positions[dropped], generations[dropped])
        # A fault takes back what is behind it in its ordering key.
        held = subscription.backlog.holds(positions, delivery.generation)
        kept = np.flatnonzero(done.kept & held)
        if kept.size == 0:
            return None
        results = (rows.where(each, held[done.kept]) for each in (done.data, done.attributes))
        return _chosen(delivery, kept, *results)


def _chosen(delivery: Delivery, kept: npt.NDArray[np.int64], *changed: pa.Array) -> Delivery:
    left = delivery.rows.take(rows.numbers(kept, pa.int64()))
    columns = [*changed, *left.columns[2:]]
    attempts = None if delivery.attempts is None else delivery.attempts[kept]
    batch = pa.RecordBatch.from_arrays(columns, schema=rows.STORED)
    return Delivery(batch, delivery.positions[kept], delivery.generation, attempts)
