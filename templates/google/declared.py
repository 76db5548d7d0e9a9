"""How an equivalent is declared: what becomes of each parameter of a template of Google's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipelines.params import ConfigError

__all__ = [
    "Absent",
    "Equivalent",
    "Need",
    "Parameter",
    "Refused",
    "Rule",
    "Taken",
    "Unneeded",
    "Values",
    "named",
    "renamed",
]

_BOOLEANS = {"true": True, "false": False, "": False}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a template of Google's.

    Attributes:
        name: as Google writes it.
        default: what counts when it is absent, empty for nothing.
    """

    name: str
    default: str = ""


class Values:
    """The texts of Google's parameters, with their defaults, as a conversion sees them."""

    def __init__(
        self,
        given: Mapping[str, str],
        defaults: Mapping[str, str],
        *,
        project: str | None = None,
        at_least_once: bool = False,
    ) -> None:
        self._given = given
        self._texts = {**defaults, **{name: text for name, text in given.items() if text}}
        self.project = project
        """In which the job runs, None if the file does not tell."""
        self.at_least_once = at_least_once
        """Whether Dataflow runs the job in at-least-once mode."""

    def __getitem__(self, name: str) -> str:
        """Return the text, or the default; empty for neither."""
        return self._texts.get(name, "")

    def is_given(self, name: str) -> bool:
        """Tell whether it is there, if only as an empty text."""
        return name in self._given

    def is_true(self, name: str) -> bool:
        """Return a switch.

        Raises:
            ConfigError: it is none.
        """
        text = self[name].lower()
        if text not in _BOOLEANS:
            raise ConfigError(name, self[name], "must be true or false", "Write one of the two")
        return _BOOLEANS[text]

    def count(self, name: str) -> str:
        """Return a number as a text, empty for 0: the default of those that Google's code chooses.

        Raises:
            ConfigError: it is none.
        """
        text = self[name]
        if re.fullmatch("0*", text):
            return ""
        if not re.fullmatch(r"[0-9]{1,15}|\$\{env:.*\}", text):
            raise ConfigError(name, text, "must be a whole number", "Write for example 5")
        return text.lstrip("0")


Convert: TypeAlias = Callable[[Values], dict[str, str]]


@dataclass(frozen=True)
class Taken:
    """Parameters of Google's that become parameters of ours.

    Attributes:
        google: those that count together.
        ours: all that ``convert`` may give.
        convert: gives texts of ours by name; raises ConfigError for what can't be carried over.
        about: how the text changes; empty for a new name alone.
        caution: what must be known even of a text that stays the same.
        pairs: the first of Google's becomes the first of ours, and so on.
    """

    google: tuple[Parameter, ...]
    ours: tuple[str, ...]
    convert: Convert
    about: str = ""
    caution: str = ""
    pairs: bool = False


@dataclass(frozen=True)
class Unneeded:
    """Parameters that are left out and missed by nobody.

    Attributes:
        google: the parameters.
        why: ours does without.
        check: raises ConfigError for a text that is missed after all.
    """

    google: tuple[Parameter, ...]
    why: str
    check: Callable[[Values], None] = lambda _: None


@dataclass(frozen=True)
class Refused:
    """Parameters that can't be carried over.

    Attributes:
        google: the parameters.
        why: what ours has not.
        instead: what to do.
        harmless: texts at which nothing is lost, beside Google's default.
    """

    google: tuple[Parameter, ...]
    why: str
    instead: str
    harmless: tuple[str, ...] = ()


Rule: TypeAlias = Taken | Unneeded | Refused


@dataclass(frozen=True)
class Need:
    """A parameter of ours that nothing of Google's tells.

    Attributes:
        name: ours.
        why: what it is for, and what to do.
        text: what is written, made of what Google's parameters say; None leaves it open.
        example: shown while it is open.
        shown: of ``text``, for a table without values.
        copied: what can be copied from the file, on a line of its own; empty for nothing.
        optional: whether the job starts without it.
    """

    name: str
    why: Callable[[Values], str] | str
    text: Callable[[Mapping[str, str]], str | None] = lambda _: None
    example: str = ""
    shown: str = ""
    optional: bool = False
    copied: Callable[[Values], str] = lambda _: ""


@dataclass(frozen=True)
class Equivalent:
    """A template of Google's, and ours in its place.

    Attributes:
        google: its name.
        ours: the name of our template.
        rules: what becomes of its parameters; each is named by one rule.
        needs: what ours takes besides.
        differs: what someone who changes over must know, in a sentence or two.
        also: names under which it was published too.
        is_flex: Flex, or classic.
    """

    google: str
    ours: str
    rules: tuple[Rule, ...]
    needs: tuple[Need, ...]
    differs: str
    also: tuple[str, ...] = ()
    is_flex: bool = True

    def parameters(self) -> Iterator[Parameter]:
        """Yield Google's parameters."""
        for rule in self.rules:
            yield from rule.google


@dataclass(frozen=True)
class Absent:
    """Templates of Google's for which there is nothing of ours."""

    google: tuple[str, ...]
    why: str
    instead: str


def named(*names: str, **defaults: str) -> tuple[Parameter, ...]:
    """Return parameters without a default, then those with one."""
    return (*map(Parameter, names), *(Parameter(*each) for each in defaults.items()))


def renamed(google: str, ours: str, caution: str = "", default: str = "") -> Taken:
    """Return the rule of a parameter that only has another name."""

    def convert(values: Values) -> dict[str, str]:
        return {ours: values[google]} if values[google] else {}

    return Taken((Parameter(google, default),), (ours,), convert, caution=caution)
