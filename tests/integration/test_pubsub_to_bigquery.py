"""From our broker to BigQuery's protocol with kills in the middle: reconciled row by row."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.bigquery_local import Fault, Server
from tests.bigquery_job import Job, assert_each_once, count, publish
from tests.bigquery_tables import serving
from tests.processes import BrokerProcess
from tests.pubsub_servers import create, unacknowledged

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


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
def job(tmp_path: Path, broker: str, server: Server) -> Iterator[Job]:
    """Prepare a job with two shards; it is killed in the end."""
    with Job(tmp_path, broker, "--shards=2") as made:
        yield made


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_lose_and_repeat_nothing(job: Job, broker: str, server: Server, seed: int) -> None:
    """Killed again and again while rows come, the job leaves each message in the table once."""
    chance = random.Random(seed)
    published = 0
    for _ in range(6):
        publish(published, 5_000)
        before, published = count(server), published + 5_000
        job.start()
        least = before + chance.randrange(1, 5_000)
        job.wait(lambda least=least: count(server) >= least)
        publish(published, 5_000)
        published += 5_000
        job.end(signal.SIGKILL)
    job.start()
    job.wait(lambda: count(server) >= published)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert_each_once(server, published)
    assert unacknowledged(broker) == 0


def test_faults_and_kills_together(job: Job, broker: str, server: Server) -> None:
    """A server that loses answers, drops calls and forbids for a while changes nothing."""
    publish(0, 20_000)
    for fault in FAULTS:
        server.faults.add(fault)
    job.start()
    job.wait(lambda: count(server) >= 10_000)
    job.end(signal.SIGKILL)
    for fault in FAULTS:
        server.faults.add(fault)
    publish(20_000, 20_000)
    job.start()
    job.wait(lambda: count(server) >= 40_000)
    assert job.end(signal.SIGTERM) == 0, job.told()
    assert_each_once(server, 40_000)
    assert unacknowledged(broker) == 0


FAULTS = (
    Fault("UNAVAILABLE", method="AppendRows", times=2),
    Fault("UNAVAILABLE", method="AppendRows", after=True, skip=1, times=2),
    Fault("INTERNAL", method="AppendRows", after=True, in_response=True, skip=2),
    Fault("ABORTED", method="AppendRows", in_response=True, skip=3),
    Fault("RESOURCE_EXHAUSTED", method="FlushRows"),
    Fault("UNAVAILABLE", method="FlushRows", after=True, skip=1),
    Fault("UNAVAILABLE", method="CreateWriteStream", after=True),
    Fault("UNAVAILABLE", method="GetWriteStream"),
)
