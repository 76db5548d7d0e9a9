"""A user's function in the main job without end: killed, loaded anew, and with its own times."""

from __future__ import annotations

import json
import signal
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors import storage
from connectors.broker import Broker
from pipelines import launch, pubsub_to_lake
from tests.account import figures, unaccounted
from tests.processes import start_pipeline, wait_until
from tests.topics import publish_payloads, subscription

TOPICS = ("events",)
publish = partial(publish_payloads, *TOPICS)

SCHEMA = [{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]
TIMED = [*SCHEMA, {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"}]
FUNCTIONS = '''
from datetime import datetime, timedelta, timezone

VERSION = 1


def timed(row):
    """A minute for each number. Of seven one fails, one is dropped, one routed, one doubled."""
    fate = row["n"] % 7
    if fate == 0:
        raise ValueError("seven")
    made = {"n": row["n"], "at": datetime(2026, 1, 1, tzinfo=timezone.utc)}
    made["at"] += timedelta(minutes=row["n"])
    if fate == 1:
        return None
    if fate == 2:
        return "odd", made
    return [made, dict(made, n=-made["n"])] if fate == 3 else made


def versions(row):
    return dict(row, n=row["n"] + 1000 * VERSION)
'''


@pytest.fixture
def argv(broker: Broker, tmp_path: Path) -> list[str]:
    """Return the flags of all jobs."""
    del broker
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "timed.json").write_text(json.dumps(TIMED))
    (tmp_path / "f.py").write_text(FUNCTIONS)
    return [
        "--runner=local", f"--state_dir={tmp_path}/state", f"--schema={tmp_path}/schema.json",
        f"--subscription={subscription('events')}", f"--output={tmp_path}/lake",
        f"--dead_letter={tmp_path}/dead", "--log_every=100ms", "--window=1h",
    ]  # fmt: skip


def timed(tmp_path: Path) -> list[str]:
    """Return the flags of a function that makes event times."""
    return [
        f"--udf={tmp_path}/f.py:timed", f"--udf_schema={tmp_path}/timed.json", "--event_time=at",
        f"--udf_outputs=odd={tmp_path}/odd", "--dedup_by=n", "--disorder=1m",
    ]  # fmt: skip


def numbered(first: int, last: int) -> list[bytes]:
    """Return payloads."""
    return [b'{"n": %d}' % number for number in range(first, last)]


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the rows in files."""
    return sorted(row["n"] for row in rows(folder))


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of Parquet files."""
    return pq.read_table(folder).to_pylist() if any(folder.rglob("*.parquet")) else []


def wanted(count: int) -> list[int]:
    """Return what ``timed`` makes of so many messages."""
    kept = [n for n in range(count) if n % 7 in (3, 4, 5, 6)]
    return sorted([*kept, *(-n for n in kept if n % 7 == 3)])


def test_killed_job_goes_on(broker: Broker, argv: list[str], tmp_path: Path) -> None:
    """Windows close by times that the function makes; after kills each row is there once."""
    argv += timed(tmp_path)
    log = tmp_path / "log"
    sent = [*range(200), *range(150, 400), *range(400, 420)]
    for first in (0, 200):
        publish(numbered(max(first - 50, 0), first + 200))
        process = start_pipeline("pipelines.pubsub_to_lake", broker.address, argv, log)
        wait_until(lambda first=first: len(rows(tmp_path / "lake")) > first // 2, 60)  # type: ignore[misc]
        process.kill()
        process.wait()
    process = start_pipeline(
        "pipelines.pubsub_to_lake", broker.address, [*argv, "--on_stop=drain"], log
    )
    publish(numbered(400, 420))
    wait_until(lambda: "470 read" in log.read_text(), 60)
    process.terminate()
    assert process.wait(60) == 0, log.read_text()
    assert numbers(tmp_path / "lake") == wanted(420)
    found = figures(log.read_text())
    fates = Counter(n % 7 for n in sent)
    assert (found["read"], found["routed"], found["dead"]) == (len(sent), fates[2], fates[0])
    assert (found["made"], found["filtered"]) == (fates[3], fates[1])
    assert unaccounted(found) == 0, found
    odd = [
        row for batch in storage.read_archive(str(tmp_path / "odd")) for row in batch.to_pylist()
    ]
    routed = sorted(json.loads(row["data"])["n"] for row in odd)
    assert routed == sorted(n for n in sent if n % 7 == 2)
    assert sorted({row["error_kind"] for row in rows(tmp_path / "dead")}) == ["udf_error"]


def test_function_is_loaded_anew(broker: Broker, argv: list[str], tmp_path: Path) -> None:
    """While the job runs; a version that is broken is refused with one warning."""
    argv += [f"--udf={tmp_path}/f.py:versions", "--udf_reload=50ms", "--on_stop=drain"]
    log = tmp_path / "log"
    process = start_pipeline("pipelines.pubsub_to_lake", broker.address, argv, log)
    publish(numbered(0, 3))
    wait_until(lambda: "3 read" in log.read_text(), 60)
    (tmp_path / "f.py").write_text(FUNCTIONS.replace("VERSION = 1", "VERSION = ="))
    publish(numbered(3, 6))
    wait_until(lambda: "stays at version" in log.read_text(), 60)
    (tmp_path / "f.py").write_text(FUNCTIONS.replace("VERSION = 1", "VERSION = 2"))
    more = count(6)

    def loaded() -> bool:
        number = next(more)  # the file is looked at when there is work
        publish(numbered(number, number + 1))
        return "was loaded anew" in log.read_text()

    wait_until(loaded, 60)
    sent = next(more)
    publish(numbered(sent, sent + 3))
    wait_until(lambda: f"{sent + 3} read" in log.read_text(), 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, log.read_text()
    found = numbers(tmp_path / "lake")
    assert sorted(n % 1000 for n in found) == list(range(sent + 3))
    assert {n // 1000 for n in found if n % 1000 < 3} == {1}
    assert {n // 1000 for n in found if n % 1000 >= sent} == {2}
    assert log.read_text().count("stays at version") == 1


def test_function_that_was_never_called_costs_nothing(argv: list[str], tmp_path: Path) -> None:
    """A job without messages ends as any other."""
    more = [*timed(tmp_path), "--max_seconds=500ms", "--on_stop=drain"]
    assert launch.status(pubsub_to_lake, [*argv, *more]) == 0
    assert rows(tmp_path / "lake") == []
