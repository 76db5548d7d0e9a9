"""What time ends, and what happens to subscriptions and snapshots, with the log on disk."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.broker import limits, schema, wire
from connectors.broker.delivery import Want
from connectors.broker.engine import Engine
from connectors.broker.errors import AlreadyExists, FailedPrecondition, NotFound
from connectors.broker.events import SubscriptionCreated, SubscriptionDeleted, TopicCreated
from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings

T, S, N = "projects/p/topics/abc", "projects/p/subscriptions/abc", "projects/p/snapshots/abc"
DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US


class Clock:
    """A wall clock that the test moves."""

    now_us = 100 * DAY_US

    def time_ns(self) -> int:
        """Return the time as ``time.time_ns`` does."""
        return self.now_us * 1_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the broker goes by."""
    clock = Clock()
    monkeypatch.setattr("time.time_ns", clock.time_ns)
    return clock


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a loop of its own."""

    async def bounded() -> None:
        await asyncio.wait_for(test(), 60)

    asyncio.run(bounded())


async def prepared(directory: Path, **fields: Any) -> Engine:
    """Return an engine with a topic and a subscription."""
    engine = Engine(directory)
    await engine.commit(TopicCreated(1, TopicSettings(T)))
    await engine.commit(SubscriptionCreated(2, 1, SubscriptionSettings(S, T, **fields)))
    return engine


async def publish(
    engine: Engine, *payloads: bytes, attributes: dict[str, str] | None = None
) -> None:
    """Publish messages in one request."""
    messages = [{"data": data, "attributes": attributes or {}} for data in payloads]
    request = schema.message("PublishRequest")(topic=T, messages=messages)
    decoded: Any = wire.decode("PublishRequest", request.SerializeToString())["messages"]
    await engine.publish(engine.state.topic(T), decoded)


async def ack(engine: Engine, *positions: int) -> None:
    """Acknowledge, whatever is leased."""
    await engine.delivery.ack(engine.state.subscription(S), np.array(positions), 0)


def leased(engine: Engine) -> list[bytes]:
    """Lease all there is; return the payloads."""
    delivery = engine.delivery.lease(engine.state.subscription(S), Want(1_000, 1 << 30, 10.0))
    found: list[bytes] = delivery.rows.column("data").to_pylist() if delivery else []
    return found


def log_bytes(directory: Path) -> int:
    """Return the size of the log."""
    return sum(path.stat().st_size for path in directory.glob("*.log"))


def test_snapshot_lives_a_week_less_the_age_of_its_oldest_message(
    tmp_path: Path, clock: Clock
) -> None:
    """One that would live less than an hour is refused."""

    async def test() -> None:
        engine = await prepared(tmp_path, retention_s=31 * 86_400)
        made = await engine.lifecycle.create_snapshot(N, {"a": "b"}, engine.state.subscription(S))
        assert (made.settings.expire_us, made.settings.labels) == (
            clock.now_us + WEEK_US, {"a": "b"}
        )  # fmt: skip
        await publish(engine, b"x")
        expire_us = clock.now_us + WEEK_US
        clock.now_us += 6 * DAY_US
        with pytest.raises(AlreadyExists):
            await engine.lifecycle.create_snapshot(N, {}, engine.state.subscription(S))
        made = await engine.lifecycle.create_snapshot(N + "2", {}, engine.state.subscription(S))
        assert made.settings.expire_us == expire_us
        clock.now_us = expire_us - limits.SNAPSHOT_S_MIN * 1_000_000 + 1
        with pytest.raises(FailedPrecondition, match="less than 1 hour"):
            await engine.lifecycle.create_snapshot(N + "3", {}, engine.state.subscription(S))
        await engine.close()

    run(test)


def test_snapshot_ends_at_its_time_without_waiting_for_the_next_round(
    tmp_path: Path, clock: Clock
) -> None:
    """An update moves the time, and wakes who waits for it."""

    async def test() -> None:
        engine = await prepared(tmp_path)
        made = await engine.lifecycle.create_snapshot(N, {}, engine.state.subscription(S))
        await engine.lifecycle.update_snapshot(made, SnapshotSettings(N, clock.now_us + 20_000))
        await asyncio.sleep(0)
        clock.now_us += 20_000
        while N in engine.state.snapshots:
            await asyncio.sleep(0.01)
        with pytest.raises(NotFound):
            await engine.lifecycle.seek_to_snapshot(engine.state.subscription(S), made)
        with pytest.raises(NotFound):
            await engine.lifecycle.update_snapshot(made, made.settings)
        with pytest.raises(NotFound):
            await engine.lifecycle.delete_snapshot(made)
        await engine.close()

    run(test)


def test_unused_subscription_is_deleted(tmp_path: Path, clock: Clock) -> None:
    """Its time begins anew with each use, and a restart does not shorten it."""

    async def test() -> None:
        engine = await prepared(tmp_path, expiration_s=86_400.0)
        await engine.lifecycle.housekeep()
        for _ in range(3):
            clock.now_us += DAY_US - 1
            engine.lifecycle.used(engine.state.subscription(S))
            await engine.lifecycle.housekeep()
            await engine.close()
            engine = Engine(tmp_path)
        clock.now_us += DAY_US
        await engine.lifecycle.housekeep()
        assert S in engine.state.subscriptions
        clock.now_us += 3_600_000_001
        await engine.lifecycle.housekeep()
        assert S not in engine.state.subscriptions
        await engine.close()
        engine = Engine(tmp_path)
        assert S not in engine.state.subscriptions
        await engine.close()

    run(test)


def test_waiting_subscriber_uses_its_subscription(tmp_path: Path, clock: Clock) -> None:
    """A stream on which nothing comes for long is no reason to delete what it waits for."""

    async def test() -> None:
        engine = await prepared(tmp_path, expiration_s=86_400.0)
        subscription = engine.state.subscription(S)
        waiting = asyncio.ensure_future(engine.delivery.wait_for_messages(subscription))
        for _ in range(5):
            await asyncio.sleep(0)
            clock.now_us += DAY_US // 2
            await engine.lifecycle.housekeep()
        assert S in engine.state.subscriptions
        waiting.cancel()
        await engine.close()

    run(test)


def test_subscriber_that_never_waits_uses_its_subscription(tmp_path: Path, clock: Clock) -> None:
    """One that always finds messages is not among those who wait when it is looked for them."""

    async def test() -> None:
        engine = await prepared(tmp_path, expiration_s=86_400.0, retention_s=86_400.0)
        for _ in range(5):
            await publish(engine, b"x")
            assert leased(engine)
            await engine.lifecycle.housekeep()
            clock.now_us += DAY_US // 2
        assert S in engine.state.subscriptions
        await engine.close()

    run(test)


def test_use_is_noted_while_others_are_written(tmp_path: Path, clock: Clock) -> None:
    """It is in the log with the next round."""

    async def test() -> None:
        engine = await prepared(tmp_path, expiration_s=86_400.0)
        other = SubscriptionSettings(S + "2", T)
        await engine.commit(SubscriptionCreated(3, 1, other))
        await engine.lifecycle.housekeep()
        clock.now_us += DAY_US
        engine.lifecycle.used(engine.state.subscription(S + "2"))
        rounds = asyncio.ensure_future(engine.lifecycle.housekeep())
        await asyncio.sleep(0)
        engine.lifecycle.used(engine.state.subscription(S))
        await rounds
        await engine.lifecycle.housekeep()
        clock.now_us += 2 * 3_600_000_000
        await engine.lifecycle.housekeep()
        assert S in engine.state.subscriptions
        await engine.close()

    run(test)


def test_snapshot_that_is_given_more_time_in_the_last_moment_lives_on(
    tmp_path: Path, clock: Clock
) -> None:
    """What has ended is decided when it is applied, behind the update."""

    async def test() -> None:
        engine = await prepared(tmp_path)
        made = await engine.lifecycle.create_snapshot(N, {}, engine.state.subscription(S))
        await engine.lifecycle.housekeep()  # so that the next round has nothing else to write
        clock.now_us += WEEK_US
        later = SnapshotSettings(N, clock.now_us + DAY_US)
        updated = asyncio.ensure_future(engine.lifecycle.update_snapshot(made, later))
        await asyncio.gather(updated, engine.lifecycle.housekeep())
        assert N in engine.state.snapshots
        await engine.close()

    run(test)


def test_housekeeping_goes_on_after_a_fault(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ours, for what the log refuses is no fault; it is told in the log of the process."""
    monkeypatch.setattr("connectors.broker.lifecycle._HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr("connectors.broker.lifecycle._PAUSE_S", 0.0)

    async def test() -> None:
        engine = await prepared(tmp_path)
        rounds = asyncio.Queue[None]()

        async def faulty(_compaction: Any) -> None:
            rounds.put_nowait(None)
            raise ValueError("a fault of ours")

        monkeypatch.setattr("connectors.broker.compaction.Compaction.run", faulty)
        for _ in range(3):
            await rounds.get()
        await engine.close()

    run(test)


def test_old_message_does_not_hold_a_segment(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed of nearly empty segments is moved, even out of the midst of a publish."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 100_000)

    async def test() -> None:
        engine = await prepared(tmp_path)
        for number in range(50):
            await publish(engine, *(b"%d-%d" % (number, n) + bytes(1_000) for n in range(10)))
        kept = [5, 123, 124]
        await ack(engine, *(p for p in range(500) if p not in kept))
        full = log_bytes(tmp_path)
        await engine.lifecycle.housekeep()
        assert log_bytes(tmp_path) < full / 4
        expected = [data[:5].rstrip(b"\0") for data in leased(engine)]
        assert expected == [b"0-5", b"12-3", b"12-4"]
        before = log_bytes(tmp_path)
        await engine.lifecycle.housekeep()
        assert log_bytes(tmp_path) == before  # what was moved is not moved again
        await engine.close()
        engine = Engine(tmp_path)
        assert [data[:5].rstrip(b"\0") for data in leased(engine)] == expected
        await engine.close()

    run(test)


def test_moving_stops_where_a_segment_is_still_well_used(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying much to free little is not worth it."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 100_000)

    async def test() -> None:
        engine = await prepared(tmp_path)
        for _ in range(50):
            await publish(engine, *(bytes(1_000) for _ in range(10)))
        await ack(engine, *(p for p in range(500) if p % 10 < 5))
        full = log_bytes(tmp_path)
        await engine.lifecycle.housekeep()
        assert log_bytes(tmp_path) >= full
        await engine.close()

    run(test)


def test_decisions_see_what_was_committed_just_before(tmp_path: Path, clock: Clock) -> None:
    """A seek or a snapshot that is asked for beside a publish and an ack comes behind both."""

    async def test() -> None:
        engine = await prepared(tmp_path, retain_acked=True)
        await publish(engine, b"a", b"b")
        subscription = engine.state.subscription(S)
        asked = [
            asyncio.ensure_future(publish(engine, b"c")),
            asyncio.ensure_future(ack(engine, 0)),
            asyncio.ensure_future(engine.lifecycle.create_snapshot(N, {}, subscription)),
            asyncio.ensure_future(ack(engine, 1)),
            asyncio.ensure_future(engine.lifecycle.seek_to_time(subscription, clock.now_us + 1)),
            asyncio.ensure_future(engine.lifecycle.seek_to_time(subscription, 0)),
        ]
        await asyncio.gather(*asked)
        part = engine.state.snapshot(N).part()
        assert (part.base + np.flatnonzero(part.needed)).tolist() == [1, 2]
        assert leased(engine) == [b"a", b"b", b"c"]
        await engine.close()

    run(test)


def test_decision_about_what_is_deleted_before_it_is_refused(tmp_path: Path, clock: Clock) -> None:
    """The refusal reaches the one who asked, and nobody else."""

    async def test() -> None:
        engine = await prepared(tmp_path)
        subscription = engine.state.subscription(S)
        asked = [
            asyncio.ensure_future(engine.commit(SubscriptionDeleted(2))),
            asyncio.ensure_future(engine.lifecycle.seek_to_time(subscription, 0)),
            asyncio.ensure_future(engine.lifecycle.create_snapshot(N, {}, subscription)),
            asyncio.ensure_future(publish(engine, b"a")),
        ]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in results] == [bool, NotFound, NotFound, type(None)]
        await engine.close()

    run(test)


def test_publish_beside_the_creation_of_a_filtered_subscription(
    tmp_path: Path, clock: Clock
) -> None:
    """The filter holds for what is applied behind the creation, though it was published before."""

    async def test() -> None:
        engine = await prepared(tmp_path)
        await engine.commit(SubscriptionDeleted(2))
        settings = SubscriptionSettings(S, T, filter="attributes:k")
        created = engine.commit(SubscriptionCreated(3, 1, settings))
        asked = [asyncio.ensure_future(created)]
        await asyncio.sleep(0)  # it is on its way to the log, and not in the state
        assert S not in engine.state.subscriptions
        asked.append(asyncio.ensure_future(publish(engine, b"no")))
        asked.append(asyncio.ensure_future(publish(engine, b"yes", attributes={"k": "v"})))
        await asyncio.gather(*asked)
        assert leased(engine) == [b"yes"]
        await engine.close()

    run(test)
