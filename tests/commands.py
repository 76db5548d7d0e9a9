"""The pipelines that can be started, and the command at the top of each."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from pathlib import Path
from types import ModuleType

__all__ = ["PIPELINES", "ROOT", "command", "commands", "module_of"]

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = sorted(
    path.stem
    for path in (ROOT / "pipelines").glob("*.py")
    if re.search(r'^    launch\.main\("', path.read_text(), re.MULTILINE)
)


def module_of(pipeline: str) -> ModuleType:
    """Return the module of a pipeline."""
    return importlib.import_module(f"pipelines.{pipeline}")


def commands(pipeline: str) -> list[list[str]]:
    """Return the flags of each command that the docstring of a pipeline shows."""
    text = inspect.cleandoc(str(module_of(pipeline).__doc__))
    joined = re.sub(r" *\\\n *", " ", text)
    found = re.findall(rf"^ *(python -m pipelines\.{pipeline} .*)$", joined, re.MULTILINE)
    assert found, f"pipelines/{pipeline}.py shows no command"
    return [shlex.split(each)[3:] for each in found]


def command(pipeline: str) -> list[str]:
    """Return the flags of the first command, with folders of this machine."""
    return [flag.replace("gs://my-bucket/", "./") for flag in commands(pipeline)[0]]
