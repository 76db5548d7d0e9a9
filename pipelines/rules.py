"""Rules between parameters that can be told without their values, and so to other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from transforms.errors import ConfigError

__all__ = ["ExactlyOneOf", "OnlyWith", "Rule"]

_OFF = ("", "false")
"""Texts by which a parameter is as if it were left out."""


class Rule(Protocol):
    """What a Params class lists in its ``RULES``."""

    def check(self, given: Mapping[str, str]) -> None:
        """Raise ConfigError if the texts that were given, by name, break the rule."""

    def broken(self, given: Mapping[str, str]) -> Iterator[ConfigError]:
        """Yield an error for each of the texts that breaks the rule."""


@dataclass(frozen=True)
class ExactlyOneOf:
    """A rule of a Params class: exactly one of these parameters must be given."""

    names: tuple[str, ...]

    @property
    def flags(self) -> str:
        """The flags, as a choice."""
        return " or ".join(f"--{name}" for name in self.names)

    def check(self, given: Mapping[str, str]) -> None:
        """Raise ConfigError unless exactly one of the names was given."""
        for error in self.broken(given):
            raise error

    def broken(self, given: Mapping[str, str]) -> Iterator[ConfigError]:
        """Yield one error unless exactly one of the names was given."""
        found = sorted(set(self.names) & set(given))
        if len(found) != 1:
            were = f"and {len(found)} were" if found else "and none was"
            yield ConfigError(
                self.flags, None, f"exactly one of them must be given, {were}",
                f"Give either {self.flags}",
            )  # fmt: skip


@dataclass(frozen=True)
class OnlyWith:
    """A rule of a Params class: these parameters count only beside another one.

    Attributes:
        names: the parameters.
        parent: the other one.
        why: what is told to whoever gives them without it.
        values: texts that the parent must have one of, its default not among them; none for any.
    """

    names: tuple[str, ...]
    parent: str
    why: str
    values: tuple[str, ...] = ()

    def check(self, given: Mapping[str, str]) -> None:
        """Raise ConfigError if one of the names was given without the parent."""
        for error in self.broken(given):
            raise error

    def broken(self, given: Mapping[str, str]) -> Iterator[ConfigError]:
        """Yield an error for each of the names that was given without the parent."""
        parent = given.get(self.parent)
        if parent is not None and (not self.values or parent in self.values):
            return
        wanted = f"={' or '.join(self.values)}" if self.values else ""
        for name in self.names:
            if given.get(name, "") not in _OFF:
                yield ConfigError(
                    f"--{name}", given[name], self.why,
                    f"Leave it out, or give --{self.parent}{wanted}",
                )  # fmt: skip
