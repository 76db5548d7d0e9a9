"""What each durability promises: after a kill, after a power failure, in memory."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.broker import limits, schema, wire
from connectors.broker.delivery import Want
from connectors.broker.engine import Engine
from connectors.broker.errors import Unavailable
from connectors.broker.events import SubscriptionCreated, TopicCreated
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.store import Durability

T, S = "projects/p/topics/orders", "projects/p/subscriptions/orders"


async def prepared(directory: Path | None, durability: Durability) -> Engine:
    """Return an engine with a topic and a subscription."""
    engine = Engine(directory, durability)
    await engine.commit(TopicCreated(1, TopicSettings(T)))
    await engine.commit(SubscriptionCreated(2, 1, SubscriptionSettings(S, T)))
    return engine


async def publish(engine: Engine, *payloads: bytes) -> None:
    """Publish messages in one request."""
    request = schema.message("PublishRequest")(topic=T, messages=[{"data": d} for d in payloads])
    messages: Any = wire.decode("PublishRequest", request.SerializeToString())["messages"]
    assert await engine.publish(engine.state.topic(T), messages) is not None


async def publish_for_ever(engine: Engine) -> None:
    """Publish until it is refused."""
    while True:
        await publish(engine, b"one")
        await asyncio.sleep(0.01)


def leased(engine: Engine) -> list[bytes]:
    """Lease all there is; return the payloads."""
    delivery = engine.delivery.lease(engine.state.subscription(S), Want(1_000, 1 << 30, 10.0))
    found: list[bytes] = delivery.rows.column("data").to_pylist() if delivery else []
    return found


def recovered(directory: Path) -> list[bytes]:
    """Open the log as it is on disk; return what is delivered."""

    async def opened() -> list[bytes]:
        engine = Engine(directory)
        try:
            return leased(engine)
        finally:
            await engine.close()

    return asyncio.run(opened())


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a loop of its own."""
    asyncio.run(asyncio.wait_for(test(), 30))  # type: ignore[arg-type] # a coroutine, as all are


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how large the file was at each sync: what a power failure would leave."""
    sizes: list[int] = []
    real = os.fdatasync

    def recording(file: int) -> None:
        real(file)
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fdatasync", recording)
    return sizes


def test_always_syncs_before_the_answer(tmp_path: Path, synced: list[int]) -> None:
    """With the answer everything written is on the disk."""

    async def test() -> None:
        engine = await prepared(tmp_path, Durability.ALWAYS)
        await publish(engine, b"one")
        assert synced[-1] == (tmp_path / f"{1:020}.log").stat().st_size
        await engine.close()

    run(test)


def test_interval_survives_a_kill_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[int]
) -> None:
    """What was answered is in the file, though not a byte of it was synced."""
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 60.0)

    async def test() -> None:
        engine = await prepared(tmp_path / "a", Durability.INTERVAL)
        await publish(engine, b"one", b"two")
        assert synced == []
        shutil.copytree(tmp_path / "a", tmp_path / "killed")
        await engine.close()
        assert synced != []  # a stop in good order loses nothing either

    run(test)
    assert recovered(tmp_path / "killed") == [b"one", b"two"]


def test_interval_syncs_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[int]
) -> None:
    """After a power failure all is there but what came since the last sync, without complaint."""
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 0.01)
    path = tmp_path / "a" / f"{1:020}.log"

    async def test() -> None:
        engine = await prepared(tmp_path / "a", Durability.INTERVAL)
        await publish(engine, b"one")
        while not synced or synced[-1] < path.stat().st_size:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 60.0)
        await publish(engine, b"two")
        await publish(engine, b"three")
        shutil.copytree(tmp_path / "a", tmp_path / "failed")
        await engine.close()

    run(test)
    durable = synced[-2]  # the last one is of the stop
    torn = tmp_path / "failed" / path.name
    data = torn.read_bytes()
    assert durable < len(data)
    # The disk may have any part of what was not synced: here all but its first block.
    torn.write_bytes(data[:durable] + bytes(64) + data[durable + 64 :])
    assert recovered(tmp_path / "failed") == [b"one"]


def test_interval_deletes_no_segment_before_the_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ack that frees a segment might be lost, and its message must not be lost with it."""
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 60.0)
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 100)
    first = tmp_path / f"{1:020}.log"

    async def test() -> None:
        engine = await prepared(tmp_path, Durability.INTERVAL)
        await publish(engine, b"one")
        await publish(engine, b"two")  # begins a segment, which syncs the one before
        subscription = engine.state.subscription(S)
        delivery = engine.delivery.lease(subscription, Want(1, 1 << 30, 10.0))
        assert delivery
        monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 1 << 20)
        before = set(tmp_path.iterdir())
        await engine.delivery.ack(subscription, delivery.positions, delivery.generation)
        assert set(tmp_path.iterdir()) == before
        await engine.close()

    run(test)
    assert recovered(tmp_path) == [b"two"]
    assert not first.exists()


def test_failed_sync_of_an_interval_refuses_what_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers before can't be taken back, but no more are given."""
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 0.01)

    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    async def test() -> None:
        engine = await prepared(tmp_path, Durability.INTERVAL)
        monkeypatch.setattr(os, "fdatasync", broken)
        with pytest.raises(Unavailable, match="Input/output error"):
            await publish_for_ever(engine)
        assert engine.unready()
        await engine.close()

    run(test)


def test_memory_writes_nothing_and_lets_go_of_what_is_acked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery is the same; the rows go with the acks, also behind an older message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 2_000)

    async def test() -> None:
        engine = await prepared(None, Durability.ALWAYS)
        for number in range(50):
            await publish(engine, b"%d" % number, bytes(100))
        full = engine.disk().log_bytes
        subscription = engine.state.subscription(S)
        delivery = engine.delivery.lease(subscription, Want(1_000, 1 << 30, 10.0))
        assert delivery
        assert delivery.rows.column("data").to_pylist()[::2] == [b"%d" % n for n in range(50)]
        await engine.delivery.ack(subscription, delivery.positions[1:], delivery.generation)
        for _ in range(10):
            await publish(engine, bytes(1_000))
        held = 10_000 + full / 50
        assert held <= engine.disk().log_bytes < held + 8_000
        await engine.close()
        assert engine.disk().log_bytes == 0
        assert list(tmp_path.iterdir()) == []

    run(test)


def test_rows_of_a_publish_to_a_deleted_topic_are_not_kept_in_memory() -> None:
    """Nobody will ever ask for them."""

    async def test() -> None:
        engine = await prepared(None, Durability.ALWAYS)
        topic = engine.state.topic(T)
        topic.deleted = True  # as if the deletion had come just before it in the log
        request = schema.message("PublishRequest")(topic=T, messages=[{"data": b"x"}])
        messages = wire.decode("PublishRequest", request.SerializeToString())["messages"]
        assert await engine.publish(topic, messages) is None
        assert engine.disk().log_bytes == 0
        await engine.close()

    run(test)
