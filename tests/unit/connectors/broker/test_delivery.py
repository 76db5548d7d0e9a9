"""Leases and acks on an engine: who gets what, and what becomes of acks that can't be written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest

from connectors.broker import engine, schema, wire
from connectors.broker.delivery import Delivery, Want
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted, FailedPrecondition, NotFound
from connectors.broker.events import (
    Detached,
    SubscriptionCreated,
    SubscriptionDeleted,
    TopicCreated,
    TopicDeleted,
)
from connectors.broker.settings import (
    DeadLetterPolicy,
    RetryPolicy,
    SubscriptionSettings,
    TopicSettings,
    Transform,
)
from connectors.broker.state import Subscription

T, DEAD = "projects/p/topics/orders", "projects/p/topics/dead"
S, MORGUE = "projects/p/subscriptions/one", "projects/p/subscriptions/morgue"
ALL = Want(1_000, 1 << 30, 10.0)
LETTERS = DeadLetterPolicy(DEAD, 2)


class Bench:
    """An engine in memory, with one topic and one subscription."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.delivery = engine, engine.delivery

    @property
    def subscription(self) -> Subscription:
        """The subscription."""
        return self.engine.state.subscription(S)

    async def publish(self, count: int, key: str = "") -> None:
        """Publish messages in one request."""
        messages = [{"data": b"x", "ordering_key": key}] * count
        request = schema.message("PublishRequest")(messages=messages).SerializeToString()
        decoded = wire.decode("PublishRequest", request)["messages"]
        await self.engine.publish(self.engine.state.topic(T), decoded)

    def lease(self) -> Delivery:
        """Lease all there is."""
        delivery = self.delivery.lease(self.subscription, ALL)
        assert delivery is not None
        return delivery

    async def ack(self, delivery: Delivery) -> Any:
        """Ack all of a delivery."""
        ack = self.delivery.ack(self.subscription, delivery.positions, delivery.generation)
        return await ack

    def nack(self, delivery: Delivery) -> None:
        """Give all of a delivery back."""
        self.delivery.extend(self.subscription, delivery.positions, delivery.generation, 0)

    def full(self) -> Any:
        """Return a context in which the disk has no room."""
        return mock.patch.object(self.engine._log, "write", side_effect=Exhausted("full"))

    def settled(self) -> bool:
        """Tell whether nothing is left to deliver, nor out."""
        backlog = self.subscription.backlog
        return backlog.waiting == backlog.leased == 0


