"""What becomes of a job that goes on with another value of a parameter: it is told, or refused.

State outlives the command line. What windows hold, and what de-duplication remembers, was made
with the old value; a parameter that shapes it declares a ``Change``. Its text is kept beside the
state, and compared at the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.kind import Kind
from transforms.errors import ConfigError

__all__ = ["COLUMNS", "Change", "Remembered", "kept", "refused", "retyped", "told"]

_FIX = (
    "Give the old value. To change it, first end the job: start it with the old value, "
    "--on_stop=drain and --max_seconds=1s, which closes its windows and forgets the rest"
)


@dataclass(frozen=True)
class Change:
    """What another value does to a job that goes on.

    Attributes:
        why: what happens, or why it can't: completes a sentence.
        refuses: given the old and the new text, tells whether the job must not go on.
    """

    why: str
    refuses: Callable[[str, str], bool]


def told(why: str) -> Change:
    """Return a change that does no harm, but is worth a line."""
    return Change(why, lambda _old, _new: False)


def refused(why: str, when: Callable[[str, str], bool] = lambda _old, _new: True) -> Change:
    """Return a change that would make the answer wrong, always or for some values."""
    return Change(why, when)


def retyped(old: str, new: str) -> bool:
    """Tell whether a column has another type, given the texts that are kept of two schemas."""
    types = dict(line.split(": ", 1) for line in old.splitlines())
    columns = (line.split(": ", 1) for line in new.splitlines())
    return any(types.get(name, type_) != type_ for name, type_ in columns)


COLUMNS = refused("windows that are open hold rows with the columns that were given then", retyped)
"""Of a schema of rows."""


@dataclass(frozen=True)
class Remembered:
    """The parameters of a job that its state depends on.

    Attributes:
        changes: what another value does, by the name of the parameter.
        kinds: how to read a text, by name.
        texts: what is kept: of a file with a schema its columns, a line each; of any other
            parameter the text of its flag, empty without one.
    """

    changes: Mapping[str, Change]
    kinds: Mapping[str, Kind]
    texts: Mapping[str, str]

    def compare(self, before: Mapping[str, str]) -> list[str]:
        """Return a line for each change.

        Args:
            before: the texts as they were kept; what is in none of them is not compared.

        Raises:
            ConfigError: the job can't go on with a new value.
        """
        lines = []
        for name in (each for each in self.texts if each in before):
            old, new = before[name], self.texts[name]
            if self._same(name, old, new):
                continue
            change = self.changes[name]
            was, now = _apart(old, new)
            if change.refuses(old, new):
                raise ConfigError(
                    f"--{name}", now, f"was {was!r} when this job began, and {change.why}", _FIX
                )
            lines.append(f"--{name} was {was!r} and is {now!r}: {change.why}")
        return lines

    def _same(self, name: str, old: str, new: str) -> bool:
        if old == new:
            return True
        try:
            return bool(self.kinds[name].parse(old) == self.kinds[name].parse(new))
        except ConfigError:  # a list of columns, or what an earlier version took
            return False


def kept(value: Any, text: str | None) -> str:
    """Return what is kept of a parameter: its text, or the content of the file that it names."""
    if isinstance(value, pa.Schema):
        return "\n".join(f"{field.name}: {field.type}" for field in value)
    return text or ""


def _apart(old: str, new: str) -> tuple[str, str]:
    """Return two texts by the lines that only one of them has."""
    before, after = old.splitlines(), new.splitlines()
    return _without(before, after), _without(after, before)


def _without(lines: Sequence[str], others: Sequence[str]) -> str:
    return ", ".join(line for line in lines if line not in others)
