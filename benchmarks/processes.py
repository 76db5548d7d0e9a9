"""Processes that a benchmark starts: their end, and the CPU time and memory that they use."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import psutil

__all__ = ["cpu_s", "ending", "members", "rss_bytes"]

END_S = 30.0


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Stop a process after the block with SIGTERM, and kill it if that does not help."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def members(tree: psutil.Process) -> list[psutil.Process]:
    """Return a process and all below it, or nothing if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [tree, *tree.children(recursive=True)]
    return []


def cpu_s(tree: psutil.Process) -> float:
    """Return user and system time of the tree, its ended and awaited members included."""
    total_s = 0.0
    for member in members(tree):
        with contextlib.suppress(psutil.NoSuchProcess):
            total_s += sum(member.cpu_times()[:4])  # user, system and those of ended children
    return total_s


def rss_bytes(tree: psutil.Process) -> int:
    """Return the resident memory of all processes of the tree together."""
    total = 0
    for member in members(tree):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total
