"""The errors of Headrace: four kinds, because there are four things to do about an error.

    HeadraceError
    ├── ConfigError      refuse to start; say the flag, the value, the rule and the fix
    ├── DataError        send the row to the dead letter
    ├── TransientError   try again, a bounded number of times, with backoff
    └── PermanentError   stop; trying again would not help

Every foreign exception is mapped to one of these where it enters (``connectors/retry.py``).
"""

from __future__ import annotations

__all__ = ["ConfigError", "DataError", "HeadraceError", "PermanentError", "TransientError"]


class HeadraceError(Exception):
    """Root of all errors that Headrace raises on purpose."""

    worth_retrying = True
    """Whether the same work may succeed later; the local runner asks this of any exception."""


class ConfigError(HeadraceError):
    """A parameter can't be used; nothing was started."""

    worth_retrying = False

    def __init__(self, name: str, value: object, rule: str, fix: str) -> None:
        super().__init__(name, value, rule, fix)
        self.name, self.value, self.rule, self.fix = name, value, rule, fix

    def __str__(self) -> str:
        given = self.name if self.value is None else f"{self.name}={self.value!r}"
        return f"{given}: {self.rule}. {self.fix}"


class DataError(HeadraceError):
    """A row can't be processed, whatever is tried."""


class TransientError(HeadraceError):
    """A service or resource failed for now."""


class PermanentError(HeadraceError):
    """The pipeline can't go on until someone mends the cause."""

    worth_retrying = False
