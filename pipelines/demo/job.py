"""The pipeline of the demo: a process with its own command line, which can be killed."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from transforms.errors import PermanentError

__all__ = ["Counts", "Job"]

START_S = 60.0
DRAIN_S = 120.0
LOG_LINES = 15
LOG_BYTES = 65_536

_READY = "its state is in"

_COUNTS = re.compile(r"([\d,]+) read .* ([\d,]+) written  ([\d,]+) dup  ([\d,]+) dead")


@dataclass(frozen=True)
class Counts:
    """What the pipeline has committed, as the last line of its progress says."""

    read: int = 0
    written: int = 0
    duplicates: int = 0
    dead: int = 0


class Job:
    """A pipeline module in a process, through any number of deaths. A context manager.

    Args:
        module: importable name.
        flags: its command line.
        log: file to which what it says is added.
    """

    def __init__(self, module: str, flags: Sequence[str], log: Path) -> None:
        self._arguments = ["-m", module, *flags]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0

    @property
    def command(self) -> str:
        """The command as one would type it."""
        return shlex.join(["python", *self._arguments])

    @property
    def pid(self) -> int:
        """The number of the process, while it runs."""
        assert self._process is not None  # noqa: S101 - for the type checker: it was started
        return self._process.pid

    def __enter__(self) -> Job:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it. It is in a session of its own: Ctrl-C is for the demo, which ends it."""
        with self._log.open("a") as log:
            self._began = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until it has opened its state; it then reads what was published.

        Raises:
            PermanentError: it has ended, or takes too long.
        """
        end_s = time.monotonic() + START_S
        while _READY not in _text(self._log, self._began):
            self.check()
            if time.monotonic() > end_s:
                raise self._failed()
            time.sleep(0.1)

    def check(self) -> None:
        """Raise PermanentError with its last words if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise self._failed()

    def kill(self) -> None:
        """End it as a power cut would, if it runs: ``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def drain(self) -> None:
        """Ask it to end, and wait until it has.

        Raises:
            PermanentError: it did not end, or not in order.
        """
        assert self._process is not None  # noqa: S101 - for the type checker: it was started
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed() from None
        if code != 0:
            raise self._failed()
        self._process = None

    def counts(self) -> Counts:
        """Return what the log says last, also of what earlier lives have committed."""
        found = _COUNTS.findall(_tail(self._log))
        return Counts(*(int(text.replace(",", "")) for text in found[-1])) if found else Counts()

    def _failed(self) -> PermanentError:
        lines = _tail(self._log).splitlines()[-LOG_LINES:]
        return PermanentError("\n".join(["the pipeline did not go on. Its log ends with:", *lines]))


def _tail(log: Path) -> str:
    return _text(log, max(0, log.stat().st_size - LOG_BYTES))


def _text(log: Path, first: int) -> str:
    with log.open("rb") as file:
        file.seek(first)
        return file.read().decode(errors="replace")
