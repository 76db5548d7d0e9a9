"""Real processes for tests: the broker and the pipeline, which can be killed at any moment."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
START_S = 30.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python(
    *arguments: str, environment: Mapping[str, str] | None = None, **options: object
) -> subprocess.Popen[str]:
    """Start ``python`` with the arguments in the repository's folder."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=options.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        text=True,
        **options,  # type: ignore[call-overload]
    )


class BrokerProcess:
    """``python -m connectors.broker`` on one port and one folder, through any number of deaths."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._arguments = ["--port", str(self.port), "--data-dir", str(data_dir)]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = python("-m", "connectors.broker", *self._arguments, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert re.search(r"PUBSUB_EMULATOR_HOST", ready), f"the broker did not start: {ready!r}"

    def kill(self) -> None:
        """End it as the system would: without a chance to clean up."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> BrokerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(signal.SIGTERM)


def start_pipeline(
    module: str, address: str, argv: Sequence[str], log: Path, cwd: Path = ROOT
) -> subprocess.Popen[str]:
    """Start ``python -m MODULE`` against a broker; what it says is added to the log."""
    with log.open("a") as output:
        return python(
            "-m", module, *argv,
            environment={"PUBSUB_EMULATOR_HOST": address},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
        )  # fmt: skip


def run_pipeline(
    module: str,
    address: str,
    argv: Sequence[str],
    log: Path,
    *,
    limit_s: float,
    cwd: Path = ROOT,
) -> int:
    """Run a pipeline to its end and return the exit code."""
    process = start_pipeline(module, address, argv, log, cwd)
    try:
        return process.wait(limit_s)
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait for a callable to return true.

    Raises:
        TimeoutError: it did not, within the limit.
    """
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} was not met within {limit_s} s")
        time.sleep(0.02)
