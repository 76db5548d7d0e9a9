"""The command at the top of each pipeline is one that it takes."""

import pytest

from pipelines.launch import beam_parser
from pipelines.params import parse_flags, specs
from tests.commands import PIPELINES, ROOT, commands, module_of


@pytest.mark.parametrize("name", PIPELINES)
def test_command_of_the_docstring_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies it has every flag that is needed, and none that does not exist."""
    monkeypatch.chdir(ROOT)
    for argv in commands(name):
        _, rest = parse_flags(module_of(name).Params, argv, beam_parser())
        assert all(flag.startswith("--") for flag in rest)


@pytest.mark.parametrize("name", PIPELINES)
def test_examples_of_flags_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the help and the errors give as an example obeys the rule of its flag."""
    for spec in specs(module_of(name).Params):
        for text in spec.examples:
            monkeypatch.chdir(ROOT if text.startswith("examples/") else ROOT / "pipelines" / "demo")
            if not spec.kind.reads_file or not text.startswith("gs://"):  # which is not there
                spec.kind.parse(text)
