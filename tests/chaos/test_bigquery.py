"""Faults of BigQuery under a running job: exact rows or a clear stop, never silence."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from google.cloud import bigquery

from connectors import pubsub
from connectors.bigquery_local import Fault, Server
from connectors.clients import bigquery_endpoint, open_bigquery
from tests.bigquery_clients import LocalBigQuery
from tests.bigquery_job import (
    DATASET,
    PROJECT,
    SCHEMA,
    TABLE,
    Job,
    assert_each_once,
    count,
    publish,
)
from tests.bigquery_tables import serving
from tests.processes import BrokerProcess
from tests.pubsub_servers import TOPIC, create, unacknowledged

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

BOTH = pytest.mark.parametrize("semantics", ["at_least_once", "exactly_once"])
DEAD_S = 20.0
"""Files of dead letters are written every ten seconds."""


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker with topic and subscription; yield its address."""
    with BrokerProcess(tmp_path / "broker") as process:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", process.address)
        create()
        yield process.address


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset."""
    yield from serving(monkeypatch)


@pytest.fixture
def job(tmp_path: Path, broker: str) -> Iterator[Job]:
    """Prepare a job; it is killed in the end."""
    with Job(tmp_path, broker) as made:
        yield made


def client() -> Any:
    """Return Google's client of the server."""
    return open_bigquery(bigquery_endpoint(), PROJECT)


def make_table(**kinds: str) -> None:
    """Make the table, with other types of some columns."""
    columns = [
        bigquery.SchemaField(field["name"], kinds.get(field["name"], field["type"]))
        for field in SCHEMA
    ]
    columns.append(bigquery.SchemaField("message_id", "STRING"))
    client().create_table(bigquery.Table(TABLE, columns), retry=None)


def numbers(server: Server) -> list[int]:
    """Return what is in the table, sorted."""
    return list(server.query("SELECT n FROM data.numbers ORDER BY n")["n"].to_pylist())


def assert_stopped(job: Job, code: int, *words: str) -> None:
    """Wait for the job to end by itself, with an error that says why."""
    assert job.ended() == code, job.told()
    error = job.told().splitlines()[-1]
    assert error.startswith("error: "), job.told()
    assert all(word in error for word in words), error


@BOTH
@pytest.mark.parametrize("seed", [1, 2])
def test_server_that_dies_and_comes_back(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch, semantics: str, seed: int
) -> None:
    """Killed at any moment, with rows under way: nothing is lost, and exactly once not repeated."""
    chance = random.Random(seed)
    published = 0
    with LocalBigQuery(tmp_path / "bigquery") as local:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{local.rest_port}")
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", f"127.0.0.1:{local.port}")
        clients = local.start()
        clients.rest.create_dataset(DATASET)
        make_table()
        job.start(f"--semantics={semantics}")
        for _ in range(3):
            publish(published, 3_000)
            published += 3_000
            least = chance.randrange(published - 3_000, published)
            job.wait(lambda least=least, clients=clients: len(clients.select(DISTINCT)) > least)
            publish(published, 3_000)
            published += 3_000
            time.sleep(chance.uniform(0.0, 0.5))  # the moment of the kill, not a wait for anything
            local.kill()
            clients.close()
            clients = local.start()
        job.wait(lambda: len(clients.select(DISTINCT)) == published)
        assert job.end(signal.SIGTERM) == 0, job.told()
        assert sorted(n for (n,) in clients.select(DISTINCT)) == list(range(published))
        if semantics == "exactly_once":
            assert clients.select(f"SELECT count(*) FROM `{TABLE}`") == [(published,)]
        clients.close()


DISTINCT = f"SELECT DISTINCT n FROM `{TABLE}`"


@BOTH
def test_table_dropped_in_the_middle(job: Job, broker: str, server: Server, semantics: str) -> None:
    """The job stops, and names it; made anew, the table gets every row that came since."""
    make_table()
    flags = [f"--semantics={semantics}", "--if_missing=refuse"]
    publish(0, 1_000)
    job.start(*flags)
    job.wait(lambda: count(server) == 1_000 and unacknowledged(broker) == 0)
    client().delete_table(TABLE, retry=None)
    publish(1_000, 1_000)
    assert_stopped(job, 2, TABLE, "does not exist", "Create it")
    make_table()
    job.start(*flags)
    job.wait(lambda: count(server) >= 1_000 and unacknowledged(broker) == 0)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert numbers(server) == list(range(1_000, 2_000))


