"""Measure memory and disk of a job with a large backlog: ``python -m benchmarks.backlog``.

The main job runs as its command line says, on the local runner with durable state, against a
broker that holds 10 million messages when it starts: once with windows of a minute, once with a
single window that holds all rows. An event that comes long after the others closes them. Then the
lake must hold each event once.

Memory is that of the job's process; the broker is another one, and does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import psutil

from benchmarks import backlog_input
from benchmarks.footprint import Footprint, Look
from benchmarks.processes import cpu_s
from connectors import pubsub
from pipelines.broker_process import broker_process
from pipelines.demo.job import Job

__all__ = ["CASES", "Figures", "main", "reconcile"]

PROJECT = "projects/benchmark"
TOPIC = f"{PROJECT}/topics/backlog"

BATCH = 64_000
LOOK_S = 0.1
LIMIT_S = 1_800.0
SETTLE_S = 30.0
"""For the disk to fall when the windows are written."""
TARGET_BYTES = 1 << 30
"""Of memory."""
CLOSED_BYTES_MAX = 96 << 20
"""Of disk, when all windows have closed: the log, and free pages that are kept."""
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """How the rows are windowed, and for how long keys are remembered."""

    name: str
    flags: tuple[str, ...]


CASES = (
    Case("windows of a minute", ("--window=1m", "--dedup_horizon=10m")),
    Case("one window", ("--window=1d", "--dedup_horizon=10m")),
    Case("all keys remembered", ("--window=1m", "--dedup_horizon=1d")),
)


@dataclass(frozen=True)
class Figures:
    """What one case took."""

    name: str
    messages: int
    wall_s: float
    cpu_s: float
    rss_bytes_max: int
    disk_bytes_max: int
    disk_bytes_closed: int
    """When all windows were written and the job went on."""
    disk_bytes_drained: int

    def words(self) -> str:
        """Return the figures in one line."""
        reached = "reached" if self.rss_bytes_max < TARGET_BYTES else "missed"
        return (
            f"{self.name}: {self.messages:,} messages in {self.wall_s:.0f} s, "
            f"{self.messages / self.cpu_s:,.0f} a core-second; memory at most "
            f"{self.rss_bytes_max / MIB:,.0f} MiB, disk {self.disk_bytes_max / MIB:,.0f} MiB, "
            f"{self.disk_bytes_closed / MIB:,.0f} when the windows had closed, "
            f"{self.disk_bytes_drained / MIB:,.0f} in the end; "
            f"target < {TARGET_BYTES / MIB:,.0f} MiB of memory: {reached}"
        )


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; fail if a row is lost or repeated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000, help="default: 10000000")
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--folder", type=Path, help="for broker, lake, state; default: a new one")
    parser.add_argument("--looks", type=Path, help="file for memory and disk over time, as CSV")
    options = parser.parse_args(argv)
    cases = CASES[: options.cases]
    with _folder(options.folder) as folder, broker_process(folder / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        pubsub.create_topic(TOPIC)
        for number in range(len(cases)):
            pubsub.create_subscription(_subscription(number), TOPIC, ack_deadline_seconds=60)
        _publish(options.messages)
        (folder / "schema.json").write_text(json.dumps(backlog_input.BIGQUERY_SCHEMA))
        for number, case in enumerate(cases):
            figures, looks = _measure(number, case, options.messages, folder)
            print(figures.words(), json.dumps(asdict(figures)), sep="\n", flush=True)
            if options.looks:
                _note(options.looks, case, looks)
    return 0


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="backlog-") as name:
        yield Path(name)


def _subscription(number: int) -> str:
    return f"{PROJECT}/subscriptions/backlog-{number}"


def _publish(total: int) -> None:
    with pubsub.Publisher(TOPIC) as publisher:
        for first in range(0, total, BATCH):
            publisher.publish(backlog_input.messages(first, min(first + BATCH, total), total))
        publisher.publish(backlog_input.closing(total))


def _measure(number: int, case: Case, total: int, folder: Path) -> tuple[Figures, list[Look]]:
    lake, state = folder / f"lake-{number}", folder / f"state-{number}"
    flags = [
        "--runner=local", f"--state_dir={state}", "--on_stop=drain", "--log_every=500ms",
        f"--subscription={_subscription(number)}", f"--schema={folder / 'schema.json'}",
        "--event_time=event_time", "--dedup_by=number", *case.flags,
        f"--output={lake}", f"--dead_letter={folder / 'dead'}",
    ]  # fmt: skip
    log = folder / f"log-{number}"
    with Job("pipelines.pubsub_to_lake", flags, log) as job:
        process = psutil.Process(job.pid)
        began_s = time.monotonic()
        with Footprint(process, state) as footprint:
            expected = backlog_input.distinct(total)
            _await(job, lambda: job.counts().written >= expected, LIMIT_S)
            wall_s, used_s = time.monotonic() - began_s, cpu_s(process)
            closed = _settled(job, footprint)
            job.drain()
    reconcile(lake, total)
    return Figures(
        case.name, total, wall_s, used_s, footprint.rss_bytes_max, footprint.disk_bytes_max,
        closed, footprint.disk_bytes,
    ), footprint.looks  # fmt: skip


def _await(job: Job, condition: Callable[[], bool], limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        job.check()
        if time.monotonic() > end_s:
            raise SystemExit(f"FAILED: after {limit_s:g} s the job says {job.counts()}")
        time.sleep(LOOK_S)


def _settled(job: Job, footprint: Footprint) -> int:
    """Return what the disk falls to while the job goes on."""
    end_s = time.monotonic() + SETTLE_S
    while time.monotonic() < end_s and footprint.disk_bytes > CLOSED_BYTES_MAX:
        job.check()
        time.sleep(LOOK_S)
    return footprint.disk_bytes


def reconcile(lake: Path, total: int) -> None:
    """Fail unless the lake holds each event once, the closing one included."""
    with duckdb.connect() as database:
        query = f"select count(*), count(distinct number) from '{lake}/**/*.parquet'"
        found = database.execute(query).fetchone()
    wanted = backlog_input.distinct(total) + 1
    if found != (wanted, wanted):
        raise SystemExit(f"FAILED: the lake has (rows, events) {found} instead of {wanted} each")


def _note(file: Path, case: Case, looks: list[Look]) -> None:
    with file.open("a") as out:
        out.writelines(
            f"{case.name},{look.s:.2f},{look.rss_bytes},{look.disk_bytes}\n" for look in looks
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
