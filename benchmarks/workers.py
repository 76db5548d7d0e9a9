"""Measure what a second worker gives, and what an idle job costs: ``python -m benchmarks.workers``.

A CPU-bound pipeline runs with one worker and with two, in turn. Its work is pure Python, so that
one process uses one core only, and has state by key. Counted is the time from the first piece of
work to the last: a job that goes on for days starts its processes once.

The idle job reads a subscription in which nothing is, with durable state.
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
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.processes import cpu_s, ending
from benchmarks.workers_job import PIECES
from connectors import pubsub
from pipelines.broker_process import broker_process

__all__ = ["idle_words", "main", "span_s", "speedup_words"]

TOPIC = "projects/benchmark/topics/idle"
SUBSCRIPTION = "projects/benchmark/subscriptions/idle"
SETTLE_S = 5.0
"""For an idle job to start, and to have nothing more to do."""
TARGET_TIMES, TARGET_IDLE = 1.6, 0.02


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--idle_seconds", type=float, default=20.0, help="default: 20")
    options = parser.parse_args(argv)
    one_s, two_s = [], []
    for _ in range(options.rounds):
        one_s.append(_span_s(1))
        two_s.append(_span_s(2))
    idle = _idle_cores(options.idle_seconds)
    print(speedup_words(one_s, two_s), idle_words(idle), sep="\n")
    print(json.dumps({"one_worker_s": one_s, "two_workers_s": two_s, "idle_cores": idle}))
    return 0


def speedup_words(one_s: Sequence[float], two_s: Sequence[float]) -> str:
    """Return how many times as fast two workers are.

    Args:
        one_s: wall time of each round with one worker, in seconds.
        two_s: the same with two.
    """
    times = min(one_s) / min(two_s)
    reached = "reached" if times >= TARGET_TIMES else "missed"
    return (
        f"two workers / one: {times:.2f} times as fast ({min(one_s):.1f} s to {min(two_s):.1f} s), "
        f"target {TARGET_TIMES:g}: {reached}"
    )


def idle_words(cores: float) -> str:
    """Return what an idle job costs.

    Args:
        cores: CPU time by wall time.
    """
    reached = "reached" if cores < TARGET_IDLE else "missed"
    return f"idle: {cores:.2%} of a core, target < {TARGET_IDLE:.0%}: {reached}"


def _span_s(workers: int) -> float:
    """Return the seconds from the start of the first piece of work to the end of the last."""
    with tempfile.TemporaryDirectory(prefix="workers-") as name:
        file = Path(name) / "pieces"
        command = [sys.executable, "-m", "benchmarks.workers_job", str(workers), str(file)]
        subprocess.run(command, check=True)
        return span_s(file.read_text())


def span_s(lines: str) -> float:
    """Return the time between the first beginning and the last end.

    Args:
        lines: of a beginning and an end each, in seconds.
    """
    pieces = [tuple(map(float, line.split())) for line in lines.splitlines()]
    if len(pieces) != PIECES:
        raise SystemExit(f"FAILED: {len(pieces)} pieces of work were done instead of {PIECES}")
    return max(end for _, end in pieces) - min(began for began, _ in pieces)


def _idle_cores(seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="idle-") as name, _idle_job(Path(name)) as job:
        time.sleep(SETTLE_S)
        before_s, started_s = cpu_s(job), time.monotonic()
        time.sleep(seconds)
        return (cpu_s(job) - before_s) / (time.monotonic() - started_s)


@contextlib.contextmanager
def _idle_job(folder: Path) -> Iterator[psutil.Process]:
    with broker_process(folder / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC, ack_deadline_seconds=60)
        command = [sys.executable, "-m", "benchmarks.latency_job", "lake", SUBSCRIPTION]
        command += [str(folder / "lake"), str(folder / "state")]
        with ending(subprocess.Popen(command)) as process:
            yield psutil.Process(process.pid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
