"""A table in memory, and a session with its server."""

from collections.abc import Iterator

import pytest

from connectors.bigquery.session import Session, session
from tests.fake_bigquery import FakeTable, serve


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


@pytest.fixture
def bigquery_session(table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with serve(table) as address:
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", address)
        opened = session()
        yield opened
        opened.close()
