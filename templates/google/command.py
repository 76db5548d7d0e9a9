"""``python -m templates import-google``: a job of Google's as a file of our parameters.

What was taken is in the file, with its old name in a comment; what was left out, is open or can't
be carried over is told on stderr, with the commands that come next.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from pipelines.params import ConfigError
from templates.google.environment import launch_flags
from templates.google.importing import Imported, Left, imported
from templates.google.read import read
from templates.google.written import file_text

__all__ = ["add_flags", "import_google"]

_BAD = 2
_STDOUT = "PARAMS.yaml"
"""Stands for the file that someone makes of what is printed."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command."""
    parser.add_argument(
        "file", type=Path, metavar="FILE",
        help="a launch body, a file of flags for gcloud, a script with its command, a block of"
        " Terraform in JSON, or a map of parameters in YAML or JSON",
    )  # fmt: skip
    parser.add_argument(
        "--template", metavar="NAME",
        help="Google's template, by default the one that FILE names: PubSub_to_BigQuery_Flex",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write; by default it is printed"
    )
    parser.add_argument(
        "--partial", action="store_true",
        help="write what there is, although something can't be carried over",
    )  # fmt: skip


def import_google(options: argparse.Namespace) -> int:
    """Import a file; return the exit code: 2, and nothing is written, if something is lost.

    Raises:
        ConfigError: the file can't be read, its template has no equivalent, or --output exists.
    """
    output: Path | None = options.output
    if output is not None and output.exists():
        raise ConfigError(
            "--output", str(output), "exists already, perhaps with what was filled in",
            "Remove it, or give another name",
        )  # fmt: skip
    job = read(options.file)
    found = imported(job, options.template)
    flags, left = launch_flags(job, found.template)
    _tell(sorted(found.left + left, key=lambda each: each.line))
    for error in found.lost:
        print(f"{'lost' if options.partial else 'error'}: {error}", file=sys.stderr)
    if found.lost and not options.partial:
        _say("nothing was written; --partial writes what there is")
        return _BAD
    text = file_text(found, options.file.name, output.parent if output else Path())
    if output is None:
        print(text, end="")
    else:
        _written(output, text)
    _next(found, output, flags, computed=job.name is not None and job.name.value is None)
    return 0


def _written(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "--output", str(path), f"can't be written ({error.strerror})", "Give another path"
        ) from None
    print(path)


def _tell(left: list[Left]) -> None:
    for each in left:
        _say(f"left out: {each.place}: {each.name}: {each.why}")


def _next(found: Imported, output: Path | None, flags: list[str], *, computed: bool) -> None:
    for each in found.open:
        if not each.optional:
            _say(f"open: {each.spec.name}: {each.why}")
    name = found.template.name
    path = shlex.quote(str(output)) if output else _STDOUT
    _say("then, with a JOB_NAME of yours, as a shell computes it:" if computed else "then:")
    _say(f"  python -m templates validate {name} --params {path}")
    spec = f"--spec=gs://my-bucket/templates/{name}.json"
    _say("  " + " ".join([f"python -m templates launch {name} --params {path}", spec, *flags]))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
