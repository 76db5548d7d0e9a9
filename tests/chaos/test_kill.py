"""Kill the broker or the pipeline at any moment: the lake is that of an undisturbed run."""

import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.dataset as ds
import pytest

from connectors import pubsub
from pipelines.demo import flights
from tests.processes import BrokerProcess, run_pipeline, start_pipeline, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

FLIGHTS = 60_000
TOPIC = "projects/chaos/topics/flights"
SUBSCRIPTION = "projects/chaos/subscriptions/flights"
SCHEMA = Path(flights.__file__).with_name("flights.json")
RUN_LIMIT_S = 120.0
BY_RUN = ("failed_at", "publish_time", "message_id")
SEEDS = [int(seed) for seed in os.environ.get("HEADRACE_CHAOS_SEEDS", "1,2,3,4,5,6,7,8").split(",")]


def argv(folder: Path) -> list[str]:
    return [
        f"--subscription={SUBSCRIPTION}",
        f"--schema={SCHEMA}",
        f"--output={folder / 'lake'}",
        f"--dead_letter={folder / 'dead'}",
        "--event_time=departure",
        "--window=fixed:1d",
        "--dedup_by=attribute:event_id",
    ]


def publish(address: str, stream: flights.Stream) -> None:
    previous = os.environ.get("PUBSUB_EMULATOR_HOST")
    os.environ["PUBSUB_EMULATOR_HOST"] = address
    try:
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC)
        with pubsub.Publisher(TOPIC) as publisher:
            for batch in stream.batches:
                publisher.publish(batch)
    finally:
        if previous is None:
            del os.environ["PUBSUB_EMULATOR_HOST"]
        else:
            os.environ["PUBSUB_EMULATOR_HOST"] = previous


def contents(folder: Path) -> list[str]:
    """Return all rows below a folder in an order of their own, without what differs by run."""
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    table = ds.dataset(files, format="parquet").to_table()
    rows = table.drop_columns([name for name in BY_RUN if name in table.schema.names]).to_pylist()
    return sorted(map(repr, rows))


def pipeline_run(address: str, folder: Path) -> int:
    module = "pipelines.pubsub_to_lake"
    return run_pipeline(module, address, argv(folder), folder / "log", limit_s=RUN_LIMIT_S)


@pytest.fixture(scope="module")
def stream() -> flights.Stream:
    return flights.stream(FLIGHTS)


class Undisturbed(NamedTuple):
    """A run that nobody disturbed: where its lake is, and how long it took."""

    folder: Path
    lifetime_s: float


@pytest.fixture(scope="module")
def undisturbed(stream: flights.Stream, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with BrokerProcess(folder / "broker") as broker:
        publish(broker.address, stream)
        began = time.monotonic()
        assert pipeline_run(broker.address, folder) == 0, (folder / "log").read_text()
        return Undisturbed(folder, time.monotonic() - began)


@pytest.mark.parametrize("seed", SEEDS)
def test_lake_is_that_of_an_undisturbed_run(
    seed: int, stream: flights.Stream, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """Whatever dies and whenever, started again it gives the same rows, each once."""
    rng = random.Random(seed)
    victims = [rng.choice(["broker", "pipeline"]) for _ in range(rng.randint(1, 3))]
    with BrokerProcess(tmp_path / "broker") as broker:
        publish(broker.address, stream)
        for victim in victims:
            # The imports take half of the time, and nothing can go wrong there.
            delay_s = rng.uniform(0.4, 1.0) * undisturbed.lifetime_s
            print(f"seed {seed}: kill -9 the {victim} after {delay_s:.2f} s")
            _disturb(victim, delay_s, broker, tmp_path)
        log = tmp_path / "log"
        assert pipeline_run(broker.address, tmp_path) == 0, log.read_text()
    for part in ("lake", "dead"):
        found, expected = contents(tmp_path / part), contents(undisturbed.folder / part)
        assert len(found) == len(expected), f"seed {seed}, {part}\n{log.read_text()}"
        assert found == expected, f"seed {seed}, {part}"


def _disturb(victim: str, delay_s: float, broker: BrokerProcess, folder: Path) -> None:
    process = start_pipeline(
        "pipelines.pubsub_to_lake", broker.address, argv(folder), folder / "log"
    )
    time.sleep(delay_s)  # The moment of the crash is the input of this test.
    if victim == "broker":
        broker.kill()
        broker.start()
        # The pipeline may live through it or fail; either way the next run mends everything.
        process.wait(RUN_LIMIT_S)
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_takes_a_run_back(number: int, stream: flights.Stream, tmp_path: Path) -> None:
    """A run that is asked to stop ends soon, says so, and leaves all for the next one."""
    log = tmp_path / "log"
    with BrokerProcess(tmp_path / "broker") as broker:
        publish(broker.address, stream)
        process = start_pipeline("pipelines.pubsub_to_lake", broker.address, argv(tmp_path), log)
        wait_until(lambda: any(tmp_path.rglob("*.staged")), RUN_LIMIT_S)
        process.send_signal(number)
        assert process.wait(30) == 128 + number, log.read_text()
        assert f"stopped by {signal.Signals(number).name}" in log.read_text()
        assert not list(tmp_path.rglob("*.staged"))
        assert not list((tmp_path / "lake").rglob("*.parquet"))
        assert pipeline_run(broker.address, tmp_path) == 0, log.read_text()
    assert len(contents(tmp_path / "lake")) == stream.unique
