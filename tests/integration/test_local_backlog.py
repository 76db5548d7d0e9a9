"""The main job with a window that is larger than the memory that it may take."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from benchmarks.footprint import Footprint
from connectors import pubsub
from tests.processes import BrokerProcess, start_pipeline, wait_until
from tests.pubsub_servers import SUBSCRIPTION, TOPIC, create

pytestmark = pytest.mark.integration

MIB = 1 << 20
MESSAGES = 360_000
BATCH = 20_000
TEXT_BYTES = 1_400
"""Of each message: half a gigabyte in all."""
MEMORY_MIB_MAX = 1_000
"""A job with small messages takes half of it. All rows, or messages, would come on top of that."""
LIMIT_S = 240.0
SCHEMA = [
    {"name": "number", "type": "INT64", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "text", "type": "STRING"},
]


def messages(first: int, end: int, day: int = 1, text: str = "") -> pa.Array:
    """Return payloads, all within an hour of a day."""
    numbers = pa.array(np.arange(first, end))
    seconds = pc.cast(pa.array(np.arange(first, end) % 60), pa.string())
    at = pc.binary_join_element_wise(
        f"2026-01-{day:02d}T00:00:", pc.utf8_lpad(seconds, 2, "0"), "Z", ""
    )
    return pc.binary_join_element_wise(
        '{"number":', pc.cast(numbers, pa.string()), ',"at":"', at, f'","text":"{text}"}}', ""
    )


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker with half a gigabyte of messages; yield its address."""
    with BrokerProcess(tmp_path / "broker") as process:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", process.address)
        create()
        text = os.urandom(TEXT_BYTES // 2).hex()
        with pubsub.Publisher(TOPIC) as publisher:
            for first in range(0, MESSAGES, BATCH):
                rows = messages(first, first + BATCH, text=text)
                publisher.publish(pubsub.as_messages(rows))
        yield process.address


def argv(folder: Path) -> list[str]:
    """Return the command line."""
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    return [
        "--runner=local", f"--state_dir={folder / 'state'}", "--on_stop=drain",
        f"--subscription={SUBSCRIPTION}", f"--schema={folder / 'schema.json'}",
        "--event_time=at", "--window=1d", "--allowed_lateness=1m",
        "--dedup_by=number", "--dedup_horizon=1m",
        f"--output={folder / 'lake'}", f"--dead_letter={folder / 'dead'}",
    ]  # fmt: skip


def numbers(lake: Path) -> list[int]:
    """Return what a reader finds."""
    return sorted(
        ds.dataset(lake, format="parquet").to_table(columns=["number"])["number"].to_pylist()
    )


def test_memory_does_not_grow_with_what_a_window_holds(broker: str, tmp_path: Path) -> None:
    """Half a gigabyte goes through the state and comes back out of it; then the disk is free."""
    lake, state = tmp_path / "lake", tmp_path / "state"
    process = start_pipeline("pipelines.pubsub_to_lake", broker, argv(tmp_path), tmp_path / "log")
    try:
        with Footprint(psutil.Process(process.pid), state) as footprint:
            wait_until(lambda: footprint.disk_bytes > 400 * MIB, LIMIT_S)
            assert not lake.exists() or not list(lake.rglob("*.parquet"))
            with pubsub.Publisher(TOPIC) as publisher:
                publisher.publish(pubsub.as_messages(messages(MESSAGES, MESSAGES + 1, day=9)))
            wait_until(lambda: bool(list(lake.rglob("*.parquet"))), LIMIT_S)
            wait_until(lambda: footprint.disk_bytes < 96 * MIB, LIMIT_S)
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT_S) == 0, (tmp_path / "log").read_text()[-2_000:]
    finally:
        process.kill()
        process.wait()
    assert numbers(lake) == list(range(MESSAGES + 1))
    assert footprint.rss_bytes_max < MEMORY_MIB_MAX * MIB
    assert footprint.disk_bytes < MIB
