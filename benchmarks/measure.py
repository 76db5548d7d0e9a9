"""CPU time, wall time and memory of an engine's process tree, phase by phase."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.child import PHASES
from benchmarks.looking import Looking
from benchmarks.processes import cpu_s, members, rss_bytes

__all__ = ["EngineError", "Phase", "Usage", "measure"]

SAMPLE_S = 0.05
"""Pause between two looks at the memory of the tree."""
TOUCHED_BYTES = 1_500_000_000
"""More than any engine uses."""
EXIT_S = 10
"""Time an engine is given to end itself once it has finished."""


class EngineError(Exception):
    """An engine's process failed or took too long; its log says more."""


@dataclass(frozen=True)
class Phase:
    """What the process tree used during one phase."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Usage:
    """What one run of an engine used."""

    startup: Phase
    preparation: Phase
    work: Phase
    rss_bytes_max: int
    """Peak of the resident memory of all processes together."""


def measure(command: Sequence[str], task: dict[str, object], log: Path, limit_s: float) -> Usage:
    """Run an engine in a process of its own and return what its tree used.

    The process waits at the end of each phase, so that no phase is charged for another.

    Raises:
        EngineError: the process ended early or a phase took longer than ``limit_s``.
    """
    with log.open("wb") as stderr, contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            [*command, json.dumps(task, default=str)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, bufsize=1,
        )  # fmt: skip
        stack.callback(_end, process)
        tree = psutil.Process(process.pid)
        phases = []
        before_s, since = 0.0, time.perf_counter()
        watch = stack.enter_context(_MemoryWatch(tree))
        for word in PHASES:
            _await(process, word, log, limit_s)
            now, used_s = time.perf_counter(), cpu_s(tree)
            phases.append(Phase(used_s - before_s, now - since))
            if word == "prepared":
                _touch_memory()
            before_s, since = used_s, time.perf_counter()
            _resume(process)
        startup, preparation, work = phases
        return Usage(startup, preparation, work, watch.bytes_max)


def _await(process: subprocess.Popen[str], word: str, log: Path, limit_s: float) -> None:
    ready, _, _ = select.select([process.stdout], [], [], limit_s)
    if not ready:
        _kill(process)
        raise EngineError(f"not {word} after {limit_s:g} s; see {log}")
    if process.stdout.readline().strip() != word:
        raise EngineError(f"ended before it was {word}: {_last_line(log)}; see {log}")


def _touch_memory() -> None:
    """Make the system hold memory ready for the engine.

    A virtual machine gives memory that is free for a while back to its host, and to get it again
    costs up to seven times what clearing it costs. Whoever ran first after a pause would pay.
    """
    _ = b"\1" * TOUCHED_BYTES


def _resume(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go on\n")
    process.stdin.flush()


def _end(process: subprocess.Popen[str]) -> None:
    """Wait until the process has ended; kill it if it doesn't end itself."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(EXIT_S)
    except subprocess.TimeoutExpired:
        _kill(process)
    process.stdout.close()


def _kill(process: subprocess.Popen[str]) -> None:
    for member in members(psutil.Process(process.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


class _MemoryWatch(Looking):
    """Looks at the tree's resident memory again and again."""

    def __init__(self, tree: psutil.Process) -> None:
        super().__init__("memory", SAMPLE_S)
        self.bytes_max = 0
        self._tree = tree

    def look(self) -> None:
        self.bytes_max = max(self.bytes_max, rss_bytes(self._tree))
