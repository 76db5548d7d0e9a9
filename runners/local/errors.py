"""The errors of the local runner, for whoever starts a job: each says what to do.

LocalRunnerError
└── OptionError      an option can't be used; nothing was started
"""

from __future__ import annotations

__all__ = ["LocalRunnerError", "OptionError"]


class LocalRunnerError(Exception):
    """Root of all errors that the local runner raises on purpose."""


class OptionError(LocalRunnerError):
    """An option can't be used; nothing was started."""

    def __init__(self, name: str, value: object, rule: str, fix: str) -> None:
        super().__init__(name, value, rule, fix)
        self.name, self.value, self.rule, self.fix = name, value, rule, fix

    def __str__(self) -> str:
        return f"{self.name}={self.value!r}: {self.rule}. {self.fix}"
