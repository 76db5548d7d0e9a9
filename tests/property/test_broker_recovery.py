"""The engine with its log on disk: what it delivers after any history with restarts in it."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.broker import limits, schema, wire
from connectors.broker.delivery import Want
from connectors.broker.engine import Engine
from connectors.broker.events import SubscriptionCreated, TopicCreated
from connectors.broker.settings import SubscriptionSettings, TopicSettings

T = "projects/p/topics/orders"
RETENTION_S = {"projects/p/subscriptions/one": 600, "projects/p/subscriptions/two": 1_200}
NAMES = list(RETENTION_S)
STEPS = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 5)),
    st.tuples(st.just("ack"), st.sampled_from(NAMES), st.lists(st.integers(0, 30), min_size=1)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("pass"), st.sampled_from([100, 601, 1_300])),
)


def request_of(payloads: list[bytes]) -> Any:
    """Return decoded messages."""
    request = schema.message("PublishRequest")(topic=T, messages=[{"data": d} for d in payloads])
    return wire.decode("PublishRequest", request.SerializeToString())["messages"]


async def start(directory: Path, *, create: bool = False) -> Engine:
    """Open the engine; create the topic and the subscriptions the first time."""
    engine = Engine(directory)
    if create:
        await engine.commit(TopicCreated(1, TopicSettings(T)))
        for uid, name in enumerate(NAMES, 2):
            await engine.commit(
                SubscriptionCreated(
                    uid, 1, SubscriptionSettings(name, T, retention_s=RETENTION_S[name])
                )
            )
    return engine


def deliverable(engine: Engine, name: str) -> list[bytes]:
    """Lease everything there is, give it back, return the payloads."""
    subscription = engine.state.subscription(name)
    delivery = engine.delivery.lease(subscription, Want(1_000, 1 << 30, 10.0))
    if delivery is None:
        return []
    engine.delivery.extend(subscription, delivery.positions, delivery.generation, 0)
    payloads: list[bytes] = delivery.rows.column("data").to_pylist()
    return payloads


class Clock:
    """A wall clock that the test moves."""

    now_s = 1_000_000

    def time_ns(self) -> int:
        """Return the time as ``time.time_ns`` does."""
        return self.now_s * 1_000_000_000


async def follow(steps: list[tuple[Any, ...]], directory: Path, clock: Clock) -> None:
    """Take the steps, and compare with lists after each."""
    engine = await start(directory, create=True)
    expected: dict[str, list[tuple[float, bytes]]] = {name: [] for name in NAMES}
    ids: list[int] = []
    try:
        for number, step in enumerate(steps):
            match step:
                case ("publish", count):
                    payloads = [b"%d %d" % (number, n) * 10 for n in range(count)]
                    topic = engine.state.topic(T)
                    got = await engine.publish(topic, request_of(payloads))
                    assert got is not None
                    ids += map(int, got.to_pylist())
                    for name in NAMES:
                        expected[name] += [(clock.now_s, payload) for payload in payloads]
                case ("ack", name, indices):
                    subscription = engine.state.subscription(name)
                    positions = subscription.backlog.peek(1_000)
                    chosen = sorted({n for n in indices if n < positions.size}, reverse=True)
                    await engine.delivery.ack(subscription, positions[chosen], 0)
                    for index in chosen:
                        del expected[name][index]
                case ("pass", seconds):
                    clock.now_s += seconds
                    await engine.lifecycle.housekeep()
                    for name, waiting in expected.items():
                        oldest_s = clock.now_s - RETENTION_S[name]
                        expected[name] = [each for each in waiting if each[0] >= oldest_s]
                case _:
                    await engine.close()
                    engine = await start(directory)
            for name, waiting in expected.items():
                assert deliverable(engine, name) == [payload for _, payload in waiting]
        assert ids == sorted(set(ids))
    finally:
        await engine.close()


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=25), st.sampled_from([100, 2_000, 1 << 20]))
def test_backlog_survives_restarts_and_segments(
    steps: list[tuple[Any, ...]], segment_bytes_max: int
) -> None:
    """With segments that come and go, each subscription has exactly what it has not acked."""
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch.object(limits, "SEGMENT_BYTES_MAX", segment_bytes_max),
        mock.patch("time.time_ns", (clock := Clock()).time_ns),
    ):
        asyncio.run(follow(steps, Path(directory), clock))
