"""What differs between two parameter files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from templates.files.parameter_file import read

__all__ = ["difference"]


def difference(old: Path, new: Path) -> Iterator[str]:
    """Yield a line for each value that only one of the files has, or that they have otherwise.

    Raises:
        ConfigError: a file can't be read.
    """
    before = {name: given.value for name, given in read(old).items()}
    after = {name: given.value for name, given in read(new).items()}
    for name in [*before, *(each for each in after if each not in before)]:
        if name not in after or (name in before and _text(before[name]) != _text(after[name])):
            yield f"- {name}: {_text(before[name])}"
        if name not in before or (name in after and _text(before[name]) != _text(after[name])):
            yield f"+ {name}: {_text(after[name])}"


def _text(value: Any) -> str:
    """Return a value so that 1, true and null differ from the texts of them."""
    return json.dumps(value, ensure_ascii=False)