@BOTH
def test_table_with_another_schema_in_the_middle(
    job: Job, broker: str, server: Server, semantics: str
) -> None:
    """A column whose type has changed stops the job, which names both; nothing is lost."""
    make_table()
    flags = [f"--semantics={semantics}", "--if_missing=refuse"]
    publish(0, 1_000)
    job.start(*flags)
    job.wait(lambda: count(server) == 1_000 and unacknowledged(broker) == 0)
    client().delete_table(TABLE, retry=None)
    make_table(text="INTEGER")
    publish(1_000, 1_000)
    assert_stopped(job, 1, TABLE, "takes no row", "text", "string", "INT64")
    client().delete_table(TABLE, retry=None)
    make_table()
    job.start(*flags)
    job.wait(lambda: count(server) >= 1_000 and unacknowledged(broker) == 0)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert numbers(server) == list(range(1_000, 2_000))


@BOTH
def test_column_added_in_the_middle_changes_nothing(
    job: Job, broker: str, server: Server, semantics: str
) -> None:
    """Rows go on as before, and have nothing in it."""
    make_table()
    publish(0, 1_000)
    job.start(f"--semantics={semantics}")
    job.wait(lambda: count(server) == 1_000)
    table = client().get_table(TABLE)
    table.schema = [*table.schema, bigquery.SchemaField("more", "STRING")]
    client().update_table(table, ["schema"], retry=None)
    publish(1_000, 1_000)
    job.wait(lambda: count(server) >= 2_000 and unacknowledged(broker) == 0)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert_each_once(server, 2_000)


@pytest.mark.parametrize(
    ("semantics", "method"),
    [
        ("at_least_once", "GetWriteStream"), ("at_least_once", "AppendRows"),
        ("exactly_once", "CreateWriteStream"), ("exactly_once", "AppendRows"),
        ("exactly_once", "FlushRows"),
    ],
)  # fmt: skip
def test_denied_access_in_the_middle(
    job: Job, broker: str, server: Server, semantics: str, method: str
) -> None:
    """The job stops and names the role; when it is granted, each row arrives once."""
    make_table()
    publish(0, 1_000)
    server.faults.add(Fault("PERMISSION_DENIED", method=method, times=1_000, text="not you"))
    job.start(f"--semantics={semantics}")
    assert_stopped(job, 2, TABLE, "access is denied", "not you", "roles/bigquery.dataEditor")
    server.faults.clear()
    job.start(f"--semantics={semantics}")
    job.wait(lambda: count(server) >= 1_000 and unacknowledged(broker) == 0)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert_each_once(server, 1_000)


@BOTH
def test_slow_server_is_waited_for(job: Job, broker: str, server: Server, semantics: str) -> None:
    """Answers that take seconds, some of them lost in the end, cost time and nothing else."""
    make_table()
    publish(0, 3_000)
    for method in ("GetWriteStream", "CreateWriteStream", "FlushRows"):
        server.faults.add(Fault(method=method, delay_s=2.0))
    server.faults.add(Fault(delay_s=2.0, times=3))
    job.start(f"--semantics={semantics}")
    job.wait(lambda: count(server) >= 3_000 and unacknowledged(broker) == 0)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert_each_once(server, 3_000)


@BOTH
def test_bad_row_is_dead_within_seconds(
    tmp_path: Path, job: Job, broker: str, server: Server, semantics: str
) -> None:
    """What BigQuery refuses is kept while the job runs, and the good rows around it are in."""
    make_table(text="JSON")
    good = [b'{"n": %d, "text": "%d"}' % (n, n) for n in range(100)]
    bad = b'{"n": 7777, "text": "{"}'
    with pubsub.Publisher(TOPIC) as publisher:
        publisher.publish(pubsub.as_messages(pa.array([*good[:50], bad, *good[50:]])))
    job.start(f"--semantics={semantics}")
    job.wait(lambda: count(server) == 100)
    job.wait(lambda: any(job.dead.rglob("*.parquet")), DEAD_S)
    assert job.end(signal.SIGTERM) == 0, job.told()
    files = sorted(str(path) for path in job.dead.rglob("*.parquet"))
    (found,) = ds.dataset(files, format="parquet").to_table().to_pylist()
    assert (found["data"], found["error_kind"]) == (bad, "refused_by_bigquery")
