"""Params: one dataclass gives flags, help and validation."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from pipelines.params import (
    ExactlyOneOf,
    Group,
    Kind,
    Parser,
    param,
    parse_flags,
    specs,
    validated,
)
from transforms.errors import ConfigError


def _even(text: str) -> int:
    if not text.isdigit() or int(text) % 2:
        raise ConfigError("number", text, "must be even", "Write for example 4")
    return int(text)


EVEN = Kind("EVEN", _even)
TEXT = Kind("TEXT", str)


@dataclass(frozen=True)
class Params:
    RULES: ClassVar = (ExactlyOneOf(("source", "file")),)
    size: int = param(EVEN, "How large.", example="8")
    source: str | None = param(TEXT, "Where from.", required=False)
    file: str | None = param(TEXT, "Which file.", required=False, group="Files")
    speed: int = param(EVEN, "How fast.", default="10")


def beam() -> Parser:
    parser = Parser()
    parser.add_argument("--streaming", action="store_true")
    parser.add_argument("--project")
    parser.add_argument("--workers", type=int)
    return parser


def refused(*argv: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_flags(Params, argv, beam())
    return caught.value


def test_flags_become_typed_values() -> None:
    """Texts are read by the kind of their parameter; absent ones have their default."""
    params, rest = parse_flags(Params, ["--size=4", "--source", "a"])
    assert params == Params(size=4, source="a", file=None, speed=10)
    assert rest == []


def test_other_flags_pass_through_with_their_values() -> None:
    """What belongs to Beam is handed on untouched, in order."""
    argv = ["--size=4", "--streaming", "--source=a", "--project", "p"]
    _, rest = parse_flags(Params, argv, beam())
    assert rest == ["--streaming", "--project", "p"]


def test_bad_value_names_flag_value_rule_and_fix() -> None:
    """The error says all that is needed to mend the command line."""
    error = refused("--size=3", "--source=a")
    assert str(error) == "--size='3': must be even. Write for example 4"


def test_missing_parameter_names_flag_and_example() -> None:
    """A required flag that is absent is asked for with an example."""
    error = refused("--source=a")
    assert (error.name, error.rule) == ("--size", "is required")
    assert "--size=8" in error.fix


def test_all_that_is_missing_is_named_at_once() -> None:
    """Choices too, each with an example; a flag that is there is not."""
    error = refused()
    assert (error.name, error.rule) == ("--source or --file, --size", "are required")
    assert error.fix == "Give for example --source=... --size=8"
    assert refused("--source=a").name == "--size"


@pytest.mark.parametrize("argv", [["--size=4"], ["--size=4", "--source=a", "--file=b"]])
def test_exactly_one_of_two(argv: list[str]) -> None:
    """None of them and both of them are refused, with both flags named."""
    error = refused(*argv)
    assert "--source or --file" in str(error)


def test_unknown_flag_is_refused_with_the_nearest_one() -> None:
    """A typing error is never silently ignored."""
    error = refused("--size=4", "--source=a", "--sped=2")
    assert error.name == "--sped"
    assert "--speed" in error.fix


def test_unknown_flag_may_be_near_to_one_of_beam() -> None:
    """Beam's flags are suggested as well."""
    assert "--project" in refused("--size=4", "--source=a", "--projct=x").fix


def test_bad_value_of_another_flag_is_refused() -> None:
    """The rules of Beam's own flags hold as well, before anything is started."""
    assert "--workers" in str(refused("--size=4", "--source=a", "--workers=many"))


def test_flag_without_value_is_refused() -> None:
    """A flag at the end without its value is no crash."""
    assert "--size" in str(refused("--source=a", "--size"))


def test_abbreviations_are_unknown() -> None:
    """Half a flag is refused, so that a new flag can't change what an old command means."""
    assert refused("--siz=4", "--source=a").name == "--siz"


def test_stray_words_are_refused() -> None:
    """A word that belongs to no flag is a mistake, such as a blank after the equals sign."""
    assert "stray" in str(refused("--size=4", "--source=a", "stray"))


def test_bad_default_is_found_when_the_class_is_defined() -> None:
    """A default must obey its own rule."""
    with pytest.raises(ConfigError, match="must be even"):
        param(EVEN, "How large.", default="7")


@dataclass(frozen=True, kw_only=True)
class Input(Group):
    RULES: ClassVar = (ExactlyOneOf(("source", "file")),)
    source: str | None = param(TEXT, "Where from.", required=False)
    file: str | None = param(TEXT, "Which file.", required=False)


@dataclass(frozen=True, kw_only=True)
class Width(Group):
    width: int = param(EVEN, "How wide.")

    def check(self) -> None:
        if self.width > 100:
            raise ConfigError("--width", self.width, "must be at most 100", "Write 100")


@dataclass(frozen=True, kw_only=True)
class Area(Width):
    height: int = param(EVEN, "How high.")

    def check(self) -> None:
        if self.height > self.width:
            raise ConfigError("--height", self.height, "must be at most the width", "Swap them")


@dataclass(frozen=True, kw_only=True)
class Shared(Input, Area):
    name: str = param(TEXT, "What to call it.", default="it")
    source: str | None = param(TEXT, "Where from, and nowhere else.", required=False)

    def check(self) -> None:
        if self.name == "forbidden":
            raise ConfigError("--name", self.name, "must be another", "Choose one")


def test_parameters_of_groups_come_in_the_order_of_the_bases() -> None:
    """A page of help reads from the first group to what the pipeline declares itself."""
    assert [spec.name for spec in specs(Shared)] == ["source", "file", "width", "height", "name"]


def test_parameter_declared_once_more_keeps_its_place() -> None:
    """A pipeline can say more about a parameter of a group without moving it."""
    assert specs(Shared)[0].help == "Where from, and nowhere else."


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"width": "102"}, "--width"),
        ({"height": "6"}, "--height"),
        ({"name": "forbidden"}, "--name"),
        ({"file": "b"}, "--source or --file"),
    ],
)
def test_rules_and_checks_of_all_groups_hold(changes: dict[str, str], flag: str) -> None:
    """No group loses its say because another one, or the pipeline, has one too."""
    good = {"source": "a", "width": "4", "height": "2"}
    assert validated(Shared, good) == Shared(source="a", width=4, height=2)
    with pytest.raises(ConfigError) as caught:
        validated(Shared, good | changes)
    assert caught.value.name == flag
