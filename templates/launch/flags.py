"""The flags of ``launch``."""

from __future__ import annotations

import argparse
from pathlib import Path

from templates.launch import environment as job_environment

__all__ = ["WAITS", "add_launch_flags"]

WAITS = ("no", "running", "done")
"""How long a launch is watched."""


def add_launch_flags(launch: argparse.ArgumentParser) -> None:
    """Add them to the parser of the command, which has NAME."""
    launch.add_argument(
        "--params", type=Path, action="append", metavar="FILE",
        help="parameters in YAML or JSON; may be repeated, the later counts above the earlier",
    )  # fmt: skip
    launch.add_argument("--spec", metavar="gs://...", help="the template that is launched")
    launch.add_argument("--project", required=True, help="that the job runs in")
    launch.add_argument("--region", required=True, help="that the job runs in")
    launch.add_argument("--job_name", help="by default the template's name")
    _add_replacing(launch)
    _add_sending(launch)
    job_environment.add_flags(launch)


def _add_replacing(launch: argparse.ArgumentParser) -> None:
    group = launch.add_argument_group("the running job of that name")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--update",
        action="store_true",
        help="replace it by the new one, which takes over its state",
    )
    one.add_argument(
        "--drain", action="store_true",
        help="drain it and wait until it is, then launch; without --spec and --params, only that",
    )  # fmt: skip
    one.add_argument(
        "--cancel", action="store_true", help="the same, and what it has begun is dropped"
    )
    group.add_argument(
        "--transform_name_mapping", action="append", metavar="OLD=NEW|FILE",
        help="with --update: new names of steps, or a file of YAML or JSON; may be repeated",
    )  # fmt: skip


def _add_sending(launch: argparse.ArgumentParser) -> None:
    group = launch.add_argument_group("the request")
    group.add_argument(
        "--dry_run", action="store_true",
        help="print the request, and send nothing; needs no credentials",
    )  # fmt: skip
    group.add_argument(
        "--validate_only", action="store_true", help="let Dataflow judge it, and start nothing"
    )
    group.add_argument(
        "--reveal_secrets", action="store_true",
        help="read what ${secret:...} names, and send it in clear text: whoever may look at the job"
        " will see it",
    )  # fmt: skip
    group.add_argument(
        "--wait", choices=WAITS, nargs="?", const="running", default="running",
        help="until the job runs, until it is done, or not at all (running)",
    )  # fmt: skip
