"""Labels of a job, by the rules of Google Cloud.

Source: https://cloud.google.com/compute/docs/labeling-resources#restrictions, and ``Job.labels`` of
Dataflow's API, which adds that none has more than 128 bytes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from pipelines.params import ConfigError

__all__ = ["labels"]

_FLAG = "--label"
_LETTERS = frozenset({"Ll", "Lo"})
"""Categories of Unicode: lower-case letters, and those of scripts that know no case."""
_LENGTH_MAX, _BYTES_MAX, _LABELS_MAX = 63, 128, 64


def labels(texts: Iterable[str]) -> dict[str, str]:
    """Return labels by key, of texts ``KEY=VALUE``.

    Raises:
        ConfigError: a text has no key, Google would refuse the label, or there are too many.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise ConfigError(
                _FLAG, text, "must be KEY=VALUE", f"Write for example {_FLAG} team=data"
            )
        if key in found:
            raise ConfigError(_FLAG, text, f"gives {key} a second time", "Give each key once")
        _check(text, "key", key)
        _check(text, "value", value)
        found[key] = value
    if len(found) > _LABELS_MAX:
        raise ConfigError(
            _FLAG, None, f"is given {len(found)} times; a job has {_LABELS_MAX} labels at most",
            "Leave some out",
        )  # fmt: skip
    return found


def _check(label: str, part: str, text: str) -> None:
    if part == "key" and unicodedata.category(text[0]) not in _LETTERS:
        raise ConfigError(_FLAG, label, "its key must begin with a lower-case letter", _fix(label))
    wrong = [each for each in text if not _is_allowed(each)]
    if wrong:
        rule = f"its {part} has {wrong[0]!r}, and may have lower-case letters, digits, _ and -"
        raise ConfigError(_FLAG, label, rule, _fix(label))
    if len(text) > _LENGTH_MAX or len(text.encode()) > _BYTES_MAX:
        rule = f"its {part} has more than {_LENGTH_MAX} characters or {_BYTES_MAX} bytes"
        raise ConfigError(_FLAG, label, rule, "Make it shorter")


def _is_allowed(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _LETTERS or category.startswith("N") or character in "_-"


def _fix(label: str) -> str:
    kept = "".join(each if each == "=" or _is_allowed(each) else "-" for each in label.lower())
    key, _, value = kept.partition("=")
    key = key.lstrip("-_0123456789") or "team"
    return f"Write for example {_FLAG} {key}={value.replace('=', '-')}"
