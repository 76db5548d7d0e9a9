"""The last line of a run, which accounts for every message."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["figures", "unaccounted"]

_SOURCES = ("read", "made")


def figures(log: str) -> dict[str, int]:
    """Return the last line of progress, as numbers by their words."""
    lines = [line for line in log.splitlines() if re.search(r"\d (read|files merged)  ", line)]
    found = re.findall(r"(?<![\d.,])([\d,]+) ([a-z][a-z ]*?)(?=  |$)", lines[-1])
    return {word: int(number.replace(",", "")) for number, word in found}


def unaccounted(found: Mapping[str, int]) -> int:
    """Return how many rows were read or made and are in no other figure: 0 if all is well."""
    came = sum(found.get(word, 0) for word in _SOURCES)
    return came - sum(number for word, number in found.items() if word not in _SOURCES)
