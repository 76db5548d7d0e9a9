"""The options of the local runner, beside Beam's own.

The job's name is Beam's ``--job_name``. Give the options on the command line or by keyword,
``PipelineOptions(state_dir="./state", workers=2)``.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from runners.local.errors import OptionError

__all__ = ["JOB_NAME", "LocalOptions", "Settings", "StopMode", "settings"]

StopMode = Literal["suspend", "drain"]

JOB_NAME = "job"
"""Name of a job that was given none: one unnamed job fits into a state folder."""

ATTEMPTS = 4
"""How often an epoch is tried by default, where its state is durable."""
ATTEMPTS_MAX = 1_000
WORKERS_MAX = 256

_MODES = ("suspend", "drain")


class LocalOptions(PipelineOptions):
    """Options of the local runner; ``settings`` reads them."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        # The parser takes any text, and settings() judges it: what is given by keyword passes no
        # parser, and argparse would answer a bad value with the end of the process.
        parser.add_argument(
            "--state_dir",
            default=None,
            metavar="FOLDER",
            help="Folder of the durable state. A job that starts again with the same "
            "name and folder goes on where it stopped. Default: a temporary folder, and nothing "
            "survives the process.",
        )
        parser.add_argument(
            "--on_stop",
            default="suspend",
            metavar="suspend|drain",
            help="What a request to stop does. 'suspend' keeps open windows in the "
            "state for the next start; 'drain' ends the sources and closes all windows, for good.",
        )
        parser.add_argument(
            "--workers",
            default=1,
            metavar="N",
            help="Processes that execute user code; 1 is this process. Default: 1.",
        )
        parser.add_argument(
            "--max_attempts",
            default=None,
            metavar="N",
            help="How often failing work is tried before the job stops. Default: "
            f"{ATTEMPTS} with --state_dir, 1 without.",
        )

    def validate(self, validator: Any) -> list[str]:  # noqa: ARG002 - Beam's signature
        """Return what is wrong with the options, by Beam's convention; nothing if all is well.

        Beam's own validator asks Beam's own options only, so that the runner calls ``settings``.
        """
        return [str(problem) for problem in _read(self)[1]]


@dataclass(frozen=True)
class Settings:
    """The options as the runner uses them, checked."""

    job_name: str
    state_dir: str | None
    on_stop: StopMode
    workers: int
    max_attempts: int

    @property
    def folder(self) -> str | None:
        """The folder of this job's state, None for a temporary one."""
        return None if self.state_dir is None else os.path.join(self.state_dir, self.job_name)


def settings(options: PipelineOptions) -> Settings:
    """Return the checked options.

    Raises:
        OptionError: the first option whose value can't be used.
    """
    found, problems = _read(options)
    if problems:
        raise problems[0]
    return Settings(**found)


def _read(options: PipelineOptions) -> tuple[dict[str, Any], list[OptionError]]:
    """Return the values of the good options, and the errors of the others."""
    local = options.view_as(LocalOptions)
    name = options.view_as(GoogleCloudOptions).job_name
    durable = local.state_dir is not None
    attempts = (ATTEMPTS if durable else 1) if local.max_attempts is None else local.max_attempts
    readers: dict[str, Callable[[], object]] = {
        "job_name": lambda: _job_name(name, durable),
        "state_dir": lambda: _state_dir(local.state_dir),
        "on_stop": lambda: _on_stop(local.on_stop),
        "workers": lambda: _count("--workers", local.workers, WORKERS_MAX),
        "max_attempts": lambda: _count("--max_attempts", attempts, ATTEMPTS_MAX),
    }
    found: dict[str, Any] = {}
    problems: list[OptionError] = []
    for option, read in readers.items():
        try:
            found[option] = read()
        except OptionError as problem:  # noqa: PERF203 - five options, and each may be wrong
            problems.append(problem)
    return found, problems


def _job_name(value: object, durable: bool) -> str:
    if value is None:
        return JOB_NAME
    # With a state folder the name is that of a folder in it, and must mean the same everywhere.
    if durable and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", str(value)):
        raise OptionError(
            "--job_name",
            value,
            "must be 1 to 128 letters, digits, '_', '-' or '.', and begin with a letter or digit",
            "Write for example --job_name=flights",
        )
    return str(value)


def _state_dir(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value or "://" in value:
        raise OptionError(
            "--state_dir",
            value,
            "must be a folder on a disk of this machine",
            "Write for example --state_dir=./state",
        )
    return value


def _on_stop(value: object) -> StopMode:
    if value not in _MODES:
        raise OptionError(
            "--on_stop",
            value,
            f"must be {' or '.join(_MODES)}",
            "Write for example --on_stop=drain",
        )
    return cast("StopMode", value)


def _count(flag: str, value: object, most: int) -> int:
    text = str(value)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text) or int(text) > most:
        raise OptionError(
            flag, value, f"must be a whole number from 1 to {most}", f"Write for example {flag}=2"
        )
    return int(text)
