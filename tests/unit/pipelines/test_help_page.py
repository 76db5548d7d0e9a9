"""The help page: derived from the declaration of parameters."""

from dataclasses import dataclass

from pipelines import kinds
from pipelines.help_page import help_text
from pipelines.kind import Kind
from pipelines.params import Parser, param, specs


@dataclass(frozen=True, kw_only=True)
class Params:
    size: int = param(Kind("EVEN", int), "How large.", example="8")
    limit: int = param(Kind("EVEN", int), "How much.", default="10", group="Files")


def test_help_lists_every_parameter_with_rule_and_default() -> None:
    """The help is derived from the declaration."""
    text = help_text(Params, "pipelines.x", "Do things.")
    for spec in specs(Params):
        assert spec.flag in text
        assert spec.help in text
    assert "default: 10" in text
    assert "Files:" in text


def test_help_lists_flags_of_others_under_their_heading() -> None:
    """Flags that the pipeline does not read itself are told with what they take."""
    other = Parser()
    other.add_argument("--folder", metavar="FOLDER", help="Where to put it.")
    other.add_argument("--quick", action="store_true", help="Hurry.")
    text = help_text(Params, "pipelines.x", "Do things.", {"Other": other})
    expected = "Other:\n  --folder FOLDER\n      Where to put it.\n  --quick\n      Hurry."
    assert text.endswith(expected)


def test_help_breaks_no_name() -> None:
    """Whoever copies an example from the help gets it whole."""

    @dataclass(frozen=True, kw_only=True)
    class Long:
        topic: str = param(
            kinds.TOPIC, "x" * 60, example="projects/my-project/topics/a-very-long-name-of-a-topic"
        )

    text = help_text(Long, "pipelines.long", "About.")
    assert "projects/my-project/topics/a-very-long-name-of-a-topic" in text
