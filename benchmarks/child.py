"""The process in which one engine runs once: it pauses between its phases to be measured.

It needs nothing but the standard library and what its engine imports, for some engines live in
an environment of their own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

__all__ = ["PHASES", "Task", "main"]

PHASES = ("imported", "prepared", "finished")
"""Words that the process writes, each followed by a wait for a line from whoever measures."""


@dataclass(frozen=True)
class Task:
    """What an engine is asked to do, once."""

    lines: Path
    """Payloads, one a line."""
    messages: Path
    """The same payloads as batches of messages, an Arrow IPC file."""
    output: Path
    """Empty folder for the lake."""
    scratch: Path
    """Empty folder for whatever else the engine keeps on disk."""
    options: dict[str, Any]
    """What tells the variants of one engine apart."""


def main(engine: str, task_json: str) -> None:
    """Import the engine, let it prepare and run, and pause after each of these.

    An engine is a module with ``run(task)``. What is not its work but must be there before, such
    as a server, is set up and taken down by the context manager ``prepared(task)``, if it has one.
    """
    words = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an engine prints goes to its log
    fields = json.loads(task_json)
    paths = {name: Path(fields[name]) for name in ("lines", "messages", "output", "scratch")}
    task = Task(**paths, options=fields["options"])

    module = importlib.import_module(engine)
    _pause(words, "imported")
    with module.prepared(task) if hasattr(module, "prepared") else nullcontext():
        _pause(words, "prepared")
        module.run(task)
        _pause(words, "finished")


def _pause(words: TextIO, phase: str) -> None:
    words.write(phase + "\n")
    if not sys.stdin.readline():
        raise SystemExit("whoever measures has gone")


if __name__ == "__main__":
    main(*sys.argv[1:])
