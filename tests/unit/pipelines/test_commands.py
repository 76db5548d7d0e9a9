"""The command at the top of each pipeline is one that it takes."""

import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

from pipelines.launch import beam_parser
from pipelines.params import parse_flags, specs

ROOT = Path(__file__).resolve().parents[3]
PIPELINES = sorted(
    path.stem
    for path in (ROOT / "pipelines").glob("*.py")
    if re.search(r'^    launch\.main\("', path.read_text(), re.MULTILINE)
)


@pytest.mark.parametrize("name", PIPELINES)
def test_command_of_the_docstring_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies it has every flag that is needed, and none that does not exist."""
    monkeypatch.chdir(ROOT)
    module = importlib.import_module(f"pipelines.{name}")
    text = inspect.cleandoc(str(module.__doc__))
    joined = re.sub(r" *\\\n *", " ", text)
    commands = re.findall(rf"^ *(python -m pipelines\.{name} .*)$", joined, re.MULTILINE)
    assert commands, f"pipelines/{name}.py shows no command"
    for command in commands:
        _, rest = parse_flags(module.Params, shlex.split(command)[3:], beam_parser())
        assert all(flag.startswith("--") for flag in rest)


@pytest.mark.parametrize("name", PIPELINES)
def test_examples_of_flags_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the help and the errors give as an example obeys the rule of its flag."""
    monkeypatch.chdir(ROOT / "pipelines" / "demo")
    module = importlib.import_module(f"pipelines.{name}")
    for spec in specs(module.Params):
        for example in filter(None, re.split(" or |, (?=[a-z]+://|projects/)", spec.example)):
            (text,) = shlex.split(example)
            spec.kind.parse(text)
