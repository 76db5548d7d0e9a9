"""Policies at work: they last, and go with their resource."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.access.policies import CALLER, Policies
from connectors.broker.access.policy import Principal
from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import Aborted, InvalidArgument, NotFound
from connectors.broker.events import TopicCreated, TopicDeleted
from connectors.broker.schemas.registry import Registry
from connectors.broker.settings import TopicSettings

TOPIC = "projects/p/topics/orders"
PUBLISHER = {"bindings": [{"role": "roles/pubsub.publisher", "members": ["user:anna@example.com"]}]}


def run(directory: Path, work: Callable[[Engine, Policies], Awaitable[Any]]) -> Any:
    """Return what a broker on a directory does."""

    async def session() -> Any:
        engine = Engine(directory)
        try:
            return await work(engine, Policies(Catalog(engine), Registry(engine)))
        finally:
            await engine.close()

    return asyncio.run(session())


def request(name: str, **fields: Any) -> Any:
    """Return a request about the topic."""
    kind = schema.message(f"google.iam.v1.{name}Request")
    return kind(**{"resource": TOPIC, **fields})


async def create(engine: Engine, uid: int = 1) -> None:
    """Create the topic."""
    await engine.commit(TopicCreated(uid, TopicSettings(TOPIC)))


def test_policy_outlives_the_broker(tmp_path: Path) -> None:
    """It is on disk when it is answered."""

    async def first(engine: Engine, policies: Policies) -> Any:
        await create(engine)
        return await policies.set(request("SetIamPolicy", policy=PUBLISHER))

    async def second(_engine: Engine, policies: Policies) -> Any:
        return await policies.get(request("GetIamPolicy"))

    stored = run(tmp_path, first)
    assert run(tmp_path, second) == stored


def test_policy_goes_with_its_topic(tmp_path: Path) -> None:
    """Nothing of it stays, and a later topic of the name starts without one."""

    async def work(engine: Engine, policies: Policies) -> None:
        await create(engine)
        await policies.set(request("SetIamPolicy", policy=PUBLISHER))
        await engine.commit(TopicDeleted(1))
        assert engine.state.documents == {}
        with pytest.raises(NotFound):
            await policies.get(request("GetIamPolicy"))
        await create(engine, 2)
        assert not (await policies.get(request("GetIamPolicy"))).bindings

    run(tmp_path, work)


def test_policy_of_an_earlier_topic_does_not_count(tmp_path: Path) -> None:
    """One that was stored while the topic was being deleted is not the next one's."""

    async def work(engine: Engine, policies: Policies) -> None:
        await create(engine)
        await policies.set(request("SetIamPolicy", policy=PUBLISHER))
        kept = dict(engine.state.documents)
        await engine.commit(TopicDeleted(1))
        await create(engine, 2)
        engine.state.documents.update(kept)
        assert not (await policies.get(request("GetIamPolicy"))).bindings

    run(tmp_path, work)


def test_mask_says_what_is_set(tmp_path: Path) -> None:
    """An etag alone changes no binding; other fields are refused."""

    async def work(engine: Engine, policies: Policies) -> None:
        await create(engine)
        first = await policies.set(request("SetIamPolicy", policy=PUBLISHER))
        second = await policies.set(
            request("SetIamPolicy", policy={"etag": first.etag}, update_mask={"paths": ["etag"]})
        )
        assert second.bindings == first.bindings
        assert second.etag != first.etag
        with pytest.raises(Aborted):
            await policies.set(request("SetIamPolicy", policy={"etag": first.etag}))
        with pytest.raises(InvalidArgument, match="update_mask"):
            await policies.set(request("SetIamPolicy", update_mask={"paths": ["audit_configs"]}))

    run(tmp_path, work)


@pytest.mark.parametrize(("caller", "expected"), [
    (None, ["pubsub.topics.publish", "pubsub.topics.get"]),
    (Principal("user:anna@example.com"), ["pubsub.topics.publish"]),
    (Principal(""), []),
])  # fmt: skip
def test_caller_is_told_what_it_may(
    tmp_path: Path, caller: Principal | None, expected: list[str]
) -> None:
    """By the policy; everything, where nobody is asked who they are."""
    wanted = ["pubsub.topics.publish", "pubsub.topics.get"]

    async def work(engine: Engine, policies: Policies) -> list[str]:
        await create(engine)
        await policies.set(request("SetIamPolicy", policy=PUBLISHER))
        CALLER.set(caller)
        asked = request("TestIamPermissions", permissions=wanted)
        return list((await policies.test(asked)).permissions)

    assert run(tmp_path, work) == expected


@pytest.mark.parametrize("resource", ["", "projects/p", "projects/p/nonsense/x", "topics/orders"])
def test_only_resources_have_policies(tmp_path: Path, resource: str) -> None:
    """Neither projects nor what has no such name."""

    async def work(_engine: Engine, policies: Policies) -> None:
        with pytest.raises(InvalidArgument, match="resource"):
            await policies.get(request("GetIamPolicy", resource=resource))

    run(tmp_path, work)


@pytest.mark.parametrize(("version", "good"), [(0, True), (1, True), (2, False), (3, True)])
def test_version_is_one_that_there_is(tmp_path: Path, version: int, good: bool) -> None:
    """What is asked for; this broker has no conditions, so it shows version 1."""

    async def work(engine: Engine, policies: Policies) -> None:
        await create(engine)
        asked = request("GetIamPolicy", options={"requested_policy_version": version})
        if good:
            assert (await policies.get(asked)).version == 0  # it was never set
        else:
            with pytest.raises(InvalidArgument, match="requested_policy_version"):
                await policies.get(asked)

    run(tmp_path, work)
