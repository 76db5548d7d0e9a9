"""Measures as people write them: ``flights=count(), delay=mean(dep_delay)``."""

from __future__ import annotations

import re

from transforms.errors import ConfigError
from transforms.field import Field
from transforms.measures import Count, Distinct, Max, Mean, Measure, Min, Sum

__all__ = ["parse_measures"]

_OF_FIELD: dict[str, type[Sum | Mean | Min | Max | Distinct]] = {
    "sum": Sum,
    "mean": Mean,
    "min": Min,
    "max": Max,
    "distinct": Distinct,
}
_ONE = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<kind>\w+)\(\s*(?P<field>[^(),]*?)\s*\)\s*")


def parse_measures(text: str) -> dict[str, Measure]:
    """Read ``NAME=count()`` and ``NAME=sum|mean|min|max|distinct(FIELD)``, with commas between.

    Raises:
        ConfigError: the text is no list of measures, or a name comes twice.
    """
    measures: dict[str, Measure] = {}
    for part in text.split(","):
        found = _ONE.fullmatch(part)
        measure = None if found is None else _measure(found["kind"].lower(), found["field"])
        if found is None or measure is None:
            raise ConfigError(
                "measures", part.strip() or text,
                f"must be NAME=count() or NAME={'|'.join(_OF_FIELD)}(FIELD)",
                "Write for example flights=count(),delay=mean(dep_delay)",
            )  # fmt: skip
        if found["name"] in measures:
            raise ConfigError(
                "measures", found["name"], "names two columns of the answer", "Rename one of them"
            )
        measures[found["name"]] = measure
    return measures


def _measure(kind: str, field: str) -> Measure | None:
    if kind == "count" and not field:
        return Count()
    if kind in _OF_FIELD and field:
        return _OF_FIELD[kind](Field.parse(field))
    return None
