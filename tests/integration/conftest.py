"""What the tests of the local BigQuery share."""

import re
from collections.abc import Iterator

import pytest

from connectors.bigquery_local import Server
from tests.bigquery_clients import ID, NAME, Clients, serving


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[Server, Clients]]:
    """A server in memory for the tests of a file."""
    yield from serving()


@pytest.fixture
def clients(local: tuple[Server, Clients]) -> Clients:
    """Its clients."""
    return local[1]


@pytest.fixture
def table(clients: Clients, request: pytest.FixtureRequest) -> str:
    """A table of the test's own, with the columns ``id`` and ``name``."""
    return clients.table(re.sub(r"\W", "_", request.node.name), ID, NAME)
