"""Lengths of time as people write them: ``500ms``, ``30s``, ``5m``, ``1h``, ``1d``."""

from __future__ import annotations

import re
from typing import Final

from transforms.errors import ConfigError

__all__ = ["format_duration", "parse_duration", "whole_millis"]

_UNIT_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_ROUNDING_MS: Final = 1e-4
"""What binary fractions of seconds may be off."""
_PATTERN: Final = re.compile(r"(\d{1,12})(ms|s|m|h|d)", re.ASCII)


def parse_duration(text: str, name: str = "duration", least_ms: int = 0) -> float:
    """Return the seconds of a duration such as ``500ms``, ``30s``, ``5m``, ``1h`` or ``1d``.

    Args:
        text: a whole number and its unit; no sign, no space, one unit.
        name: the parameter that an error should name.
        least_ms: the shortest duration that is allowed.

    Raises:
        ConfigError: the text is no such duration, or a shorter one.
    """
    found = _PATTERN.fullmatch(text)
    if not found:
        raise ConfigError(
            name, text, "must be a whole number and a unit: ms, s, m, h or d",
            f"Write for example {_example(text)}",
        )  # fmt: skip
    millis = int(found[1]) * _UNIT_MS[found[2]]
    if millis < least_ms:
        raise ConfigError(name, text, f"must be at least {least_ms}ms", "Write for example 5m")
    return millis / 1_000


def _example(text: str) -> str:
    """Return what may have been meant: seconds, if the unit alone is missing."""
    return f"{text}s" if _PATTERN.fullmatch(f"{text}s") else "500ms, 30s, 5m, 1h or 1d"


def format_duration(seconds: float) -> str:
    """Return the shortest text that ``parse_duration`` reads as these seconds.

    Raises:
        ConfigError: the seconds are negative or no whole number of milliseconds.
    """
    millis = whole_millis("duration", seconds, least=0)
    unit = next(unit for unit, size in _UNIT_MS.items() if millis % size == 0)
    return f"{millis // _UNIT_MS[unit]}{unit}"


def whole_millis(name: str, seconds: float, least: int = 1) -> int:
    """Return a duration in milliseconds.

    Beam's runners exchange times in milliseconds, so that a finer duration would silently
    change on its way.

    Args:
        name: the parameter that an error should name.
        seconds: the duration.
        least: milliseconds; the shortest duration that is allowed.

    Raises:
        ConfigError: the seconds are too few or no whole number of milliseconds.
    """
    millis = round(seconds * 1_000)
    if millis < least or abs(seconds * 1_000 - millis) > _ROUNDING_MS:
        raise ConfigError(
            name, seconds, f"must be a whole number of milliseconds, at least {least}",
            "Give seconds, such as 0.5 or 60",
        )  # fmt: skip
    return millis
