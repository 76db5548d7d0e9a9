"""A broker that starts anew, in front of a lake that knows the ids of the old one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from connectors import pubsub
from connectors.ledger import Ledger
from tests.conftest import message_batch
from tests.processes import BrokerProcess, run_pipeline
from tests.pubsub_servers import SUBSCRIPTION, TOPIC, create, unacknowledged

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MESSAGES = 3_000
RUN_LIMIT_S = 120.0


def publish(first: int) -> None:
    """Publish numbered events."""
    payloads = [json.dumps({"n": number}).encode() for number in range(first, first + MESSAGES)]
    with pubsub.Publisher(TOPIC) as publisher:
        assert len(publisher.publish(message_batch(payloads)).ok) == MESSAGES


def run(folder: Path, address: str) -> None:
    """Run the main job as users do."""
    schema = folder / "events.json"
    schema.write_text(json.dumps([{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]))
    argv = [
        f"--subscription={SUBSCRIPTION}",
        f"--schema={schema}",
        f"--output={folder / 'lake'}",
        f"--dead_letter={folder / 'dead'}",
    ]
    log = folder / "log"
    code = run_pipeline("pipelines.pubsub_to_lake", address, argv, log, limit_s=RUN_LIMIT_S)
    assert code == 0, log.read_text()


def numbers(lake: Path) -> list[int]:
    """Return what the lake holds, sorted."""
    files = [str(path) for path in lake.rglob("*.parquet")]
    return sorted(ds.dataset(files, format="parquet").to_table().column("n").to_pylist())


def ids_by_commit(lake: Path) -> list[set[str]]:
    """Return the message ids that each commit covers."""
    records = Ledger(str(lake)).records
    return [
        set(records.messages([run], SUBSCRIPTION).column("message_id").to_pylist())
        for run in records.runs()
    ]


def test_a_wiped_broker_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its new messages have the ids of old ones, and are in the lake all the same."""
    data_dir, lake = tmp_path / "broker", tmp_path / "lake"
    for first in (0, MESSAGES):
        with BrokerProcess(data_dir) as broker:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
            create()
            publish(first)
            run(tmp_path, broker.address)
            assert unacknowledged(broker.address) == 0
        shutil.rmtree(data_dir)
    assert numbers(lake) == list(range(2 * MESSAGES))
    old, new = ids_by_commit(lake)
    assert len(old) == MESSAGES
    assert old == new, "the ids did not repeat, so that nothing was tested"
