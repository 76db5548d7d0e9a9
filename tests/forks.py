"""Pipelines as processes that start at once: forked from one that has imported everything.

The imports, mostly Beam's, take two seconds of a core, and many tests kill and start a pipeline a
dozen times. ``start`` asks ``python -m tests.forks``, of which there is one for each process of
tests; it has one thread and forks a child, which does what ``python -m MODULE`` does from there on.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

__all__ = ["Forked", "start"]

ROOT = Path(__file__).resolve().parents[1]
_REQUEST_BYTES = 1 << 20
_ALLOCATOR = "jemalloc_bg_thd"
"""A thread of Arrow's allocator, which sees to it that forks may happen."""


class Forked:
    """A process that another one has forked; what tests use of ``subprocess.Popen``."""

    stdout: IO[str] | None = None

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._heard = b""
        self.returncode: int | None = None
        pid = self._said(None)
        assert pid is not None, "the parent of all pipelines has died"
        self.pid = pid

    def poll(self) -> int | None:
        """Return the exit code, as of ``subprocess``, or None while it runs."""
        return self._await(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended.
        """
        code = self._await(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _await(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self.returncode = self._said(timeout)
            if self.returncode is not None:
                self._line.close()
        return self.returncode

    def _said(self, timeout: float | None) -> int | None:
        """Return the next number that the parent says, None if it says none in time."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._heard:
            self._line.settimeout(None if end is None else max(end - time.monotonic(), 1e-6))
            try:
                heard = self._line.recv(64)
            except (TimeoutError, BlockingIOError):
                return None
            assert heard, "the parent of all pipelines has died"
            self._heard += heard
        said, _, self._heard = self._heard.partition(b"\n")
        return int(said)


def start(
    module: str, argv: Sequence[str], environment: Mapping[str, str], output: IO[str], cwd: Path
) -> Forked:
    """Start ``python -m MODULE`` with all that it says going to a file.

    Args:
        module: of this repository.
        argv: its flags.
        environment: all variables.
        output: takes stdout and stderr.
        cwd: the current folder.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.connect(_address())
    request = {"module": module, "argv": list(argv), "environment": dict(environment)}
    content = json.dumps({**request, "cwd": str(cwd)}).encode()
    socket.send_fds(line, [len(content).to_bytes(4, "big") + content], [output.fileno()])
    return Forked(line)


@cache
def _address() -> str:
    """Start the parent of all pipelines of this process; it ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forks"],
        # More threads would not survive the fork.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    atexit.register(process.stdin.close)
    return "\0" + process.stdout.readline().strip()


# --- the process that forks -----------------------------------------------------------------------


def main() -> None:
    """Fork a child for each request, and tell of each when it ends."""
    _import_everything()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind("")  # an address of its own, without a file
    server.listen()
    print(server.getsockname()[1:].decode(), flush=True)
    lines: dict[int, socket.socket] = {}
    ended, wake = os.pipe()
    for descriptor in (ended, wake):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    with selectors.DefaultSelector() as selector:
        for each in (server.fileno(), ended, sys.stdin.fileno()):
            selector.register(each, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if sys.stdin.fileno() in ready:  # whom the children belong to has ended
                return
            if ended in ready:
                os.read(ended, 4_096)
                _tell(lines)
            if server.fileno() in ready:
                line, _ = server.accept()
                request, output = _asked(line)
                child = os.fork()
                if not child:
                    break
                os.close(output)
                lines[child] = line
                line.sendall(b"%d\n" % child)
    for each in (server, line, *lines.values()):
        each.close()
    for descriptor in (ended, wake):
        os.close(descriptor)
    _be(request, output)


def _import_everything() -> None:
    """Import what pipelines import, and not them: each is the main module of its process."""
    before = set(sys.modules)
    names = [f"pipelines.{path.stem}" for path in (ROOT / "pipelines").glob("*_*.py")]
    for name in names:
        importlib.import_module(name)
    pipelines = [name for name in names if hasattr(sys.modules[name], "build")]
    for name in set(pipelines) - before:
        del sys.modules[name]
    threads = {each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")}
    others = threads - {Path("/proc/self/comm").read_text().strip(), _ALLOCATOR}
    assert not others, f"only one thread survives a fork, and there are {others}"


def _asked(line: socket.socket) -> tuple[dict[str, object], int]:
    content, descriptors, _, _ = socket.recv_fds(line, _REQUEST_BYTES, 1)
    size = int.from_bytes(content[:4], "big")
    while len(content) < 4 + size:
        content += line.recv(_REQUEST_BYTES)
    return json.loads(content[4:]), descriptors[0]


def _tell(lines: dict[int, socket.socket]) -> None:
    """Tell of all children that have ended."""
    while lines:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        with lines.pop(child) as line, contextlib.suppress(BrokenPipeError):
            line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _be(request: dict[str, object], output: int) -> None:
    """Become the pipeline."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, to in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, to)
    os.close(nothing)
    os.close(output)
    environment, argv = request["environment"], request["argv"]
    assert isinstance(environment, dict)
    assert isinstance(argv, list)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["cwd"]))
    sys.argv = [str(request["module"]), *argv]
    runpy.run_module(str(request["module"]), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
