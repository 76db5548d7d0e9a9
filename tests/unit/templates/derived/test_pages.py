"""Commands on the pages of templates are made from the catalogue, and fit a page."""

import shlex

import pytest

from templates.catalogue import TEMPLATES, Template
from templates.derived.pages import commands, wrapped, written
from tests.commands import ROOT


@pytest.mark.parametrize(
    "command",
    [
        "$ python -m templates list",
        "$ python -m pipelines.x --by=carrier --measures='a=count(),b=mean(c)' "
        + "--flag=value " * 9,
        "$ python -m pipelines.x --output=" + "long/" * 30 + " --window=1h",
    ],
)
def test_a_command_is_broken_before_flags(command: str) -> None:
    """A shell reads the same words; a line is long only if a flag is."""
    lines = wrapped(command.strip())
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(command)
    assert all(len(line) <= 84 or line.count("--") == 1 for line in lines)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_each_template_has_its_commands(template: Template) -> None:
    """It is judged, run, rehearsed and launched with the files of its own, which are there."""
    joined = "\n".join(commands(template)).replace(" \\\n   ", "")
    for command in ("validate", "run", "simulate", "launch"):
        assert (
            f"$ python -m templates {command} {template.name} --params {template.examples[0]}"
            in joined
        )
    for path in template.examples:
        assert (ROOT / path).is_file()


def test_what_stands_between_the_comments_is_replaced() -> None:
    """The rest of the page stays, and a second time nothing changes."""
    page = "# A\n<!-- commands of lake_compact -->\nold\n<!-- end -->\nmore\n"
    made = written(page)
    assert made.startswith("# A\n<!-- commands of lake_compact -->\n")
    assert made.endswith("<!-- end -->\nmore\n")
    assert "\nold\n" not in made
    assert written(made) == made
