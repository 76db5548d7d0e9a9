"""Measure rows to BigQuery against Google's and Beam's own ways: ``python -m benchmarks.bigquery``.

All paths write rows of the same columns to a table of ``connectors.bigquery_local``, which runs in
a process of its own, and only the client's CPU time counts. Two comparisons:

- Writers. Ours appends Arrow batches as Beam hands them over. Google's own
  ``writer.AppendRowsStream`` appends protocol buffers as its documentation shows it: a message for
  each row, serialized, in requests of the same size, as many under way as ours may have. It starts
  from dictionaries that are made before the clock starts.
- Pipelines on one runner. Ours is ``bigquery.Write`` of Arrow batches, Beam's is
  ``WriteToBigQuery(method=STREAMING_INSERTS)`` of dictionaries, with its defaults. It gets fewer
  rows, for it needs half a millisecond for each.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.bigquery_rows import BATCH_ROWS, COLUMNS
from benchmarks.processes import ending
from connectors.clients import bigquery_endpoint, open_bigquery

__all__ = ["PATHS", "main", "words"]

PROJECT, DATASET = "test-project", "bench"
TARGET_TIMES = 5.0
PATHS = {
    "arrow": ("benchmarks.bigquery_writers", "arrow"),
    "proto": ("benchmarks.bigquery_writers", "proto"),
    "write": ("benchmarks.bigquery_pipelines", "write"),
    "inserts": ("benchmarks.bigquery_pipelines", "inserts"),
}
"""Where the function of each path is; each path runs in a process with its own imports only."""
_COMPARED = (
    ("arrow", "Arrow rows", "proto", "proto rows by Google's writer"),
    ("write", "bigquery.Write in a pipeline", "inserts", "Beam's streaming inserts"),
)


class Measured(NamedTuple):
    """The rounds of a path.

    Attributes:
        rows: of a round.
        cpu_s: of the client in each round.
    """

    rows: int
    cpu_s: list[float]

    @property
    def rate(self) -> float:
        """Rows per core-second of the best round: noise only slows."""
        return self.rows / min(self.cpu_s)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark, or one path of it in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bigquery", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--batches", type=int, default=200, help="of 10,000 rows (default: 200)")
    parser.add_argument("--inserts", type=int, default=2, help="batches of inserts (default: 2)")
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.path:
        module, name = PATHS[options.path]
        run = getattr(importlib.import_module(module), name)
        print(json.dumps({"cpu_s": run(options.table, options.batches)}))
        return 0
    batches = dict.fromkeys(PATHS, options.batches) | {"inserts": options.inserts}
    began_s = time.monotonic()
    with _server():
        measured = _rounds(options.rounds, batches)
    print(words(measured))
    print(json.dumps({path: found.cpu_s for path, found in measured.items()}))
    print(f"{time.monotonic() - began_s:.0f} s", file=sys.stderr)
    return 0


def words(measured: Mapping[str, Measured]) -> str:
    """Return the figures, a line for each comparison, and whether its target is reached."""
    lines = []
    for ours, our_words, theirs, their_words in _COMPARED:
        rate, other = measured[ours].rate, measured[theirs].rate
        reached = "reached" if rate / other >= TARGET_TIMES else "missed"
        lines.append(
            f"{our_words}: {rate:,.0f} rows per core-second; {their_words}: {other:,.0f}: "
            f"{rate / other:,.1f} times as many, target {TARGET_TIMES:g}: {reached}"
        )
    return "\n".join(lines)


def _rounds(rounds: int, batches: Mapping[str, int]) -> dict[str, Measured]:
    """Return what each path took; the paths take turns."""
    measured = {path: Measured(count * BATCH_ROWS, []) for path, count in batches.items()}
    client = open_bigquery(bigquery_endpoint(), PROJECT)
    for number in range(rounds):
        for path, count in batches.items():
            table = f"{PROJECT}.{DATASET}.{path}_{number}"
            _make(client, table)
            command = [sys.executable, "-m", "benchmarks.bigquery", f"--path={path}"]
            command += [f"--batches={count}", f"--table={table}"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            measured[path].cpu_s.append(json.loads(done.stdout)["cpu_s"])
            _require_rows(client, table, measured[path].rows)
            client.delete_table(table)
    return measured


def _make(client: Any, table: str) -> None:
    from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

    columns = [bigquery.SchemaField(name, kind) for name, kind in COLUMNS]
    client.create_table(bigquery.Table(table, columns))


def _require_rows(client: Any, table: str, rows: int) -> None:
    query = f"SELECT count(*) AS n, sum(user_id) AS total FROM `{table}`"
    (found,) = client.query_and_wait(query)
    if (found.n, found.total) != (rows, sum(range(rows))):
        raise SystemExit(f"FAILED: {table} has {found.n} rows, sum {found.total}, not {rows}")


@contextlib.contextmanager
def _server() -> Iterator[None]:
    command = [sys.executable, "-m", "connectors.bigquery_local", "--port=0", "--rest_port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with ending(process):
        assert process.stdout is not None
        told = dict(re.findall(r"(BIGQUERY\w*_HOST)=(\S+)", process.stdout.readline()))
        if not told:
            raise SystemExit("FAILED: connectors.bigquery_local did not start")
        os.environ.update(told)
        open_bigquery(bigquery_endpoint(), PROJECT).create_dataset(DATASET)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
