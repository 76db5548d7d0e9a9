"""Real processes for tests: the broker and the pipeline, which can be killed at any moment."""

from __future__ import annotations

import abc
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import forks

if TYPE_CHECKING:
    from typing_extensions import Self

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


class ServerProcess(abc.ABC):
    """A server as a process of its own on fixed ports, through any number of deaths."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[Any] | None = None

    @abc.abstractmethod
    def _launch(self) -> subprocess.Popen[Any]:
        """Start the process."""

    @abc.abstractmethod
    def _await(self, process: subprocess.Popen[Any]) -> None:
        """Wait until the server answers."""

    def start(self) -> Any:
        """Start it and wait until it is ready."""
        self._process = self._launch()
        try:
            self._await(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as the system would: without a chance to clean up."""
        self._end(signal.SIGKILL, subprocess.Popen.send_signal)

    def stop(self, send: Callable[[subprocess.Popen[Any], int], None] | None = None) -> int:
        """End it in order; return its exit code.

        Args:
            send: sends it the signal; by default as everybody does.
        """
        return self._end(signal.SIGTERM, send or subprocess.Popen.send_signal)

    def _end(self, number: int, send: Callable[[subprocess.Popen[Any], int], None]) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        send(process, number)
        code = process.wait(START_S)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def signal_another_thread(process: subprocess.Popen[Any], number: int) -> None:
    """Send a signal to a thread that is not the main one, as the kernel may do with any signal.

    Raises:
        OSError: it was not sent.
    """
    threads = {int(thread) for thread in os.listdir(f"/proc/{process.pid}/task")}
    other = max(threads - {process.pid})
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.tgkill(process.pid, other, number):
        raise OSError(ctypes.get_errno(), f"no signal to thread {other} of {process.pid}")


def await_line(process: subprocess.Popen[str], pattern: str) -> None:
    """Wait until a process has printed its first line, which says that it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert re.search(pattern, line), f"it did not start: {line!r}"


class BrokerProcess(ServerProcess):
    """``python -m connectors.broker`` on one port and one folder.

    Args:
        data_dir: of the log.
        flags: further ones.
        environment: variables beside those of the tests.
    """

    def __init__(
        self, data_dir: Path, *flags: str, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._arguments = ["--port", str(self.port), "--data-dir", str(data_dir), *flags]
        self._environment = environment or {}

    def _launch(self) -> subprocess.Popen[str]:
        return python(
            "-m", "connectors.broker", *self._arguments,
            environment=self._environment, stdout=subprocess.PIPE,
        )  # fmt: skip

    def _await(self, process: subprocess.Popen[str]) -> None:
        await_line(process, "PUBSUB_EMULATOR_HOST")


def start_pipeline(
    module: str, address: str, argv: Sequence[str], log: Path, cwd: Path = ROOT
) -> subprocess.Popen[str] | forks.Forked:
    """Start ``python -m MODULE`` against a broker; what it says is added to the log."""
    with log.open("a") as output:
        if module.startswith("pipelines."):
            variables = {**os.environ, "PYTHONPATH": str(ROOT), "PUBSUB_EMULATOR_HOST": address}
            return forks.start(module, argv, variables, output, cwd)
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
