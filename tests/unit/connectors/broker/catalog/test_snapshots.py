"""Snapshots as resources, inside the broker."""

import asyncio
from pathlib import Path

from connectors.broker import limits, schema
from connectors.broker.catalog import Catalog
from connectors.broker.catalog.snapshots import Snapshots
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted
from connectors.broker.events import SnapshotCreated, SubscriptionCreated, TopicCreated
from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings

TOPIC, SUBSCRIPTION = "projects/p/topics/abc", "projects/p/subscriptions/abc"


async def started(directory: Path) -> Engine:
    """Return a broker with a topic and a subscription."""
    engine = Engine(directory)
    await engine.commit(TopicCreated(1, TopicSettings(TOPIC)))
    await engine.commit(SubscriptionCreated(2, 1, SubscriptionSettings(SUBSCRIPTION, TOPIC)))
    return engine


def test_broker_ends_in_the_moment_of_a_snapshot(tmp_path: Path) -> None:
    """Housekeeping is woken by the snapshot and cancelled by the end at the same time."""

    async def work() -> None:
        engine = await started(tmp_path)
        request = schema.message("CreateSnapshotRequest")(subscription=SUBSCRIPTION)
        await Snapshots(Catalog(engine)).create(request)
        done, _ = await asyncio.wait([asyncio.ensure_future(engine.close())], timeout=10)
        assert done

    asyncio.run(work())


def test_snapshots_of_a_project_are_limited(tmp_path: Path) -> None:
    """One more than the limit is refused; another project has room."""

    async def work() -> list[str]:
        engine = await started(tmp_path)
        for number in range(limits.SNAPSHOTS_MAX):
            settings = SnapshotSettings(f"projects/p/snapshots/s{number:05}", 2**62)
            engine.state.apply(SnapshotCreated(10 + number, 1, settings, 0, b""))
        refusals = []
        for project in ("p", "q"):
            name = f"projects/{project}/snapshots/new"
            request = schema.message("CreateSnapshotRequest")(name=name, subscription=SUBSCRIPTION)
            try:
                await Snapshots(Catalog(engine)).create(request)
            except Exhausted as refused:
                refusals.append(str(refused))
        await engine.close()
        return refusals

    (refusal,) = asyncio.run(work())
    assert refusal.startswith("Project projects/p has 5000 snapshots")
