"""Folders by time: Google's patterns of dates within a path, as our output and folders.

gs://bucket/flights/YYYY/MM/dd/    output: gs://bucket/flights    folders: %Y/%m/%d
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.params import ConfigError
from templates.google.declared import Values, named

__all__ = ["DIRECTORY", "PATTERNS", "folders"]

DIRECTORY = "outputDirectory"
PATTERNS = named(
    yearPattern="YYYY", monthPattern="MM", dayPattern="dd", hourPattern="HH", minutePattern="mm"
)  # fmt: skip
"""What stands for a part of the date within the path. Google replaces them in this order."""

_PARTS = {
    "yearPattern": {r"[yY]|[yY]{4,}": "%Y"},
    "monthPattern": {"M{1,2}": "%m"},
    "dayPattern": {"d{1,2}": "%d", "D{1,3}": "%j"},
    "hourPattern": {"H{1,2}": "%H"},
    "minutePattern": {"m{1,2}": "%M"},
}
"""Joda's letters, alone or with one other sign at either side, which Google takes away."""
_BUCKET = re.compile(r"gs://[^/]+(?=/|$)|/?")
_REFERENCE = re.compile(r"\$\{[^}]*\}")


def folders(values: Values) -> dict[str, str]:
    """Return ``output`` and ``folders``.

    Raises:
        ConfigError: a pattern gives something that our folders have not, or the path does.
    """
    path = values[DIRECTORY]
    if not path:
        return {}
    match = _BUCKET.match(path)
    root = match.group() if match else ""
    names = [name for name in path[len(root) :].split("/") if name]
    signs = dict(_signs(values, "/".join(names)))
    plain = 0
    while plain < len(names) and not any(sign in names[plain] for sign in signs):
        plain += 1
    _refuse_references(path, names)
    fixed, dated = names[:plain], names[plain:]
    return {"output": _joined(root, fixed), "folders": _dated("/".join(dated), signs, path)}


def _signs(values: Values, path: str) -> Iterator[tuple[str, str]]:
    for pattern in PATTERNS:
        text = values[pattern.name]
        yield text, _part(pattern.name, text)
    # Whoever writes DD means the day of the month; Google's later versions leave it as it is.
    if not values.is_given("dayPattern") and "dd" not in path:
        yield "DD", "%d"


def _part(name: str, text: str) -> str:
    for letters, part in _PARTS[name].items():
        if re.fullmatch(f"[^A-Za-z0-9/]?({letters})[^A-Za-z0-9/]?", text):
            return part
    raise ConfigError(
        name, text, "gives a part of the date that our folders have not",
        "Use YYYY, MM, dd or DDD, HH and mm: parts in digits of a fixed number",
    )  # fmt: skip


def _refuse_references(path: str, names: list[str]) -> None:
    """What is not known can't be searched for dates; the bucket never has any."""
    if any(_REFERENCE.search(name) for name in names):
        raise ConfigError(
            DIRECTORY, path, "has a variable where it may have dates",
            "Write the path without a variable, but for the bucket",
        )  # fmt: skip


def _dated(text: str, signs: dict[str, str], path: str) -> str:
    if "%" in text:
        raise ConfigError(
            DIRECTORY, path, "has a % in a folder with dates, which begins a part of the date here",
            "Give the folder another name",
        )  # fmt: skip
    either = "|".join(map(re.escape, sorted(signs, key=len, reverse=True)))
    return re.sub(either, lambda sign: signs[sign.group()], text)


def _joined(root: str, names: list[str]) -> str:
    if root in ("", "/"):
        return root + "/".join(names) or "."
    return "/".join([root, *names])
