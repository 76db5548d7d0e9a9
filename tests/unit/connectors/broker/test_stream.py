"""A stream on an engine, with a client that may be slow and a disk that may be full."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import grpc
import pytest

from connectors.broker import limits, schema, wire
from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted, InvalidArgument
from connectors.broker.events import SubscriptionCreated, TopicCreated
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.stream import Stream

T, S = "projects/p/topics/orders", "projects/p/subscriptions/orders"
Response = schema.message("StreamingPullResponse")


class Client:
    """The client's side: what it sends, and what it has read."""

    def __init__(self) -> None:
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._read: asyncio.Queue[bytes] = asyncio.Queue(1)

    def send(self, **fields: Any) -> None:
        """Send a request."""
        request = schema.message("StreamingPullRequest")(**fields)
        self._sent.put_nowait(request.SerializeToString())

    def end(self) -> None:
        """Send no more."""
        self._sent.put_nowait(grpc.aio.EOF)

    async def receive(self) -> Any:
        """Return the next response."""
        return Response.FromString(await self._read.get())

    async def read(self) -> Any:
        """Give the broker the next request."""
        return await self._sent.get()

    async def write(self, response: bytes) -> None:
        """Take a response when there is room for it."""
        await self._read.put(response)


class Bench:
    """An engine in memory with a stream on its only subscription."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.client = engine, Client()
        self.stream = Stream(engine, Catalog(engine), self.client, lambda _: None)

    async def publish(self, count: int) -> None:
        """Publish messages in one request."""
        fields = {"topic": T, "messages": [{"data": b"x"}] * count}
        request = schema.message("PublishRequest")(**fields).SerializeToString()
        decoded = wire.decode("PublishRequest", request)["messages"]
        await self.engine.publish(self.engine.state.topic(T), decoded)

    @property
    def leased(self) -> int:
        """How many messages are out."""
        return self.engine.state.subscription(S).backlog.leased


@asynccontextmanager
async def bench(**settings: Any) -> AsyncIterator[Bench]:
    """Yield a bench whose stream runs."""
    engine = Engine(None)
    await engine.commit(TopicCreated(1, TopicSettings(T)))
    await engine.commit(SubscriptionCreated(2, 1, SubscriptionSettings(S, T, **settings)))
    made = Bench(engine)
    made.client.send(subscription=S, stream_ack_deadline_seconds=60, protocol_version=1)
    running = asyncio.create_task(made.stream.run())
    try:
        yield made
        made.client.end()
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])
        await engine.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop."""
    asyncio.run(asyncio.wait_for(test(), 20))


def test_slow_client_holds_few_responses() -> None:
    """Nothing is leased for it while it has not taken what was leased before."""

    async def test() -> None:
        async with bench() as b:
            for _ in range(20):
                await b.publish(limits.PUBLISH_MESSAGES_MAX)
            first = await b.client.receive()
            assert len(first.received_messages) == limits.PULL_MESSAGES_MAX
            for _ in range(100):
                await asyncio.sleep(0)
            # One that was read, one on the way, one that waits to be written.
            assert b.leased <= 3 * limits.PULL_MESSAGES_MAX
            for _ in range(19):
                await b.client.receive()
            assert b.leased == 20 * limits.PUBLISH_MESSAGES_MAX

    run(test)


def test_ack_that_is_not_written_is_a_temporary_failure() -> None:
    """With exactly-once the stream says so and goes on; the ack may be repeated."""

    async def test() -> None:
        async with bench(exactly_once=True) as b:
            await b.publish(1)
            (message,) = (await b.client.receive()).received_messages
            with mock.patch.object(b.engine._log, "write", side_effect=Exhausted("full")):
                b.client.send(ack_ids=[message.ack_id])
                confirmed = (await b.client.receive()).acknowledge_confirmation
            assert list(confirmed.temporary_failed_ack_ids) == [message.ack_id]
            assert b.leased == 1
            b.client.send(ack_ids=[message.ack_id])
            confirmed = (await b.client.receive()).acknowledge_confirmation
            assert list(confirmed.ack_ids) == [message.ack_id]
            assert b.leased == 0

    run(test)


def test_stream_that_ends_leaves_its_leases_to_their_deadlines() -> None:
    """Its client may ack them elsewhere."""

    async def test() -> None:
        async with bench() as b:
            await b.publish(3)
            await b.client.receive()
            b.client.end()
            for _ in range(20):
                await asyncio.sleep(0)
            assert b.leased == 3
            assert b.engine.counters.subscription(2).open_streams == 0

    run(test)


def test_limits_can_be_set_once() -> None:
    """A later request that sets them ends the stream."""

    async def test() -> None:
        with pytest.raises(InvalidArgument, match="only the first request"):
            async with bench() as b:
                b.client.send(max_outstanding_messages=5)

    run(test)
