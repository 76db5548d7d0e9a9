"""The declarations themselves are judged, and the judge notices what is wrong."""

import shutil
import subprocess
from dataclasses import dataclass, make_dataclass
from types import ModuleType
from typing import Any

import pytest

from pipelines import kinds
from pipelines.kind import Kind
from pipelines.params import Group, param
from pipelines.rules import OnlyWith
from templates.catalogue import TEMPLATES, Template
from templates.derived.lint import problems

all_templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)


@all_templates
def test_nothing_is_wrong_with_a_template(template: Template) -> None:
    """Defaults and examples keep their own rules; names collide with nothing; all are read."""
    assert list(problems(template)) == []


@all_templates
@pytest.mark.skipif(shutil.which("grep") is None, reason="grep is not installed")
def test_egrep_reads_the_patterns(template: Template) -> None:
    """They are of the dialect that the service takes: egrep finds the examples by them."""
    for spec in template.parameters:
        if spec.kind.pattern:
            texts = [*spec.examples, *spec.kind.choices, *filter(None, [spec.default])]
            done = subprocess.run(
                ["grep", "--extended-regexp", "--count", "-e", spec.kind.pattern],
                input="".join(f"{text}\n" for text in texts), capture_output=True, text=True,
                env={"LC_ALL": "C"}, check=False,
            )  # fmt: skip
            assert done.stdout.strip() == str(len(texts)), (spec.name, done.stderr)


@dataclass(frozen=True)
class Faulty(Template):
    """A template whose Params are made for the test."""

    made: Any = None

    @property
    def module(self) -> ModuleType:  # type: ignore[override]
        """A module in which parameters named ``window`` and the like are read."""
        return __import__("pipelines.pubsub_to_lake", fromlist=["Params"])

    @property
    def params(self) -> type:
        """The Params at hand."""
        return self.made


def found(name: str, field: Any, **namespace: Any) -> list[str]:
    made = make_dataclass(
        "Params", [(name, Any, field)], bases=(Group,), frozen=True, kw_only=True,
        namespace={"__module__": __name__, **namespace},
    )  # fmt: skip
    faulty = Faulty("faulty", "", "", "", (), made=made)
    return [each.removeprefix(f"faulty.{name}: ") for each in problems(faulty)]


def lenient(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("name", "kind", "texts", "problem"),
    [
        ("nobody_reads_this", kinds.COUNT, {}, "is read by nothing"),
        ("temp_location", kinds.COUNT, {}, "is an option of Beam or of the launcher"),
        ("runner", kinds.COUNT, {}, "is an option of Beam or of the launcher"),
        ("schema", kinds.COUNT, {"example": "none"}, "refuses its own 'none'"),
        ("schema", kinds.DURATION, {"example": "5x"}, "its pattern refuses '5x'"),
        ("schema", Kind("X", lenient, pattern="a"), {}, "has no anchors"),
        ("schema", Kind("X", lenient, pattern=r"^\d$"), {}, "is no POSIX extended one"),
        ("schema", Kind("X", lenient, pattern="^(?!a)$"), {}, "is no POSIX extended one"),
        (
            "schema", Kind("X", lenient, pattern="^.+$", cloud_pattern="^gs://.+$"),
            {"example": "./here"}, "no example of it can be used in the cloud",
        ),
    ],
)  # fmt: skip
def test_each_mistake_is_found(name: str, kind: Kind, texts: dict, problem: str) -> None:
    """A declaration with one mistake is told of it."""
    field = param(kind, "Some help.", required=False, **texts)
    assert any(problem in each for each in found(name, field)), found(name, field)


def test_a_default_that_fails_its_pattern_is_found() -> None:
    """Also if the kind itself, which reads defaults when they are declared, lets it pass."""
    kind = Kind("X", lenient, pattern="^b$")
    assert "its pattern refuses 'a'" in found("schema", param(kind, "Help.", default="a"))


def test_a_rule_about_no_parameter_is_found() -> None:
    """Or about a parameter that was renamed since."""
    rules = (OnlyWith(("schema", "old"), "schema", "why"),)
    told = found("schema", param(kinds.COUNT, "Help.", required=False), RULES=rules)
    assert "faulty: a rule names old, which is no parameter" in told


def test_a_rule_that_always_holds_is_found() -> None:
    """A default among the awaited values would have to be typed to count."""
    rules = (OnlyWith(("schema",), "schema", "why", ("5",)),)
    told = found("schema", param(kinds.COUNT, "Help.", default="5"), RULES=rules)
    assert "its default 5 is a value that a rule waits for" in told
