"""All templates of Google's that are known here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from pipelines.params import ConfigError
from templates.google import bigquery, files, lake, topics
from templates.google.absent import ABSENT
from templates.google.declared import Equivalent

__all__ = ["ABSENT", "EQUIVALENTS", "find", "fitting", "is_of_google", "named_by"]

EQUIVALENTS = (
    *bigquery.EQUIVALENTS, *files.EQUIVALENTS, *topics.EQUIVALENTS, *lake.EQUIVALENTS
)  # fmt: skip

_ENDINGS = re.compile(r"([._-]metadata|\.json)$", re.IGNORECASE)


def fitting(names: Collection[str]) -> list[str]:
    """Return the templates that have all these parameters, the usual ones first; at most four."""
    found = [each.google for each in EQUIVALENTS if _has(each, names)]
    return (found or [each.google for each in EQUIVALENTS])[:4]


def is_of_google(name: str) -> bool:
    """Tell whether a name is of a parameter in Google's style: ``inputSubscription``."""
    return name != name.lower() and any(_has(each, [name]) for each in EQUIVALENTS)


def _has(equivalent: Equivalent, names: Collection[str]) -> bool:
    return set(names) <= {each.name for each in equivalent.parameters()}


def named_by(path: str) -> str:
    """Return the name of the template in an object's path, ``gs://.../latest/flex/NAME``."""
    return _ENDINGS.sub("", path.rstrip("/").rpartition("/")[2])


def find(name: str, where: str = "--template") -> Equivalent:
    """Return the equivalent of a template, in any case of letters.

    Args:
        name: of a template of Google's.
        where: it was read, for the text of errors.

    Raises:
        ConfigError: there is none, or no such template.
    """
    known = {each: one for one in EQUIVALENTS for each in (one.google, *one.also)}
    lower = {each.lower(): one for each, one in known.items()}
    if name.lower() in lower:
        return lower[name.lower()]
    for absent in ABSENT:
        if name.lower() in map(str.lower, absent.google):
            raise ConfigError(where, name, f"has no equivalent: {absent.why}", absent.instead)
    close = difflib.get_close_matches(name, known, n=1)
    fix = f"Did you mean {close[0]}?" if close else "See docs/templates/google.md for those known"
    raise ConfigError(where, name, "is no template of Google's that is known here", fix)
