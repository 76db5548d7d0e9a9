"""The errors of the local runner, for whoever starts a job: each says what to do.

LocalRunnerError
├── OptionError           an option can't be used; nothing was started
├── StepFailed            code of the pipeline failed, as often as it was tried
└── StoreError            the state can't be used; nothing was acknowledged since the last commit
    ├── StateFolderInUse  another process works in the folder
    ├── StateMismatch     the state was written by another pipeline
    ├── StoreCorrupt      the state is damaged
    ├── StoreFull         the disk is full, or refuses to be written
    └── StoreVersion      the state was written by another version of the runner
"""

from __future__ import annotations

__all__ = [
    "LocalRunnerError",
    "OptionError",
    "StateFolderInUse",
    "StateMismatch",
    "StepFailed",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreVersion",
]


class LocalRunnerError(Exception):
    """Root of all errors that the local runner raises on purpose."""


class OptionError(LocalRunnerError):
    """An option can't be used; nothing was started."""

    def __init__(self, name: str, value: object, rule: str, fix: str) -> None:
        super().__init__(name, value, rule, fix)
        self.name, self.value, self.rule, self.fix = name, value, rule, fix

    def __str__(self) -> str:
        return f"{self.name}={self.value!r}: {self.rule}. {self.fix}"


class StepFailed(LocalRunnerError):  # noqa: N818 - says what happened
    """Code of the pipeline failed, as often as it was tried; the cause has its traceback."""

    def __init__(self, step: str, element: str, rule: str, fix: str) -> None:
        super().__init__(step, element, rule, fix)
        self.step, self.element, self.rule, self.fix = step, element, rule, fix

    def __str__(self) -> str:
        return f"Step {self.step} at {self.element}: {self.rule}. {self.fix}"


class StoreError(LocalRunnerError):
    """The state of a job can't be used; nothing was acknowledged since the last commit."""

    def __init__(self, path: str, rule: str, fix: str) -> None:
        super().__init__(path, rule, fix)
        self.path, self.rule, self.fix = path, rule, fix

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}. {self.fix}"


class StateFolderInUse(StoreError):  # noqa: N818 - says what happened
    """Another process works in the state folder."""


class StateMismatch(StoreError):  # noqa: N818 - says what happened
    """The state was written by another pipeline, and its steps can't be told apart."""


class StoreCorrupt(StoreError):  # noqa: N818 - says what happened
    """A file of the state is damaged."""


class StoreFull(StoreError):  # noqa: N818 - says what happened
    """The disk of the state is full, or refuses to be written."""


class StoreVersion(StoreError):  # noqa: N818 - says what happened
    """The state was written by another version of the runner."""
