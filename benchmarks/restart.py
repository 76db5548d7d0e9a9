"""Measure a restart with much state: ``python -m benchmarks.restart``.

A job on the local runner remembers 10 million keys for de-duplication, is stopped, and started
again with the same state. The time is that from the start of the process to the first new row
that a reader finds in the lake. Beside it is measured a job that remembers next to nothing: what
Python and Beam take to start.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.processes import ending

__all__ = ["main", "reconcile", "words"]

LOOK_S = 0.005
FILL_LIMIT_S = 600.0
RESTART_LIMIT_S = 120.0
TARGET_S = 5.0


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; fail if a row is lost or repeated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000_000, help="default: 10000000")
    parser.add_argument("--rounds", type=int, default=3, help="restarts; default: 3")
    options = parser.parse_args(argv)
    few_s, many_s = (_measure(keys, options.rounds) for keys in (1, options.keys))
    print(words(options.keys, many_s, few_s))
    print(json.dumps({"keys": options.keys, "restart_s": many_s, "without_keys_s": few_s}))
    return 0


def words(keys: int, many_s: Sequence[float], few_s: Sequence[float]) -> str:
    """Return the figures in one line.

    Args:
        keys: how many are remembered.
        many_s: times of restarts with them, in seconds.
        few_s: times of restarts without.
    """
    reached = "reached" if min(many_s) < TARGET_S else "missed"
    return (
        f"restart with {keys:,} keys: best {min(many_s):.1f} s, median "
        f"{statistics.median(many_s):.1f} s; without keys {min(few_s):.1f} s; "
        f"target < {TARGET_S:g} s: {reached}"
    )


def _measure(keys: int, rounds: int) -> list[float]:
    """Fill the state, then return the times of restarts."""
    with tempfile.TemporaryDirectory(prefix="restart-") as name:
        folder = Path(name) / "lake"
        folder.mkdir()
        command = [sys.executable, "-m", "benchmarks.restart_job"]
        command += [str(keys), str(folder), str(Path(name) / "state")]
        with _started(command):
            _new_file(folder, FILL_LIMIT_S)
        times_s = [_restart(command, folder) for _ in range(rounds)]
        found = pq.read_table(folder, columns=["key"])["key"].to_numpy()
        reconcile(found, keys)
        return times_s


def reconcile(found: npt.NDArray[np.int64], keys: int) -> None:
    """Fail unless the lake holds the new keys, each once: no key of the state was forgotten."""
    if not np.array_equal(np.sort(found), np.arange(keys, keys + len(found))):
        raise SystemExit("FAILED: keys are missing in the lake, or there again")


def _restart(command: Sequence[str], folder: Path) -> float:
    with _started(command) as started_s:
        _new_file(folder, RESTART_LIMIT_S)
        return time.monotonic() - started_s


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[float]:
    """Run the job during the block, which is given the time of the start."""
    started_s = time.monotonic()
    with ending(subprocess.Popen(command)):
        yield started_s


def _new_file(folder: Path, limit_s: float) -> None:
    """Wait until there is a file that was not there before."""
    before = set(folder.rglob("*.parquet"))
    end_s = time.monotonic() + limit_s
    while not set(folder.rglob("*.parquet")) - before:
        if time.monotonic() > end_s:
            raise SystemExit(f"no new row after {limit_s:g} s")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
