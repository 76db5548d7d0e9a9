"""The table of methods: nothing of the API is missing from it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidArgument, Refusal, Unsupported
from connectors.broker.health import SERVICES
from connectors.broker.service import Router


def run(directory: Path, work: Callable[[Router], Awaitable[Any]]) -> Any:
    """Return what a new broker does."""

    async def session() -> Any:
        engine = Engine(directory)
        try:
            return await work(Router(engine))
        finally:
            await engine.close()

    return asyncio.run(session())


METHODS = [
    f"/{name}/{method.name}"
    for name in SERVICES
    for method in schema.service(name).methods
    if name.startswith("google.") and not method.client_streaming
]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_api_is_answered(tmp_path: Path, method: str) -> None:
    """Each of them refuses an empty request, and not because it is unknown."""

    async def work(router: Router) -> None:
        with pytest.raises(Refusal) as refused:
            await router.call(method, b"")
        assert not isinstance(refused.value, Unsupported)

    run(tmp_path, work)


def test_unknown_method_is_refused_by_name(tmp_path: Path) -> None:
    """The sentence names the service too."""

    async def work(router: Router) -> None:
        with pytest.raises(Unsupported, match=r"google\.pubsub\.v1\.Publisher has no method Nope"):
            await router.call("/google.pubsub.v1.Publisher/Nope", b"")

    run(tmp_path, work)


def test_request_that_is_none_is_refused(tmp_path: Path) -> None:
    """Bytes that are no protocol buffer."""

    async def work(router: Router) -> None:
        for method in METHODS:
            with pytest.raises(InvalidArgument, match="request"):
                await router.call(method, b"\xff")

    run(tmp_path, work)
