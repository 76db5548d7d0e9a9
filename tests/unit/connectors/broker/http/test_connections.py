"""Bounds on HTTP connections, with real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from connectors.broker.http.connections import Connections

WAIT_S = 10
LARGE = b"x" * (16 << 20)
"""More than the buffers of two sockets hold."""


@asynccontextmanager
async def served(body: bytes = b"ok", **bounds: Any) -> AsyncIterator[tuple[Connections, int]]:
    """Serve the same answer to everything, on a port of its own."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=body)

    connections = Connections(answer, **bounds)
    runner = web.ServerRunner(connections, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield connections, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), WAIT_S)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection that says nothing more."""
    try:
        return await asyncio.wait_for(reader.read(), WAIT_S) == b""
    except ConnectionResetError:
        return True


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return await asyncio.wait_for(reader.readline(), WAIT_S)


def test_more_connections_than_allowed_are_closed() -> None:
    """Those that are open go on, and when one ends another may come."""

    async def run() -> None:
        async with served(count_max=2) as (connections, port):
            first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            await until(lambda: len(connections.connections) == 2)
            third, _ = await asyncio.open_connection("127.0.0.1", port)
            assert await ended(third)
            assert await asked(*first) == b"HTTP/1.1 200 OK\r\n"
            second[1].close()
            await until(lambda: len(connections.connections) == 1)
            again = await asyncio.open_connection("127.0.0.1", port)
            assert await asked(*again) == b"HTTP/1.1 200 OK\r\n"

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_client_that_asks_nothing_is_disconnected(sent: bytes) -> None:
    """Nor does it help to begin."""

    async def run() -> None:
        async with served(idle_s_max=0.2) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await ended(reader)

    asyncio.run(run())


def test_a_client_that_does_not_read_is_disconnected() -> None:
    """What waits for it would take memory for ever."""

    async def run() -> None:
        async with served(LARGE, write_s_max=0.2) as (connections, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            assert await asked(reader, writer) == b"HTTP/1.1 200 OK\r\n"
            assert len(connections.connections) == 1
            await until(lambda: not connections.connections)
            writer.close()

    asyncio.run(run())


def test_a_client_that_reads_slowly_gets_everything() -> None:
    """It is disconnected for standing still, not for being slow."""

    async def run() -> None:
        async with served(LARGE, write_s_max=0.5) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = 0
            while part := await asyncio.wait_for(reader.read(256 << 10), WAIT_S):
                got += len(part)
                await asyncio.sleep(0.02)
            assert got > len(LARGE)

    asyncio.run(run())


def test_a_client_that_hardly_reads_is_disconnected() -> None:
    """A byte now and then would hold a large response for days."""

    async def run() -> None:
        async with served(LARGE, write_s_max=0.3) as (connections, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            assert await asked(reader, writer) == b"HTTP/1.1 200 OK\r\n"

            async def drip() -> None:
                while connections.connections:
                    await reader.read(100)
                    await asyncio.sleep(0.05)

            await asyncio.wait_for(drip(), WAIT_S)
            writer.close()

    asyncio.run(run())
