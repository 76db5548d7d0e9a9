"""Kill the pipeline at any of its calls to Cloud Storage: each message is there once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import lease, storage
from connectors.objects import ObjectStore, store_of
from tests.processes import BrokerProcess, run_pipeline, start_pipeline, wait_until
from tests.pubsub_servers import SUBSCRIPTION, create, publish
from tests.storage_servers import Fault, FaultyProxy, StorageServer
from transforms.errors import ConfigError

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

MESSAGES = 20_000
MORE = 100
MODULE = "pipelines.pubsub_to_storage"
RUN_LIMIT_S = 120.0
LIVES = 3
CALLS = 45
"""About as many calls to Cloud Storage as an undisturbed run makes."""
SEEDS = [int(seed) for seed in os.environ.get("HEADRACE_CHAOS_SEEDS", "1,2,3").split(",")]


class Killer:
    """Chooser of a proxy that kills a process at one of its calls, before or after the deed."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._calls = 0
        self._fault: Fault = "drop"

    def arm(self, process: subprocess.Popen[str], calls: int, fault: Fault) -> None:
        with self._guard:
            self._process, self._calls, self._fault = process, calls, fault

    def __call__(self, _method: str, _path: str) -> Fault | None:
        with self._guard:
            self._calls -= 1
            if self._process is None or self._calls > 0:
                return None
            self._process.kill()
            self._process = None
            return self._fault


@pytest.fixture
def killer(
    bucket: str, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Killer]:
    """Between the processes that are started and the server; this process has no part in it."""
    killer = Killer()
    with FaultyProxy(storage_server.port, killer) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield killer


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker with messages, as a process of its own."""
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        publish(MESSAGES)
        yield broker.address


def live(killer: Killer, chance: random.Random, address: str, argv: list[str], log: Path) -> None:
    """Start the pipeline, and let it be killed at one of its calls; it may end before."""
    process = start_pipeline(MODULE, address, argv, log)
    calls, fault = chance.randint(1, CALLS), chance.choice(["drop", "lose"])
    killer.arm(process, calls, fault)
    try:
        # A job without end that has nothing more to write makes no more calls.
        code = process.wait(15.0)
    except subprocess.TimeoutExpired:
        code = None
    process.kill()
    process.wait()
    print(f"killed at call {calls}, {fault}: exit code {code}")


def numbers(output: str) -> list[int]:
    files = storage.read_archive(output)
    return sorted(int(data.as_py()) for batch in files for data in batch.column("data"))


def names(root: str) -> list[str]:
    return [file.name for file in store_of(root).walk(root)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bounded_run_that_is_killed_has_happened_or_not(
    address: str, bucket: str, killer: Killer, tmp_path: Path, seed: int
) -> None:
    """Killed three times, then run to the end: each message once, and nothing else is left."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    output, log = f"{bucket}/out", tmp_path / "log"
    argv = [f"--subscription={SUBSCRIPTION}", f"--output={output}", "--window=1s",
            f"--dead_letter={bucket}/dead"]  # fmt: skip
    for _ in range(LIVES):
        live(killer, chance, address, argv, log)
    end = time.monotonic() + RUN_LIMIT_S
    # A run that was killed while it committed keeps its lock for as long as a lease lasts.
    while run_pipeline(MODULE, address, argv, log, limit_s=RUN_LIMIT_S):
        assert time.monotonic() < end, log.read_text()
    assert numbers(output) == list(range(MESSAGES)), log.read_text()
    wait_until(lambda: _nothing_staged(address, argv, log, bucket), 3 * lease.LEASE_S)


def _nothing_staged(address: str, argv: list[str], log: Path, bucket: str) -> bool:
    """Open the lake again, which removes what the dead have left as soon as they count as dead."""
    assert run_pipeline(MODULE, address, argv, log, limit_s=RUN_LIMIT_S) == 0
    return not [name for name in names(bucket) if "/staging/" in name]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_without_end_that_is_killed_goes_on(
    address: str, bucket: str, killer: Killer, tmp_path: Path, seed: int
) -> None:
    """Killed while it writes objects, and drained in the end: each message once, and no orphan."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    output, log = f"{bucket}/out", tmp_path / "log"
    argv = [f"--subscription={SUBSCRIPTION}", f"--output={output}", "--window=1s", "--idle=1s",
            f"--dead_letter={bucket}/dead", "--runner=local", "--shards=8",
            f"--state_dir={tmp_path / 'state'}", "--on_stop=drain"]  # fmt: skip
    for _ in range(LIVES):
        live(killer, chance, address, argv, log)
    process = start_pipeline(MODULE, address, argv, log)
    try:
        # Only a job that runs takes these; a signal before that would end the process.
        publish(MORE, MESSAGES)
        wait_until(lambda: _is_written(output), RUN_LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(RUN_LIMIT_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert b"goes on where it stopped" in log.read_bytes()
    assert numbers(output) == list(range(MESSAGES + MORE)), log.read_text()
    assert all(name.endswith(".avro") for name in names(output))
    assert ObjectStore().names(bucket) == ["out"]


def _is_written(output: str) -> bool:
    """Ask the objects: the broker waits for the acknowledgements of the dead until they expire."""
    try:
        return len(numbers(output)) >= MESSAGES + MORE
    except ConfigError:
        return False  # there is none yet
