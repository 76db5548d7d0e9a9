"""``pipelines.pubsub_to_bigquery`` as a process; numbers to feed it with, and their count."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from connectors import pubsub
from connectors.bigquery_local import Server
from tests.processes import start_pipeline, wait_until
from tests.pubsub_servers import SUBSCRIPTION, TOPIC

PROJECT, DATASET = "test-project", "data"
TABLE = f"{PROJECT}.{DATASET}.numbers"
SCHEMA = [
    {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "text", "type": "STRING"},
]
LIMIT_S = 90.0


class Job:
    """The pipeline on the local runner, through any number of deaths. Leaving kills it.

    Args:
        folder: of its state, its dead letters and its log.
        address: of the broker.
        flags: more of them; a later one counts.
    """

    def __init__(self, folder: Path, address: str, *flags: str) -> None:
        schema = folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        self.log = folder / "log"
        self.dead = folder / "dead"
        self._address = address
        self._argv = [
            "--runner=local", f"--state_dir={folder / 'state'}", f"--subscription={SUBSCRIPTION}",
            f"--schema={schema}", f"--table={TABLE}", "--if_missing=create",
            "--semantics=exactly_once", "--message_columns=message_id",
            f"--dead_letter={self.dead}", *flags,
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self, *flags: str) -> None:
        """Start it; it may take a few seconds until it reads."""
        argv = [*self._argv, *flags]
        self._process = start_pipeline(
            "pipelines.pubsub_to_bigquery", self._address, argv, self.log
        )

    def wait(self, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Wait until a condition holds; the job must live."""

        def holds() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.told()
            return condition()

        wait_until(holds, limit_s)

    def ended(self) -> int:
        """Wait until it ends by itself; return the exit code."""
        assert self._process is not None
        return self._process.wait(LIMIT_S)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(LIMIT_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def told(self) -> str:
        """Return the end of what it has logged."""
        return self.log.read_text()[-3_000:]


def publish(first: int, count: int) -> None:
    """Publish consecutive numbers."""
    data = pa.array(
        [json.dumps({"n": n, "text": f"t{n}"}).encode() for n in range(first, first + count)]
    )
    with pubsub.Publisher(TOPIC) as publisher:
        assert len(publisher.publish(pubsub.as_messages(data)).ok) == count


def count(server: Server) -> int:
    """Return the number of rows that a reader sees; none before the table is there."""
    there = server.query(
        "SELECT 1 FROM information_schema.tables "
        f"WHERE table_schema = '{DATASET}' AND table_name = 'numbers'"
    )
    if not len(there):
        return 0
    return int(server.query("SELECT count(*) AS n FROM data.numbers")["n"][0].as_py())


def assert_each_once(server: Server, published: int) -> None:
    """Compare by SQL what is in the table with what was published."""
    found = server.query(
        f"""
        SELECT
          (SELECT count(*) FROM data.numbers) AS rows_there,
          (SELECT count(DISTINCT n) FROM data.numbers) AS numbers,
          (SELECT count(DISTINCT message_id) FROM data.numbers) AS messages,
          (SELECT count(*) FROM data.numbers WHERE text <> 't' || n) AS changed,
          (SELECT count(*) FROM range({published}) AS wanted(n)
           WHERE n NOT IN (SELECT n FROM data.numbers)) AS missing
        """
    ).to_pylist()
    assert found == [
        {"rows_there": published, "numbers": published, "messages": published,
         "changed": 0, "missing": 0}
    ]  # fmt: skip
