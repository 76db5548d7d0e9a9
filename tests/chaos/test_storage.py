"""Kill the pipeline at any moment while it writes to Cloud Storage: each message is there once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import lease, storage
from connectors.objects import ObjectStore, store_of
from tests.processes import BrokerProcess, run_pipeline, start_pipeline, wait_until
from tests.pubsub_servers import SUBSCRIPTION, create, publish, unacknowledged

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

MESSAGES = 20_000
MORE = 100
MODULE = "pipelines.pubsub_to_storage"
RUN_LIMIT_S = 120.0
LIFETIME_S = 9.0
"""How long an undisturbed run takes, its imports included, at most."""
SEEDS = [int(seed) for seed in os.environ.get("HEADRACE_CHAOS_SEEDS", "1,2,3").split(",")]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker with messages, as a process of its own."""
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        publish(MESSAGES)
        yield broker.address


def numbers(output: str) -> list[int]:
    files = storage.read_archive(output)
    return sorted(int(data.as_py()) for batch in files for data in batch.column("data"))


def names(root: str) -> list[str]:
    return [file.name for file in store_of(root).walk(root)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bounded_run_that_is_killed_has_happened_or_not(
    address: str, bucket: str, tmp_path: Path, seed: int
) -> None:
    """Killed three times, then run to the end: each message once, and nothing else is left."""
    chance = random.Random(seed)
    output, log = f"{bucket}/out", tmp_path / "log"
    argv = [f"--subscription={SUBSCRIPTION}", f"--output={output}", "--window=1s",
            f"--dead_letter={bucket}/dead"]  # fmt: skip
    for _ in range(3):
        process = start_pipeline(MODULE, address, argv, log)
        after_s = chance.uniform(0.3, 1.0) * LIFETIME_S
        time.sleep(after_s)  # the moment is the test's input
        process.kill()
        process.wait()
        print(f"seed {seed}: killed after {after_s:.2f} s")
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
    address: str, bucket: str, tmp_path: Path, seed: int
) -> None:
    """Killed while it writes objects, and drained in the end: each message once, and no orphan."""
    chance = random.Random(seed)
    output, log = f"{bucket}/out", tmp_path / "log"
    argv = [f"--subscription={SUBSCRIPTION}", f"--output={output}", "--window=1s",
            f"--dead_letter={bucket}/dead", "--runner=local",
            f"--state_dir={tmp_path / 'state'}", "--on_stop=drain"]  # fmt: skip
    for _ in range(3):
        process = start_pipeline(MODULE, address, argv, log)
        after_s = chance.uniform(0.4, 1.2) * LIFETIME_S
        time.sleep(after_s)  # the moment is the test's input
        process.kill()
        process.wait()
        print(f"seed {seed}: killed after {after_s:.2f} s")
    log = tmp_path / "last"
    process = start_pipeline(MODULE, address, argv, log)
    try:
        # Only a job that runs takes these; a signal before that would end the process.
        publish(MORE, MESSAGES)
        wait_until(lambda: unacknowledged(address) == 0, RUN_LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(RUN_LIMIT_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert b"goes on where it stopped" in log.read_bytes()
    assert numbers(output) == list(range(MESSAGES + MORE)), log.read_text()
    assert all(name.endswith(".avro") for name in names(output))
    assert ObjectStore().names(bucket) == ["out"]
