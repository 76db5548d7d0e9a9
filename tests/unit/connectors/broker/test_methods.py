"""The table of methods: nothing of the API is missing from it."""

import asyncio
from pathlib import Path

import pytest

from connectors.broker import schema
from connectors.broker.access.needs import NEEDS
from connectors.broker.catalog import Catalog
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidArgument
from connectors.broker.health import SERVICES
from connectors.broker.methods import Method, table


def methods(directory: Path) -> dict[str, Method]:
    """Return the table of a new broker."""

    async def make() -> dict[str, Method]:
        engine = Engine(directory)
        try:
            return table(Catalog(engine))
        finally:
            await engine.close()

    return asyncio.run(make())


def test_every_method_of_the_api_is_answered(tmp_path: Path) -> None:
    """With the permissions that it needs."""
    found = methods(tmp_path)
    for name in SERVICES:
        for method in schema.service(name).methods:
            if name.startswith("google.") and not method.client_streaming:
                full_name = f"/{name}/{method.name}"
                assert found[full_name].needs == NEEDS.get(full_name, ())


def test_request_that_is_none_is_refused(tmp_path: Path) -> None:
    """Bytes that are no protocol buffer."""
    call = methods(tmp_path)["/google.pubsub.v1.Publisher/GetTopic"].call
    with pytest.raises(InvalidArgument, match="request"):
        asyncio.run(call(b"\xff"))
