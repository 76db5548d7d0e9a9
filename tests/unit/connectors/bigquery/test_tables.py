"""Tables that are made on request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from connectors.bigquery.create import Create
from connectors.bigquery.session import Session, session
from connectors.bigquery.tables import schema_of
from connectors.bigquery.terms import Terms
from connectors.bigquery_local import Server
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.table_name import TableName
from transforms.errors import ConfigError
from transforms.schema import from_bigquery

NAME = TableName("test-project", "data", "made")
ROWS = from_bigquery(
    [{"name": "id", "type": "INTEGER", "mode": "REQUIRED"}, {"name": "at", "type": "TIMESTAMP"}]
)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with Server(project=NAME.project) as server:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", server.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), NAME.project).create_dataset(NAME.dataset, retry=None)
        yield session()
        session().close()


def made() -> Any:
    return open_bigquery(bigquery_endpoint(), NAME.project).get_table(str(NAME), retry=None)


def test_table_has_the_columns_of_the_rows(opened: Session) -> None:
    """Without columns of changes, which no table has."""
    rows = ROWS.append(pa.field("_CHANGE_TYPE", pa.string()))
    assert schema_of(opened, NAME, Create(), rows).equals(ROWS)
    opened.forget(NAME)
    assert opened.schema(NAME).equals(ROWS)


def test_table_that_is_there_stays_as_it_is(opened: Session) -> None:
    """Whoever makes a table second finds that of the first."""
    schema_of(opened, NAME, Create(), ROWS)
    opened.forget(NAME)
    assert schema_of(opened, NAME, Create(), pa.schema([("x", pa.int64())])).equals(ROWS)


def test_race_has_one_winner(opened: Session) -> None:
    """Made by several workers at once: one table counts for all, and nothing fails."""
    schemas = [ROWS.append(pa.field(f"of_{n}", pa.int64())) for n in range(8)]
    sessions = [Session(opened.endpoint) for _ in schemas]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(
                lambda given: schema_of(given[0], NAME, Create(), given[1]),
                zip(sessions, schemas, strict=True),
            )
        )
    assert all(schema.equals(found[0]) for schema in found)
    for each in sessions:
        each.close()


def test_missing_table_is_refused_without_create(opened: Session) -> None:
    """The error says how to get one."""
    with pytest.raises(ConfigError, match=r"data\.made.*does not exist.*create=Create"):
        schema_of(opened, NAME, None, ROWS)
    flags = Terms("--table", "--if_missing=create")
    with pytest.raises(ConfigError, match=r"^--table=.*data\.made.*--if_missing=create"):
        schema_of(opened, NAME, None, ROWS, flags)


def test_layout_is_checked_before_a_table_is_made(opened: Session) -> None:
    """The words are ours, and name the argument."""
    with pytest.raises(ConfigError, match=r"^cluster_by='gone'"):
        schema_of(opened, NAME, Create(cluster_by=("gone",)), ROWS)


def test_missing_dataset_is_an_error(opened: Session) -> None:
    """Only tables are made: a dataset has a place on earth."""
    with pytest.raises(ConfigError, match=r"dataset=.*bq mk test-project:gone"):
        schema_of(opened, TableName("test-project", "gone", "t"), Create(), ROWS)


def test_every_choice_is_kept(opened: Session) -> None:
    """Partitions, clustering and expiration are as asked."""
    create = Create(
        partition_by="hour(at)", partition_expiration_s=3_600, cluster_by=("id",),
        expiration_s=86_400,
    )  # fmt: skip
    before = dt.datetime.now(dt.timezone.utc)
    schema_of(opened, NAME, create, ROWS)
    table = made()
    assert table.time_partitioning.type_ == "HOUR"
    assert table.time_partitioning.field == "at"
    assert table.time_partitioning.expiration_ms == 3_600_000
    assert table.clustering_fields == ["id"]
    left_s = (table.expires - before).total_seconds()
    assert 86_390 < left_s < 86_460
