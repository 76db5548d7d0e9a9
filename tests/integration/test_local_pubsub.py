"""From our broker to a lake on the local runner, in processes that are stopped and killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from connectors import pubsub
from tests import forks
from tests.processes import ROOT, BrokerProcess, wait_until
from tests.pubsub_servers import TOPIC, create, unacknowledged

pytestmark = pytest.mark.integration

START = dt.datetime(2013, 1, 1, tzinfo=dt.timezone.utc)
WINDOW_S = 5
ROWS_PER_WINDOW = 500
LIMIT_S = 60.0


class Job:
    """``tests.local_job`` on one state and one lake, through any number of deaths."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self.lake = folder / "lake"
        self.log = folder / "log"
        self._argv = [f"--state_dir={folder / 'state'}", f"--lake={self.lake}", *argv]
        self.process: forks.Forked | None = None

    def start(self) -> None:
        """Start it; it may take a few seconds until it reads."""
        with self.log.open("a") as log:
            self.process = forks.start("tests.local_job", self._argv, os.environ, log, ROOT)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(LIMIT_S)
        finally:
            self.process.kill()
            self.process = None

    def wait_for(self, count: int, limit_s: float = LIMIT_S) -> None:
        """Wait until so many rows are in the lake."""

        def arrived() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-2_000:]
            return len(self.numbers()) >= count

        wait_until(arrived, limit_s)

    def files(self) -> list[Path]:
        """Return the data files."""
        return sorted(self.lake.rglob("*.parquet"))

    def numbers(self) -> list[int]:
        """Return the rows that a reader sees now, sorted."""
        if not self.files():
            return []
        return sorted(ds.dataset(self.lake, format="parquet").to_table()["n"].to_pylist())

    def in_work(self) -> list[str]:
        """Return what lies in the folder of files that are not complete."""
        return [str(path) for path in (self.lake.parent / ".lake.headrace/staging").rglob("*")]


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker with topic and subscription; yield its address."""
    with BrokerProcess(tmp_path / "broker") as process:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", process.address)
        create()
        yield process.address


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[list[Job]]:
    """Collect jobs, which are killed in the end."""
    started: list[Job] = []
    yield started
    for job in started:
        if job.process is not None:
            job.process.kill()
            job.process.wait()


def publish(first: int, count: int, shuffle: random.Random | None = None) -> None:
    """Publish rows, a hundred to a second of event time, perhaps with a second of disorder."""
    numbers = list(range(first, first + count))
    if shuffle is not None:
        numbers.sort(key=lambda number: number + shuffle.uniform(0, 100))
    rows = (
        {"n": number, "at": (START + dt.timedelta(seconds=number / 100)).isoformat()}
        for number in numbers
    )
    data = pa.array([json.dumps(row).encode() for row in rows])
    with pubsub.Publisher(TOPIC) as publisher:
        publisher.publish(pubsub.as_messages(data))


def test_stop_start_kill_and_drain(broker: str, tmp_path: Path, jobs: list[Job]) -> None:
    """Rows appear while the job runs; nothing is lost or repeated by a stop or a kill."""
    job = Job(tmp_path)
    jobs.append(job)
    publish(0, 20_000)
    job.start()
    job.wait_for(20_000)
    assert job.end(signal.SIGTERM) == 0
    publish(20_000, 10_000)
    job.start()
    job.wait_for(30_000)
    job.end(signal.SIGKILL)
    publish(30_000, 10_000)
    job.start()
    job.wait_for(40_000)
    assert job.end(signal.SIGUSR1) == 0
    assert job.numbers() == list(range(40_000))
    assert unacknowledged(broker) == 0
    assert job.in_work() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment(broker: str, tmp_path: Path, jobs: list[Job], seed: int) -> None:
    """Windows of a lake are the same, row for row, however often the job was killed.

    Event time is a column of years ago, with disorder, and late rows would be dropped: the
    watermark must not pass over messages that a dead process held.
    """
    chance = random.Random(seed)
    count = 60_000
    job = Job(tmp_path, f"--window_s={WINDOW_S}", "--disorder_s=1")
    jobs.append(job)
    for step in range(6):
        publish(step * 10_000, 10_000, chance)
        job.start()
        wait_until(lambda: job.log.read_text().count("running\n") > step, LIMIT_S)  # noqa: B023 - called at once
        time.sleep(chance.uniform(0.0, 1.5))  # the moment of the kill is what is tested
        job.end(signal.SIGKILL)
    job.start()
    last = count - 100 - ROWS_PER_WINDOW  # the watermark is a second behind
    job.wait_for(last // ROWS_PER_WINDOW * ROWS_PER_WINDOW)
    assert job.end(signal.SIGUSR1) == 0
    assert job.numbers() == list(range(count)), f"seed {seed}"
    for file in job.files():
        numbers = pq.read_table(file)["n"].to_numpy()
        assert len(set((numbers // ROWS_PER_WINDOW).tolist())) == 1
    assert unacknowledged(broker) == 0
    assert job.in_work() == []


def test_an_idle_job_costs_little(broker: str, tmp_path: Path, jobs: list[Job]) -> None:
    """Without messages the process sleeps: it uses 2 % of a core, and 5 % on a crowded one."""
    job = Job(tmp_path)
    jobs.append(job)
    publish(0, 100)
    job.start()
    job.wait_for(100)
    assert job.process is not None
    time.sleep(11.0)  # until it is quiet
    process = psutil.Process(job.process.pid)
    before = process.cpu_times()
    time.sleep(10.0)
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.5
    publish(100, 100)
    started_s = time.monotonic()
    job.wait_for(200)
    assert time.monotonic() - started_s < 5.0
