"""StreamingPull: one stream, its flow control, its acks.

Memory is bounded: a delivery is made when the one before it was written, a request is read when the
one before it was done. A client that does not read holds one delivery of the broker, and one that
sends more than the disk takes is held back by gRPC.

A stream that ends leaves its leases to their deadlines, as the service does: the client may go on
to ack what it has on another stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pyarrow as pa

from connectors.broker import ackids, limits, rows, rules, schema, wire
from connectors.broker.bells import EVERYTHING
from connectors.broker.catalog import Catalog
from connectors.broker.delivery import Acks, Want
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted, InvalidArgument, Unavailable

__all__ = ["Stream"]

_KEEP_ALIVE_VERSION = 1
_UNLIMITED = 1 << 62
_FIRST_ONLY = ("subscription", "max_outstanding_messages", "max_outstanding_bytes",
               "protocol_version")  # fmt: skip


class Stream:
    """A stream from its first request to its end."""

    def __init__(
        self, engine: Engine, catalog: Catalog, context: Any, admit: Callable[[str], None]
    ) -> None:
        self._engine, self._delivery, self._admit = engine, engine.delivery, admit
        self._catalog = catalog
        self._context = context
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Serve until the client ends the stream.

        Raises:
            Refusal: the stream is to be aborted with this.
        """
        request = await self._context.read()
        if request is grpc.aio.EOF:
            return
        fields = wire.decode("StreamingPullRequest", request)
        self._admit(fields["subscription"])
        self._subscription = subscription = self._catalog.subscription(fields["subscription"])
        self._delivery.check(subscription)
        rules.check_lease_s("stream_ack_deadline_seconds", fields["stream_ack_deadline_seconds"])
        self._messages_max = _limit(fields["max_outstanding_messages"])
        self._bytes_max = _limit(fields["max_outstanding_bytes"])
        self._keeps_alive = fields["protocol_version"] >= _KEEP_ALIVE_VERSION
        client_id, owners = fields["client_id"], self._delivery.owners
        self._owner = owners.join(subscription, client_id)
        counts = self._engine.counters.subscription(subscription.uid)
        counts.open_streams += 1
        try:
            await self._take(fields)
            await _until_one_ends(self._receive(), self._deliver())
        finally:
            counts.open_streams -= 1
            owners.leave(subscription, client_id, self._owner)

    async def _receive(self) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            if not request:
                await self._keep_alive()
                continue
            fields = wire.decode("StreamingPullRequest", request)
            for name in _FIRST_ONLY:
                if fields[name]:
                    raise InvalidArgument(name, fields[name], "only the first request may set it")
            await self._take(fields)

    async def _take(self, fields: dict[str, Any]) -> None:
        """Act on what any request of the stream may carry."""
        if fields["stream_ack_deadline_seconds"]:
            seconds = fields["stream_ack_deadline_seconds"]
            rules.check_lease_s("stream_ack_deadline_seconds", seconds)
            self._lease_s = seconds
        answer = self._modify(fields["modify_deadline_ack_ids"], fields["modify_deadline_seconds"])
        answer |= await self._acknowledge(fields["ack_ids"])
        if answer and self._subscription.settings.exactly_once:
            await self._write(self._message(**answer))

    def _modify(self, ack_ids: pa.StringArray, seconds: pa.Int32Array) -> dict[str, Any]:
        if len(ack_ids) != len(seconds):
            raise InvalidArgument(
                "modify_deadline_seconds", f"{len(seconds)} values",
                f"must be one for each of the {len(ack_ids)} modify_deadline_ack_ids",
            )  # fmt: skip
        if len(ack_ids) == 0:
            return {}
        positions, generations = ackids.parse(ack_ids, self._subscription.uid)
        wanted = rows.integers(seconds)
        held = np.zeros(positions.size, np.bool_)
        for each in np.unique(wanted).tolist():
            rules.check_extension_s("modify_deadline_seconds", each)
        for each in np.unique(wanted).tolist():
            which = wanted == each
            held[which] = self._delivery.extend(
                self._subscription, positions[which], generations[which], each
            )
        return {"modify_ack_deadline_confirmation": _confirmation(ack_ids, held, ~held)}

    async def _acknowledge(self, ack_ids: pa.StringArray) -> dict[str, Any]:
        if len(ack_ids) == 0:
            return {}
        positions, generations = ackids.parse(ack_ids, self._subscription.uid)
        try:
            acks = await self._delivery.ack(self._subscription, positions, generations)
        except (Exhausted, Unavailable):
            if not self._subscription.settings.exactly_once:
                raise
            failed = {"temporary_failed_ack_ids": ack_ids.to_pylist()}
            return {"acknowledge_confirmation": failed}
        return {"acknowledge_confirmation": _confirmed(ack_ids, acks)}

    async def _deliver(self) -> None:
        share = EVERYTHING
        while True:
            self._delivery.check(self._subscription)
            want = self._wanted()
            if want is None:
                await self._delivery.wait_for_room(self._subscription, self._owner)
                continue
            delivery = self._delivery.lease(self._subscription, want, self._owner, share)
            share = EVERYTHING
            if delivery is None:
                share = await self._delivery.wait_for_messages(self._subscription)
            elif left := await self._delivery.present(self._subscription, delivery):
                uid = self._subscription.uid
                await self._write(wire.encode_delivery(uid, left) + self._message())

    def _wanted(self) -> Want | None:
        """Return what flow control leaves room for, None if that is nothing."""
        held = self._subscription.backlog.held(self._owner)
        messages = min(self._messages_max - held.messages, limits.PULL_MESSAGES_MAX)
        size_bytes = min(self._bytes_max - held.size_bytes, limits.RESPONSE_BYTES_MAX)
        if messages <= 0 or size_bytes <= 0:
            return None
        return Want(messages, size_bytes, self._lease_s)

    async def _keep_alive(self) -> None:
        if self._keeps_alive:
            await self._write(self._message())

    def _message(self, **fields: Any) -> bytes:
        """Return a response without messages; behind one that has some it adds to it."""
        settings = self._subscription.settings
        properties = {
            "exactly_once_delivery_enabled": settings.exactly_once,
            "message_ordering_enabled": settings.ordered,
        }
        response = schema.message("StreamingPullResponse")
        message = response(subscription_properties=properties, **fields)
        return bytes(message.SerializeToString())

    async def _write(self, response: bytes) -> None:
        async with self._writing:  # gRPC takes one message at a time
            await self._context.write(response)


async def _until_one_ends(*jobs: Any) -> None:
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


def _confirmed(ack_ids: pa.StringArray, acks: Acks) -> dict[str, list[str]]:
    done = _confirmation(ack_ids, ~(acks.invalid | acks.unordered), acks.invalid)
    return done | {"unordered_ack_ids": rows.where(ack_ids, acks.unordered).to_pylist()}


def _confirmation(ack_ids: pa.StringArray, done: Any, invalid: Any) -> dict[str, list[str]]:
    return {
        "ack_ids": rows.where(ack_ids, done).to_pylist(),
        "invalid_ack_ids": rows.where(ack_ids, invalid).to_pylist(),
    }


def _limit(value: int) -> int:
    return value if value > 0 else _UNLIMITED
