"""Files of parameters: YAML or JSON, one above the other, whose values know where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from connectors.broker.declared.marked import Marked, read_marked
from connectors.broker.errors import BadFile
from pipelines.params import ConfigError, Spec, parsed

__all__ = ["Given", "Marked", "overlaid", "read", "tree", "typed_text"]

_FOR_EDITORS = "$schema"
_NAMES = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
_WANTED = {
    "boolean": "true or false", "integer": "a number", "number": "a number", "string": "a text",
}  # fmt: skip
_FIXES = {
    "boolean": "Write one of the two, without quotes",
    "integer": "Write it without quotes",
    "number": "Write it without quotes",
    "string": "Put it in quotes",
}


_FIXES_OF_FILES = {
    "is given twice": "Remove one of the two",
    r"character '\t'": "Indent with spaces, not with tabs",
}
"""By what the reader of YAML says."""


class Given(NamedTuple):
    """A value as a file gives it: a scalar, or a list of texts."""

    value: Any
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.path}:{self.line}"


def read(path: Path) -> dict[str, Given]:
    """Return the values of a file by the names of parameters, which may be written with ``-``.

    Raises:
        ConfigError: it can't be read, is no YAML, or is no mapping; it names file and line.
    """
    top = tree(path)
    if top.value is None:
        return {}
    if not isinstance(top.value, dict):
        raise ConfigError(
            f"{path}:{top.line}", None, "must hold a name and a value on each line",
            "Write for example window: 1h",
        )  # fmt: skip
    return _named(path, top.value)


def tree(path: Path, flag: str = "--params") -> Marked:
    """Return all that a YAML or JSON file holds, with its lines.

    Args:
        path: of the file.
        flag: that names it, for the text of errors.

    Raises:
        ConfigError: it can't be read, or is no YAML; it names file and line.
    """
    try:
        return read_marked(path)
    except BadFile as error:
        place, _, rule = str(error).partition(": ")
        fixes = (fix for part, fix in _FIXES_OF_FILES.items() if part in rule)
        fix = next(fixes, "Correct the file at that line")
        raise ConfigError(place, None, rule, fix) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            flag, str(path), f"can't be read ({reason})", "Give the path of a file"
        ) from None


def _named(path: Path, values: dict[str, Marked]) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for written, marked in values.items():
        name = written.replace("-", "_")
        if written == _FOR_EDITORS:
            continue
        if name in found:
            raise ConfigError(
                f"{path}:{marked.line}: {written}", None,
                f"is given twice; first in line {found[name].line}", "Remove one of the two",
            )  # fmt: skip
        found[name] = Given(marked.plain(), path, marked.line)
    return found


def overlaid(paths: Sequence[Path]) -> dict[str, Given]:
    """Return the values of several files: what a later one gives counts, and its ``null`` removes.

    Raises:
        ConfigError: as ``read``.
    """
    found: dict[str, Given] = {}
    for path in paths:
        found |= read(path)
    return {name: given for name, given in found.items() if given.value is not None}


def typed_text(spec: Spec, given: Given) -> str:
    """Return a value as the text of its flag; references are still in it.

    Raises:
        ConfigError: it has a type that the parameter can't have.
    """
    value, kind = given.value, spec.kind
    if isinstance(value, list):
        return _joined(spec, given)
    if isinstance(value, dict):
        raise _wrong(spec, given, "is a mapping", "Write a single value")
    if isinstance(value, str) and (kind.type == "string" or "${" in value):
        return value
    if isinstance(value, bool):
        fits = kind.type == "boolean"
    else:
        fits = kind.type in ("integer", "number") and not isinstance(value, str)
    if not fits:
        raise _unfit(spec, given)
    if isinstance(value, float) and value.is_integer() and kind.type == "integer":
        value = int(value)  # 1e3, which JSON Schema has as an integer as well
    return _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unfit(spec: Spec, given: Given) -> ConfigError:
    """Return the error of a value of the wrong type: quotes help only where its text would do."""
    wanted = spec.kind.type
    if wanted == "string":
        try:
            parsed(spec, _text(given.value))
        except ConfigError as error:
            return _wrong(spec, given, error.rule, error.fix)
    rule = f"is {_NAMES[type(given.value)]}, and must be {_WANTED[wanted]}"
    return _wrong(spec, given, rule, _FIXES[wanted])


def _joined(spec: Spec, given: Given) -> str:
    separator = spec.kind.separator
    if not separator:
        raise _wrong(spec, given, "is a list, and must be a single value", "Write one value")
    for item in given.value:
        if not isinstance(item, str):
            raise _wrong(
                spec, given, f"has the item {item!r}, which is no text", "Put it in quotes"
            )
        if separator in item:
            raise _wrong(
                spec, given, f"has an item with {separator!r}, which is between items",
                "Write the parts as items of their own",
            )  # fmt: skip
    return separator.join(given.value)


def _wrong(spec: Spec, given: Given, rule: str, fix: str) -> ConfigError:
    return ConfigError(f"{given.place}: {spec.name}", given.value, rule, fix)
