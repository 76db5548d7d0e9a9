"""A container engine as the product sees one: a program that is started, and that notes by what.

It builds nothing. All else about a build is real: the folder, the commands, the spec.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

__all__ = ["DIGEST", "RecordingEngine", "engine_of", "no_engine"]

DIGEST = "sha256:" + "0123456789abcdef" * 4

_PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path

here = Path({folder!r})
program, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(here / "calls.jsonl", "a") as calls:
    calls.write(json.dumps([program, *arguments]) + "\\n")
told = json.loads((here / "answers.json").read_text())
for argument in arguments:
    if argument.startswith("--digestfile="):
        Path(argument.partition("=")[2]).write_text(told["digest"] + "\\n")
answer = told["answers"].get(arguments[0], {{}})
sys.stdout.write(answer.get("stdout", ""))
sys.stdout.flush()
sys.stderr.write(answer.get("stderr", ""))
sys.exit(answer.get("status", 0))
"""


class RecordingEngine:
    """Programs named like engines, first on the PATH; they answer what they are told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, object] = {"digest": DIGEST, "answers": {}}
        self._write()

    def answer(self, command: str, status: int = 0, stdout: str = "", stderr: str = "") -> None:
        """Let the engine's ``command`` end so."""
        answers = self._told["answers"]
        assert isinstance(answers, dict)
        answers[command] = {"status": status, "stdout": stdout, "stderr": stderr}
        self._write()

    def _write(self) -> None:
        (self._folder / "answers.json").write_text(json.dumps(self._told))

    @property
    def calls(self) -> list[list[str]]:
        """How it was started, in order."""
        path = self._folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def commands(self) -> list[str]:
        """The first words of it."""
        return [" ".join(call[:2]) for call in self.calls]


def engine_of(folder: Path, patch: pytest.MonkeyPatch, *names: str) -> RecordingEngine:
    """Put an engine of each name on the PATH, and no other."""
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
    patch.setenv("PATH", f"{folder}{os.pathsep}{_without_engines(folder)}")
    return RecordingEngine(folder)


def no_engine(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Leave none on the PATH, whatever the machine has."""
    engine_of(folder, patch)


def _without_engines(folder: Path) -> str:
    """Return a folder with what a build takes beside engines: Git."""
    tools = folder / "tools"
    tools.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        git = Path(place, "git")
        if git.exists() and not (tools / "git").exists():
            (tools / "git").symlink_to(git)
    return str(tools)