@asynccontextmanager
async def bench(**settings: Any) -> AsyncIterator[Bench]:
    """Yield a bench whose subscription has these settings."""
    engine = Engine(None)
    try:
        await engine.commit(TopicCreated(1, TopicSettings(T)))
        await engine.commit(TopicCreated(2, TopicSettings(DEAD)))
        subscription = SubscriptionSettings(S, T, **settings)
        await engine.commit(SubscriptionCreated(3, 1, subscription))
        await engine.commit(SubscriptionCreated(4, 2, SubscriptionSettings(MORGUE, DEAD)))
        yield Bench(engine)
    finally:
        await engine.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop."""
    asyncio.run(asyncio.wait_for(test(), 20))


MODES = pytest.mark.parametrize(
    "settings", [{"exactly_once": True}, {"ordered": True}, {"exactly_once": True, "ordered": True}]
)


@MODES
def test_ack_that_is_not_written_can_be_repeated(settings: dict[str, Any]) -> None:
    """The message stays with its subscriber, under the same lease."""

    async def test() -> None:
        async with bench(**settings) as b:
            await b.publish(3, "k")
            delivery = b.lease()
            with b.full(), pytest.raises(Exhausted):
                await b.ack(delivery)
            assert b.subscription.backlog.ready == 0
            acks = await b.ack(delivery)
            assert not acks.invalid.any()
            assert b.settled()

    run(test)


@MODES
def test_ack_counts_though_nobody_waits_for_it(settings: dict[str, Any]) -> None:
    """Whether it is written or not, when its request was cancelled."""

    async def test() -> None:
        async with bench(**settings) as b:
            await b.publish(1, "k")
            delivery = b.lease()
            with b.full():
                await cancelled(b, delivery)
            assert not b.settled()
            await cancelled(b, delivery)
            assert b.settled()

    async def cancelled(b: Bench, delivery: Delivery) -> None:
        task = asyncio.create_task(b.ack(delivery))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await b.delivery.close()

    run(test)


def test_message_is_not_lost_while_its_ack_is_written() -> None:
    """The deadline does not count from when an exactly-once ack was accepted."""

    async def test() -> None:
        async with bench(exactly_once=True) as b:
            await b.publish(1)
            delivery = b.lease()
            acking = asyncio.create_task(b.ack(delivery))
            await asyncio.sleep(0)
            b.nack(delivery)
            assert b.subscription.backlog.ready == 0
            await acking
            assert b.settled()

    run(test)


def test_those_who_wait_share() -> None:
    """Each gets as much as any other."""

    async def test() -> None:
        async with bench() as b:
            waiting = [
                asyncio.create_task(b.delivery.lease_within(10, b.subscription, ALL))
                for _ in range(4)
            ]
            await asyncio.sleep(0)
            await b.publish(8)
            deliveries = await asyncio.gather(*waiting)
            assert [each and each.positions.size for each in deliveries] == [2] * 4

    run(test)


def test_share_of_one_who_leaves_is_for_the_others() -> None:
    """Also if it was woken already."""

    async def test() -> None:
        async with bench() as b:
            first, second = (
                asyncio.create_task(b.delivery.lease_within(10, b.subscription, ALL))
                for _ in range(2)
            )
            await asyncio.sleep(0)
            await b.publish(1)  # wakes the first
            first.cancel()
            delivery = await second
            assert delivery is not None

    run(test)


def test_stream_that_reconnects_is_charged_for_what_it_holds() -> None:
    """By its client id; another one begins at nothing."""

    async def test() -> None:
        async with bench() as b:
            owners, subscription = b.delivery.owners, b.subscription
            owner = owners.join(subscription, "me")
            await b.publish(3)
            b.delivery.lease(subscription, ALL, owner)
            owners.leave(subscription, "me", owner)
            assert owners.join(subscription, "you") != owner
            again = owners.join(subscription, "me")
            assert subscription.backlog.held(again).messages == 3
            await b.delivery.ack(subscription, np.arange(3), 0)
            owners.leave(subscription, "me", again)
            assert owners.join(subscription, "me") != owner

    run(test)


@pytest.mark.parametrize(
    ("event", "error"), [(SubscriptionDeleted(3), NotFound), (Detached(3), FailedPrecondition)]
)
def test_who_waits_hears_of_the_end(event: Any, error: type[Exception]) -> None:
    """Of a subscription that is deleted or detached."""

    async def test() -> None:
        async with bench() as b:
            waiting = asyncio.create_task(b.delivery.lease_within(10, b.subscription, ALL))
            await asyncio.sleep(0)
            await b.engine.commit(event)
            with pytest.raises(error):
                await waiting

    run(test)


async def fail_twice(b: Bench) -> None:
    """Have all messages delivered and given back as often as they may be."""
    for attempt in (1, 2):
        delivery = b.lease()
        assert delivery.attempts is not None
        assert delivery.attempts.tolist() == [attempt] * delivery.positions.size
        b.nack(delivery)


async def forwarded(b: Bench, count: int) -> Delivery:
    """Return what comes to the dead letter topic."""
    morgue = b.engine.state.subscription(MORGUE)
    found = await b.delivery.lease_within(10, morgue, ALL)
    while found and morgue.backlog.leased < count:
        await b.delivery.lease_within(10, morgue, ALL)
    assert found is not None
    return found


def test_dead_letters_of_several_keys_are_forwarded() -> None:
    """Each in a publish of its own, with its key."""

    async def test() -> None:
        async with bench(dead_letter=LETTERS) as b:
            await b.publish(2, "a")
            await b.publish(1, "b")
            await fail_twice(b)
            await forwarded(b, 3)
            assert b.settled()
            assert b.engine.counters.subscription(3).dead_lettered == 3

    run(test)


def test_dead_letter_that_finds_no_room_is_delivered_on() -> None:
    """And forwarded when it fails again."""

    async def test() -> None:
        async with bench(dead_letter=LETTERS) as b:
            await b.publish(1)
            with b.full():
                await fail_twice(b)
                delivery = await b.delivery.lease_within(10, b.subscription, ALL)
            assert delivery is not None
            assert delivery.attempts is not None
            assert delivery.attempts.tolist() == [3]
            b.nack(delivery)
            await forwarded(b, 1)
            assert b.settled()

    run(test)


def test_dead_letter_without_topic_is_delivered_on() -> None:
    """Until there is one."""

    async def test() -> None:
        async with bench(dead_letter=LETTERS) as b:
            await b.engine.commit(TopicDeleted(2))
            await b.publish(1)
            await fail_twice(b)
            delivery = await b.delivery.lease_within(10, b.subscription, ALL)
            assert delivery is not None
            assert b.engine.counters.subscription(3).dead_lettered == 0

    run(test)


async def fail_after(b: Bench, event: Any) -> None:
    """Have all messages fail for good while an event is on its way to the log."""
    b.nack(b.lease())
    delivery = b.lease()
    committed = asyncio.ensure_future(b.engine.commit(event))
    await asyncio.sleep(0)
    b.nack(delivery)
    await committed


def test_dead_letter_outlives_the_deletion_of_its_topic() -> None:
    """It is not acked where nothing is published; it is delivered on."""

    async def test() -> None:
        async with bench(dead_letter=LETTERS) as b:
            await b.publish(1)
            await fail_after(b, TopicDeleted(2))
            delivery = await b.delivery.lease_within(10, b.subscription, ALL)
            assert delivery is not None
            assert b.engine.counters.subscription(3).dead_lettered == 0

    run(test)


def test_forwarding_ends_with_its_subscription() -> None:
    """Though its messages are there still, for another one: no copy follows the other."""

    async def test() -> None:
        async with bench(dead_letter=LETTERS) as b:
            other = SubscriptionSettings("projects/p/subscriptions/two", T)
            await b.engine.commit(SubscriptionCreated(5, 1, other))
            await b.publish(1)
            await fail_after(b, SubscriptionDeleted(3))
            await b.engine._forwarding.close()
            assert b.engine.counters.topic(2).messages <= 1

    run(test)


FAILING = Transform("f", "function f(message, metadata) { throw Error('no'); }")


@pytest.mark.parametrize("policy", [None, RetryPolicy(0.0, 600.0), RetryPolicy(0.3, 0.3)])
def test_transform_that_always_fails_is_no_hot_loop(policy: RetryPolicy | None) -> None:
    """Without a retry policy too there is a wait between two attempts; with one, its own."""

    async def test() -> None:
        async with bench(transforms=(FAILING,), retry=policy) as b:
            await b.publish(1)
            assert await b.delivery.lease_within(1.0, b.subscription, ALL) is None
            sent = b.engine.counters.subscription(b.subscription.uid).sent
            assert 2 <= sent <= 5

    run(test)


def test_leases_end_after_a_tick_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of one moment must not stop the clock of all leases."""
    monkeypatch.setattr(engine, "_TICK_S_FAULTY", 0.05)

    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with bench() as b:
            await b.publish(1)
            expire = b.delivery.expire
            with mock.patch.object(
                b.delivery, "expire", side_effect=[OSError("once"), None]
            ) as bad:
                assert b.delivery.lease(b.subscription, Want(1, 1 << 20, 0.1)) is not None
                while bad.call_count < 2:
                    await asyncio.sleep(0.01)
                bad.side_effect = expire
            assert await b.delivery.lease_within(5.0, b.subscription, ALL) is not None

    run(test)
