"""The last line of a run accounts for every message: what was published is somewhere in it."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.broker import Broker
from pipelines import (
    archive_replay,
    deadletter_replay,
    lake_compact,
    launch,
    pubsub_to_lake,
    pubsub_to_pubsub,
    pubsub_to_storage,
)
from tests.account import figures
from tests.processes import start_pipeline, wait_until
from tests.topics import Sent, create, publish, subscription, take, topic

SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
]


@pytest.fixture(autouse=True)
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Run a broker with a topic of events and one of what comes out."""
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        create("events", "out", "dead")
        yield running


@pytest.fixture(autouse=True)
def verbose(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what the launcher logs."""
    caplog.set_level(logging.INFO, "headrace")


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """Write a schema file."""
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return path


def event(number: int, hour: int = 0, *, minute: int = 0) -> Sent:
    """Return a message at a time of day."""
    at = f"2026-01-01T{hour:02d}:{minute:02d}:00Z"
    return Sent(json.dumps({"id": f"e{number}", "at": at}).encode(), {"kind": "ab"[number % 2]})


def run(module: ModuleType, *argv: str) -> None:
    """Run a pipeline that is to succeed."""
    assert launch.status(module, argv) == 0


@pytest.mark.parametrize(
    ("pipeline", "flags"),
    [
        ("pubsub_to_lake", ["--window=1h"]),
        ("pubsub_to_storage", ["--window=1h", "--format=parquet", "--shards=2"]),
        ("pubsub_aggregate", ["--window=1h", "--measures=rows=count()"]),
        ("pubsub_aggregate", ["--window=sliding:1h/1h", "--measures=rows=count()", "--by=id"]),
        ("pubsub_aggregate", ["--window=session:10m", "--measures=most=max(at),rows=count()"]),
    ],
)
def test_rows_that_are_dropped_as_late_are_counted(
    tmp_path: Path, schema: Path, broker: Broker, pipeline: str, flags: list[str]
) -> None:
    """Published = written + duplicates + dead + dropped as late, each by rows."""
    argv = [
        *flags, "--runner=local", f"--state_dir={tmp_path}/state", "--on_stop=drain",
        f"--subscription={subscription('events')}", f"--schema={schema}", "--event_time=at",
        "--disorder=1ms", "--allowed_lateness=1m", "--log_every=100ms", "--dedup_by=id",
        f"--output={tmp_path}/out", f"--dead_letter={tmp_path}/dead",
    ]  # fmt: skip
    log = tmp_path / "log"
    process = start_pipeline(f"pipelines.{pipeline}", broker.address, argv, log)
    publish("events", [event(0), event(1), event(0), Sent(b"{", {}), event(2, 10)])
    wait_until(lambda: any((tmp_path / "out").rglob("*.parquet")), 30)
    publish("events", [event(number) for number in range(3, 40)])
    wait_until(lambda: "42 read" in log.read_text(), 60)
    process.terminate()
    assert process.wait(60) == 0, log.read_text()
    found = figures(log.read_text())
    written = pq.read_table(tmp_path / "out")
    counted = sum(written["rows"].to_pylist()) if "rows" in written.column_names else len(written)
    assert (found["read"], found["dup"], found["dead"]) == (42, 1, 1)
    assert found["dropped as late"] == 37
    assert counted + found["dup"] + found["dead"] + found["dropped as late"] == 42


def test_bus_counts_what_it_publishes_and_leaves_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Read = published + filtered + dead, and dead letters on a topic count as dead alone."""
    publish("events", [*(event(number) for number in range(20)), Sent(b"x", {"kind": "no name"})])
    argv = [
        f"--subscription={subscription('events')}", "--where=attribute:kind != \"b\"",
        "--output_topic=projects/demo/topics/{attribute:kind}",
        f"--dead_letter={topic('dead')}",
    ]  # fmt: skip
    create("aaa", "bbb")
    publish("events", [Sent(b"", {"kind": "aaa"}), Sent(b"", {"kind": "aaa"})])
    run(pubsub_to_pubsub, *argv)
    found = figures(caplog.text)
    assert found == {"read": 23, "published": 2, "filtered": 10, "dead": 11}
    assert len(take("dead")) == 11


def archived(tmp_path: Path) -> None:
    """Write ten messages to an archive."""
    publish("events", [event(number) for number in range(10)])
    run(
        pubsub_to_storage, f"--subscription={subscription('events')}",
        f"--output={tmp_path}/archive", f"--dead_letter={tmp_path}/dead",
    )  # fmt: skip


def test_replay_of_an_archive_counts_what_it_publishes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Read = published + filtered."""
    archived(tmp_path)
    run(
        archive_replay, f"--archive={tmp_path}/archive", '--where=attribute:kind = "a"',
        f"--output_topic={topic('out')}", f"--dead_letter={tmp_path}/unsent",
    )  # fmt: skip
    assert figures(caplog.text) == {"read": 10, "published": 5, "filtered": 5, "dead": 0}
    assert len(take("out")) == 5


def rejected(tmp_path: Path, schema: Path) -> None:
    """Let seven messages become dead letters of the step Parse."""
    publish("events", [Sent(b"{", {"n": str(number)}) for number in range(7)])
    run(
        pubsub_to_lake, f"--subscription={subscription('events')}", f"--schema={schema}",
        f"--output={tmp_path}/lake", f"--dead_letter={tmp_path}/dead",
    )  # fmt: skip


def test_replay_of_dead_letters_counts_what_it_publishes(
    tmp_path: Path, schema: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not meant is filtered, and what was replayed too often is dead."""
    rejected(tmp_path, schema)
    flags = [f"--output_topic={topic('out')}", f"--dead_letter={tmp_path}/still"]
    run(deadletter_replay, f"--failures={tmp_path}/dead", *flags, "--step=Parse")
    assert figures(caplog.text) == {"read": 7, "published": 7, "filtered": 0, "dead": 0}
    assert "nothing is left" not in caplog.text


def test_compaction_counts_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is told of a lake is what was merged."""
    (tmp_path / "lake").mkdir()
    for number in range(5):
        pq.write_table(pa.table({"n": [number]}), tmp_path / "lake" / f"{number}.parquet")
    run(lake_compact, f"--lake={tmp_path}/lake", "--age=1ms")
    assert figures(caplog.text) == {"files merged": 5, "files made": 1, "rows in them": 5}


def unmatched_step(tmp_path: Path, schema: Path) -> None:
    rejected(tmp_path, schema)
    run(
        deadletter_replay, f"--failures={tmp_path}/dead", "--step=Pars",
        f"--output_topic={topic('out')}", f"--dead_letter={tmp_path}/still",
    )  # fmt: skip


def unmatched_condition(tmp_path: Path, schema: Path) -> None:
    del schema
    publish("events", [event(1)])
    run(
        pubsub_to_pubsub, f"--subscription={subscription('events')}",
        '--where=attribute:kind = "c"', f"--output_topic={topic('out')}",
        f"--dead_letter={tmp_path}/dead",
    )  # fmt: skip


def unmatched_time(tmp_path: Path, schema: Path) -> None:
    del schema
    archived(tmp_path)
    run(
        archive_replay, f"--archive={tmp_path}/archive", "--since=2200-01-01",
        f"--output_topic={topic('out')}", f"--dead_letter={tmp_path}/unsent",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unmatched", "text"),
    [
        (unmatched_step, "--step=Pars leaves out all 7 that were read"),
        (unmatched_condition, '--where=attribute:kind = "c" leaves out all 1 that were read'),
        (unmatched_time, "--since=2200-01-01 00:00:00+00:00 leaves out everything"),
    ],
)
def test_filter_that_matches_nothing_is_told(
    tmp_path: Path,
    schema: Path,
    caplog: pytest.LogCaptureFixture,
    unmatched: Callable[[Path, Path], None],
    text: str,
) -> None:
    """A misspelt filter does not pass for a replay that is done."""
    unmatched(tmp_path, schema)
    (warning,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert text in warning
