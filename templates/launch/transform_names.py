"""Which step of the running job a step of the new one continues, when steps were renamed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.params import ConfigError
from templates.files.parameter_file import tree

__all__ = ["transform_names"]

_FLAG = "--transform_name_mapping"
_EXAMPLE = (
    f"Write for example {_FLAG} Parse=ParseRows, or give a file of YAML with Parse: ParseRows"
)


def transform_names(given: Sequence[str]) -> dict[str, str]:
    """Return new names by old ones.

    Args:
        given: each ``OLD=NEW``, or the path of a YAML or JSON file with one mapping. A new name
            that is empty says that the step is gone.

    Raises:
        ConfigError: a text is neither, a file can't be read or is no mapping of texts, or a name is
            mapped twice.
    """
    found: dict[str, str] = {}
    for text in given:
        pairs = _of_file(text) if Path(text).is_file() else [_pair(text)]
        for old, new in pairs:
            if old in found:
                raise ConfigError(_FLAG, text, f"maps {old!r} a second time", "Map each step once")
            found[old] = new
    return found


def _pair(text: str) -> tuple[str, str]:
    old, separator, new = text.partition("=")
    if not separator or not old:
        raise ConfigError(_FLAG, text, "is no file, and no OLD=NEW", _EXAMPLE)
    return old, new


def _of_file(text: str) -> list[tuple[str, str]]:
    top = tree(Path(text), _FLAG)
    if not isinstance(top.value, dict):
        raise ConfigError(f"{text}:{top.line}", None, "must hold OLD: NEW on each line", _EXAMPLE)
    for old, new in top.value.items():
        if not isinstance(new.value, str):
            place = f"{text}:{new.line}: {old}"
            raise ConfigError(place, new.plain(), "must be the name of a step", _EXAMPLE)
    return [(old, new.value) for old, new in top.value.items()]
