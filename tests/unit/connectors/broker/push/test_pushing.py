"""Pushers at work: what does not end them, and what they hold when they end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.broker import limits, schema, wire
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted
from connectors.broker.events import SubscriptionCreated, SubscriptionUpdated, TopicCreated
from connectors.broker.settings import PushSettings, SubscriptionSettings, TopicSettings

T, S = "projects/p/topics/abc", "projects/p/subscriptions/abc"


class Endpoint:
    """A server that answers 200 to whatever comes."""

    def __init__(self) -> None:
        self.hits: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.hits.put_nowait(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def bench() -> AsyncIterator[tuple[Engine, Endpoint]]:
    """Yield an engine with a push subscription, and its endpoint."""
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = Engine(None)
    try:
        await engine.commit(TopicCreated(1, TopicSettings(T)))
        push = PushSettings(f"http://127.0.0.1:{port}/", wrapped=False)
        await engine.commit(SubscriptionCreated(2, 1, SubscriptionSettings(S, T, push=push)))
        yield engine, endpoint
    finally:
        await engine.close()
        server.close()
        await server.wait_closed()


async def publish(engine: Engine, *payloads: bytes) -> None:
    """Publish messages in one request."""
    messages = [{"data": data} for data in payloads]
    request = schema.message("PublishRequest")(messages=messages).SerializeToString()
    decoded: Any = wire.decode("PublishRequest", request)["messages"]
    await engine.publish(engine.state.topic(T), decoded)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop."""
    asyncio.run(asyncio.wait_for(test(), 20))


@pytest.mark.parametrize("error", [Exhausted("full"), ValueError("a fault of ours")])
def test_push_goes_on_after_a_delivery_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was leased for it comes again soon, not when its lease is over."""
    monkeypatch.setattr("connectors.broker.push.pushing._AGAIN_S", 0.01)

    async def test() -> None:
        async with bench() as (engine, endpoint):
            faults = [error]
            present = engine.delivery.present

            async def failing(*delivery: Any) -> Any:
                if faults:
                    raise faults.pop()
                return await present(*delivery)

            engine.delivery.present = failing
            await publish(engine, b"a")
            assert await endpoint.hits.get() == b"a"

    run(test)


def test_large_messages_are_not_all_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many requests the endpoint takes; one at a time may be larger than the bound."""
    monkeypatch.setattr(limits, "PUSH_BYTES_MAX", 1_000)
    monkeypatch.setattr(limits, "RESPONSE_BYTES_MAX", 500)

    async def test() -> None:
        async with bench() as (engine, endpoint):
            backlog, most = engine.state.subscription(S).backlog, []
            present = engine.delivery.present

            async def counted(*delivery: Any) -> Any:
                most.append(backlog.leased)
                return await present(*delivery)

            engine.delivery.present = counted
            await publish(engine, *[bytes(400)] * 20, bytes(2_000))
            for _ in range(21):
                await endpoint.hits.get()
            assert max(most) <= 3
            while backlog.leased:
                await asyncio.sleep(0)

    run(test)


def test_what_is_being_transformed_goes_back_when_a_push_ends() -> None:
    """Whoever pulls from then on need not wait for the deadline of the push."""

    async def test() -> None:
        async with bench() as (engine, _):
            begun, never = asyncio.Event(), asyncio.Event()

            async def waiting(*_delivery: Any) -> Any:
                begun.set()
                await never.wait()

            engine.delivery.present = waiting
            await publish(engine, b"a")
            await begun.wait()
            backlog = engine.state.subscription(S).backlog
            assert backlog.leased == 1
            await engine.commit(SubscriptionUpdated(2, SubscriptionSettings(S, T)))
            while backlog.leased:
                await asyncio.sleep(0)

    run(test)


def test_all_pushes_have_one_key() -> None:
    """Also those that begin in the same moment: endpoints are shown one set of keys."""

    async def test() -> None:
        async with bench() as (engine, _):
            first, second = await asyncio.gather(engine.pushing.tokens(), engine.pushing.tokens())
            assert first is second is await engine.pushing.tokens()

    run(test)
