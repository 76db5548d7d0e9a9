"""A job of one of Google's templates, as a file describes it: in whatever form, the same here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Given", "Job", "escaped"]


class Given(NamedTuple):
    """Something that stands in a file."""

    value: Any
    """Of a parameter a text, in which ``${env:NAME}`` is a reference as in our files."""
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.path}:{self.line}"


@dataclass
class Job:
    """What a job is started with.

    Attributes:
        path: of the file.
        template: the object with the template, None if nothing names it.
        parameters: of the template, by name.
        environment: of the workers, by the names of the REST API: ``maxWorkers``.
        name: of the job; its value is None where a shell would compute it.
        project, region: in which it runs.
    """

    path: Path
    template: Given | None = None
    parameters: dict[str, Given] = field(default_factory=dict)
    environment: dict[str, Given] = field(default_factory=dict)
    name: Given | None = None
    project: Given | None = None
    region: Given | None = None

    @property
    def is_at_least_once(self) -> bool:
        """Whether Dataflow runs it in at-least-once mode."""
        mode = self.environment.get("streamingMode")
        return mode is not None and str(mode.value).endswith("AT_LEAST_ONCE")


def escaped(text: str) -> str:
    """Return a text of which nothing is a reference."""
    return text.replace("${", "$${")


def texts(given: Mapping[str, Given]) -> dict[str, str]:
    """Return the texts of parameters, without those that are empty: to Google they are absent."""
    return {name: str(each.value) for name, each in given.items() if each.value != ""}
