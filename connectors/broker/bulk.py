"""The methods that carry messages: raw bytes on the bulk path.

Their requests and responses stay bytes in gRPC's eyes; ``wire.py`` turns them into Arrow.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from connectors.broker import ackids, limits, rows, rules, wire
from connectors.broker.catalog import Catalog
from connectors.broker.delivery import Acks, Want
from connectors.broker.errors import InvalidAckIds
from connectors.broker.publishing import Publishing

__all__ = ["Bulk"]


class Bulk:
    """Each method takes the bytes of its request and returns those of its response."""

    def __init__(self, catalog: Catalog, publishing: Publishing) -> None:
        self._catalog, self._engine, self._publishing = catalog, catalog.engine, publishing

    async def publish(self, request: bytes) -> bytes:
        """Publish messages, all or none."""
        rules.check_publish_size(request)
        fields = wire.decode("PublishRequest", request)
        topic = self._catalog.topic(fields["topic"])
        rules.check_messages(fields["messages"])
        return wire.encode_publish(await self._publishing.publish(topic, fields["messages"]))

    async def pull(self, request: bytes) -> bytes:
        """Lease messages, the oldest first."""
        fields = wire.decode("PullRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_positive("max_messages", fields["max_messages"])
        want = Want(
            min(fields["max_messages"], limits.PULL_MESSAGES_MAX),
            limits.RESPONSE_BYTES_MAX,
            subscription.settings.ack_deadline_s,
        )
        wait_s = 0.0 if fields["return_immediately"] else limits.PULL_WAIT_S
        delivery = await self._engine.delivery.lease_within(wait_s, subscription, want)
        return wire.encode_delivery(subscription.uid, delivery) if delivery else b""

    async def acknowledge(self, request: bytes) -> bytes:
        """Settle messages for good."""
        rules.check_ack_size(request)
        fields = wire.decode("AcknowledgeRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_ack_ids(fields["ack_ids"])
        positions, generations = ackids.parse(fields["ack_ids"], subscription.uid)
        acks = await self._engine.delivery.ack(subscription, positions, generations)
        _check_counted(fields["ack_ids"], acks)
        return b""

    async def modify_ack_deadline(self, request: bytes) -> bytes:
        """Move the deadline of leases, or give messages back."""
        rules.check_ack_size(request)
        fields = wire.decode("ModifyAckDeadlineRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_ack_ids(fields["ack_ids"])
        rules.check_extension_s("ack_deadline_seconds", fields["ack_deadline_seconds"])
        positions, generations = ackids.parse(fields["ack_ids"], subscription.uid)
        seconds = fields["ack_deadline_seconds"]
        held = self._engine.delivery.extend(subscription, positions, generations, seconds)
        if subscription.settings.exactly_once:
            _check_counted(fields["ack_ids"], Acks(~held, np.zeros(held.size, np.bool_)))
        return b""


def _check_counted(ack_ids: pa.StringArray, acks: Acks) -> None:
    """Refuse a request some of whose ids did not count."""
    if acks.invalid.any() or acks.unordered.any():
        raise InvalidAckIds(
            rows.where(ack_ids, acks.invalid).to_pylist(),
            rows.where(ack_ids, acks.unordered).to_pylist(),
        )
