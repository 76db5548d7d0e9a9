"""Kill the broker or the pipeline at any moment: the lake is that of an undisturbed run."""

import os
import random
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from connectors import pubsub
from pipelines.demo import flights
from tests.processes import BrokerProcess, run_pipeline, start_pipeline

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

FLIGHTS = 60_000
TOPIC = "projects/chaos/topics/flights"
SUBSCRIPTION = "projects/chaos/subscriptions/flights"
SCHEMA = Path(flights.__file__).with_name("flights.json")
RUN_LIMIT_S = 120.0
BY_RUN = ("failed_at", "publish_time", "message_id")
# A run of this size lives about this long; a kill may also come when all is done.
LIFETIME_S = 7.0
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


@pytest.fixture(scope="module")
def undisturbed(stream: flights.Stream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with BrokerProcess(folder / "broker") as broker:
        publish(broker.address, stream)
        assert pipeline_run(broker.address, folder) == 0, (folder / "log").read_text()
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_lake_is_that_of_an_undisturbed_run(
    seed: int, stream: flights.Stream, undisturbed: Path, tmp_path: Path
) -> None:
    """Whatever dies and whenever, started again it gives the same rows, each once."""
    rng = random.Random(seed)
    victims = [rng.choice(["broker", "pipeline"]) for _ in range(rng.randint(1, 3))]
    with BrokerProcess(tmp_path / "broker") as broker:
        publish(broker.address, stream)
        for victim in victims:
            delay_s = rng.uniform(0.0, LIFETIME_S)
            print(f"seed {seed}: kill -9 the {victim} after {delay_s:.2f} s")
            _disturb(victim, delay_s, broker, tmp_path)
        log = tmp_path / "log"
        assert pipeline_run(broker.address, tmp_path) == 0, log.read_text()
    for part in ("lake", "dead"):
        found, expected = contents(tmp_path / part), contents(undisturbed / part)
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
