"""Measure the time from publishing to a visible row: ``python -m benchmarks.latency``.

A broker, the job and whoever publishes and waits are three processes. Messages are published at a
steady rate; each carries when it was sent. The job runs on the local runner with durable state: it
acknowledges, and publishes files, after its commits. The clock stops when a reader that looks into
the folder finds the file, or when a subscriber of the topic has the message.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.observe import LakeWatch, Seen, TopicWatch, Watch
from benchmarks.processes import cpu_s, ending
from connectors import pubsub
from pipelines.broker_process import broker_process
from transforms.batch import Batch

__all__ = ["Latency", "latency_of", "main"]

PROJECT = "projects/benchmark"
SOURCE, SOURCE_READ = f"{PROJECT}/topics/source", f"{PROJECT}/subscriptions/source"
SINK, SINK_READ = f"{PROJECT}/topics/sink", f"{PROJECT}/subscriptions/sink"

TICK_S = 0.01
"""Messages are published together every so often."""
PAGE = "/catalogue/category-17/item-48213?from=home" + "&campaign=autumn" * 6
LIMIT_S = 60.0
"""For the job to start, and for the last rows to come."""
TARGET_P50_MS, TARGET_P99_MS = 250, 1_000


@dataclass(frozen=True)
class Latency:
    """What was measured on the way to one sink. Times in milliseconds."""

    sink: str
    rate: float
    """Messages a second, as published."""
    rows: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    job_cores: float
    """CPU time of the job in relation to the time it ran."""
    failure: str = ""
    """Empty if each row came, and to a lake once."""

    def words(self) -> str:
        """Return the figures in one line."""
        if self.failure:
            return f"{self.sink}: FAILED: {self.failure}"
        reached = self.p50_ms < TARGET_P50_MS and self.p99_ms < TARGET_P99_MS
        return (
            f"{self.sink}: p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms, "
            f"max {self.max_ms:.0f} ms at {self.rate:,.0f} messages/s with {self.job_cores:.2f} "
            f"cores; target p50 < {TARGET_P50_MS} ms, p99 < {TARGET_P99_MS} ms: "
            f"{'reached' if reached else 'missed'}"
        )


def latency_of(sink: str, seen: Seen, messages: int, rate: float, cores: float) -> Latency:
    """Work out what the rows that were seen say.

    Args:
        sink: ``lake`` or ``topic``.
        seen: of all rows; warm-up rows have negative numbers and don't count.
        messages: how many were sent, numbered from 0.
        rate: at which they were sent.
        cores: CPU time by time.
    """
    seen = seen[seen[:, 0] >= 0]
    distinct = len(np.unique(seen[:, 0]))
    failure = ""
    if distinct != messages:
        failure = f"{distinct} of {messages} rows came"
    elif sink == "lake" and len(seen) != messages:
        failure = f"{len(seen) - messages} rows came again"
    waits_ms = (seen[:, 2] - seen[:, 1]) / 1_000 if len(seen) else np.zeros(1)
    p50, p99 = np.percentile(waits_ms, [50, 99])
    return Latency(
        sink, rate, len(seen), float(p50), float(p99), float(waits_ms.max()), cores, failure
    )


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; return 1 if a row was lost or repeated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="messages/s; default: 10000")
    parser.add_argument("--seconds", type=float, default=20.0, help="default: 20")
    parser.add_argument("--sinks", default="lake,topic", help="default: lake,topic")
    options = parser.parse_args(argv)
    failed = False
    for sink in options.sinks.split(","):
        found = _measure(sink, options.rate, options.seconds)
        failed |= bool(found.failure)
        print(found.words(), json.dumps(found.__dict__), sep="\n", flush=True)
    return int(failed)


def _measure(sink: str, rate: int, seconds: float) -> Latency:
    with tempfile.TemporaryDirectory(prefix="latency-") as name, _topics(Path(name)):
        folder = Path(name) / "lake"
        folder.mkdir()
        target = str(folder) if sink == "lake" else SINK
        watch: Watch = LakeWatch(folder) if sink == "lake" else TopicWatch(SINK_READ)
        with _job(sink, target, Path(name)) as job, pubsub.Publisher(SOURCE) as publisher, watch:
            _warm_up(publisher, watch)
            before_s, started_s = cpu_s(job), time.monotonic()
            sent = _publish(publisher, rate, seconds)
            took_s = time.monotonic() - started_s
            cores = (cpu_s(job) - before_s) / took_s
            _await(lambda: watch.rows >= sent + 1)
        return latency_of(sink, watch.seen(), sent, sent / took_s, cores)


@contextlib.contextmanager
def _topics(folder: Path) -> Iterator[None]:
    """Run a broker with the topics and subscriptions."""
    with broker_process(folder / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        for topic, subscription in ((SOURCE, SOURCE_READ), (SINK, SINK_READ)):
            pubsub.create_topic(topic)
            pubsub.create_subscription(subscription, topic, ack_deadline_seconds=60)
        yield


@contextlib.contextmanager
def _job(sink: str, target: str, folder: Path) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "benchmarks.latency_job"]
    command += [sink, SOURCE_READ, target, str(folder / "state")]
    with ending(subprocess.Popen(command)) as process:
        yield psutil.Process(process.pid)


def _warm_up(publisher: pubsub.Publisher, watch: Watch) -> None:
    """Wait until the job has started: a first row has come through."""
    publisher.publish(_messages(-1, 0))
    _await(lambda: watch.rows > 0)


def _publish(publisher: pubsub.Publisher, rate: int, seconds: float) -> int:
    """Publish at a rate; return how many. Behind schedule it goes on as fast as it can."""
    started_s = time.monotonic()
    per_tick = round(rate * TICK_S)
    ticks = round(seconds / TICK_S)
    for tick in range(ticks):
        time.sleep(max(0.0, started_s + tick * TICK_S - time.monotonic()))
        publisher.publish(_messages(tick * per_tick, (tick + 1) * per_tick))
    return ticks * per_tick


def _messages(first: int, end: int) -> Batch:
    sent_us = time.time_ns() // 1_000
    return pubsub.as_messages(
        pa.array(
            f'{{"number":{number},"sent_us":{sent_us},"page":"{PAGE}"}}'
            for number in range(first, end)
        )
    )


def _await(condition: Callable[[], bool]) -> None:
    """Wait until it holds, or the limit is over: what is missing is told by the reconciliation."""
    end_s = time.monotonic() + LIMIT_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(TICK_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
