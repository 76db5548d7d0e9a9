"""From our broker to BigQuery's protocol with kills in the middle: reconciled row by row."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from connectors import pubsub
from connectors.bigquery_local import Fault, Server
from connectors.clients import bigquery_endpoint, open_bigquery
from tests.processes import BrokerProcess, start_pipeline, wait_until
from tests.pubsub_servers import SUBSCRIPTION, TOPIC, create, unacknowledged

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PROJECT = "test-project"
SCHEMA = [
    {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "text", "type": "STRING"},
]
LIMIT_S = 90.0


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
    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), PROJECT).create_dataset("data", retry=None)
        yield running


class Job:
    """The pipeline as a process, through any number of deaths."""

    def __init__(self, folder: Path, address: str, *flags: str) -> None:
        schema = folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        self.log = folder / "log"
        self._address = address
        self._argv = [
            "--runner=local", f"--state_dir={folder / 'state'}", f"--subscription={SUBSCRIPTION}",
            f"--schema={schema}", f"--table={PROJECT}.data.numbers", "--if_missing=create",
            "--semantics=exactly_once", "--message_columns=message_id",
            f"--dead_letter={folder / 'dead'}", *flags,
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self, *flags: str) -> None:
        """Start it; it may take a few seconds until it reads."""
        argv = [*self._argv, *flags]
        self._process = start_pipeline(
            "pipelines.pubsub_to_bigquery", self._address, argv, self.log
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; the job must live."""

        def holds() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()[-3_000:]
            return condition()

        wait_until(holds, LIMIT_S)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(LIMIT_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def job(tmp_path: Path, broker: str, server: Server) -> Iterator[Job]:
    """Prepare a job with two shards; it is killed in the end."""
    made = Job(tmp_path, broker, "--shards=2")
    yield made
    made.kill()


def publish(first: int, count: int) -> None:
    """Publish consecutive numbers."""
    data = pa.array(
        [json.dumps({"n": n, "text": f"t{n}"}).encode() for n in range(first, first + count)]
    )
    with pubsub.Publisher(TOPIC) as publisher:
        assert len(publisher.publish(pubsub.as_messages(data)).ok) == count


def count(server: Server) -> int:
    """Return the number of rows that a reader sees; none before the table is there."""
    there = server.query(
        "SELECT 1 FROM information_schema.tables "
        "WHERE table_schema = 'data' AND table_name = 'numbers'"
    )
    if not len(there):
        return 0
    return int(server.query("SELECT count(*) AS n FROM data.numbers")["n"][0].as_py())


def assert_each_once(server: Server, published: int) -> None:
    """Compare by SQL what is in the table with what was published."""
    found = server.query(
        f"""
        SELECT
          (SELECT count(*) FROM data.numbers) AS rows_there,
          (SELECT count(DISTINCT n) FROM data.numbers) AS numbers,
          (SELECT count(DISTINCT message_id) FROM data.numbers) AS messages,
          (SELECT count(*) FROM data.numbers WHERE text <> 't' || n) AS changed,
          (SELECT count(*) FROM range({published}) AS wanted(n)
           WHERE n NOT IN (SELECT n FROM data.numbers)) AS missing
        """
    ).to_pylist()
    assert found == [
        {"rows_there": published, "numbers": published, "messages": published,
         "changed": 0, "missing": 0}
    ]  # fmt: skip


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
    assert job.end(signal.SIGTERM) == 0, job.log.read_text()[-3_000:]
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
    assert job.end(signal.SIGTERM) == 0, job.log.read_text()[-3_000:]
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
