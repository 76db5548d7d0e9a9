"""The outcome of a check, with what to do if it has failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Finding", "WrongError", "finding"]


class WrongError(Exception):
    """A check has failed: what is wrong, and what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


class Finding(NamedTuple):
    """The outcome of a check.

    Attributes:
        name: of the check.
        seen: what was found, if all is well.
        problem: what is wrong; empty if nothing is.
        fix: what to do then.
    """

    name: str
    seen: str = ""
    problem: str = ""
    fix: str = ""


def finding(name: str, check: Callable[[], str]) -> Finding:
    """Make a check; return its outcome."""
    try:
        return Finding(name, check())
    except WrongError as wrong:
        return Finding(name, problem=wrong.problem, fix=wrong.fix)
