"""StreamingPull: one stream, its flow control, its acks."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.compute as pc

from connectors.broker import ackids, limits, rules, schema, wire
from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidArgument, NotFound

__all__ = ["Stream"]

_owners = count(1)
_KEEP_ALIVE_VERSION = 1
_PROPERTIES = schema.message("StreamingPullResponse")(
    subscription_properties={}  # neither ordered nor exactly once
).SerializeToString()
_UNLIMITED = 1 << 62
_FIRST_ONLY = ("subscription", "max_outstanding_messages", "max_outstanding_bytes",
               "protocol_version")  # fmt: skip


class Stream:
    """A stream from its first request to its end."""

    def __init__(self, engine: Engine, catalog: Catalog, context: Any) -> None:
        self._engine = engine
        self._catalog = catalog
        self._context = context
        self._owner = next(_owners)
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
        self._subscription = self._catalog.subscription(fields["subscription"])
        self._uid = self._subscription.uid
        rules.check_lease_s("stream_ack_deadline_seconds", fields["stream_ack_deadline_seconds"])
        self._messages_max = _limit(fields["max_outstanding_messages"])
        self._bytes_max = _limit(fields["max_outstanding_bytes"])
        self._keeps_alive = fields["protocol_version"] >= _KEEP_ALIVE_VERSION
        await self._take(fields)
        counts = self._engine.counters.subscription(self._uid)
        counts.open_streams += 1
        try:
            await self._until_one_ends(self._receive(), self._deliver())
        finally:
            counts.open_streams -= 1

    async def _until_one_ends(self, *jobs: Any) -> None:
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

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
        self._modify(fields["modify_deadline_ack_ids"], fields["modify_deadline_seconds"])
        positions, _ = ackids.parse(fields["ack_ids"], self._uid)
        await self._engine.ack(self._subscription, positions)

    def _modify(self, ack_ids: pa.StringArray, seconds: pa.Int32Array) -> None:
        if len(ack_ids) != len(seconds):
            raise InvalidArgument(
                "modify_deadline_seconds", f"{len(seconds)} values",
                f"must be one for each of the {len(ack_ids)} modify_deadline_ack_ids",
            )  # fmt: skip
        positions, generations = ackids.parse(ack_ids, self._uid)
        for each in pc.unique(seconds).to_pylist():
            rules.check_extension_s("modify_deadline_seconds", each)
            which = seconds.to_numpy() == each
            self._engine.extend(self._subscription, positions[which], generations[which], each)

    async def _deliver(self) -> None:
        while self._engine.exists(self._subscription):
            delivery = self._lease()
            if delivery is None:
                await self._engine.wait(self._subscription, None)
            else:
                await self._write(wire.encode_delivery(self._uid, delivery) + _PROPERTIES)
        raise NotFound(f"Subscription {self._subscription.settings.name} was deleted.")

    def _lease(self) -> Any:
        held = self._subscription.backlog.held(self._owner)
        messages = min(self._messages_max - held.messages, limits.PULL_MESSAGES_MAX)
        size_bytes = min(self._bytes_max - held.size_bytes, limits.RESPONSE_BYTES_MAX)
        if messages <= 0 or size_bytes <= 0:
            return None
        return self._engine.lease(
            self._subscription, messages, size_bytes, self._lease_s, self._owner
        )

    async def _keep_alive(self) -> None:
        if self._keeps_alive:
            await self._write(_PROPERTIES)

    async def _write(self, response: bytes) -> None:
        async with self._writing:  # gRPC takes one message at a time
            await self._context.write(response)


def _limit(value: int) -> int:
    return value if value > 0 else _UNLIMITED
