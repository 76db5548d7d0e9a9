"""The command ``simulate``: what a rehearsal has shown, for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from templates.catalogue import find
from templates.files.render import Launch
from templates.rehearsal.finding import Finding
from templates.rehearsal.job_graph import JobGraph
from templates.rehearsal.sample_objects import given_objects
from templates.rehearsal.simulate import TIMEOUT_S, Simulation

__all__ = ["add_flags", "lines_of", "simulate", "tree"]

_GOOD, _WRONG, _BAD = 0, 1, 2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``simulate`` beside NAME and ``--params``."""
    parser.add_argument("--project", default="my-project", help="of the job (my-project)")
    parser.add_argument("--region", default="europe-west1", help="of the job (europe-west1)")
    parser.add_argument("--job_name", help="by default the template's name")
    parser.add_argument("--image", help="of launcher and workers, as --image of build")
    parser.add_argument(
        "--setup_file", type=Path, metavar="FILE",
        help="setup.py by which workers install the code, if their image does not have it",
    )  # fmt: skip
    parser.add_argument(
        "--object", action="append", default=[], metavar="gs://BUCKET/OBJECT=PATH", dest="objects",
        help="file or folder of this machine that stands for what the parameters name; may be"
        " repeated. By default what a lower parameter file names in that place",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="SECONDS",
        help=f"that the launcher may take ({TIMEOUT_S:g})",
    )  # fmt: skip


def simulate(options: argparse.Namespace) -> int:
    """Rehearse a launch; print what was found, and the steps of the job."""
    outcome = Simulation(
        template=find(options.name),
        paths=options.params,
        project=options.project,
        region=options.region,
        launch=Launch(None, options.job_name, options.region),
        image=options.image,
        setup_file=options.setup_file,
        objects=given_objects(options.objects),
        timeout_s=options.timeout,
    ).run()
    for problem in outcome.problems:
        print(f"error: {problem}", file=sys.stderr)
    if outcome.problems:
        return _BAD
    for each in outcome.findings:
        print("\n".join(lines_of(each)))
    if outcome.graph is not None:
        print("\n".join(["", "steps:", *tree(outcome.graph)]))
    return _GOOD if outcome.is_good else _WRONG


def lines_of(found: Finding) -> Iterator[str]:
    """Yield the lines that tell the outcome of a check."""
    if not found.problem:
        yield f"ok     {found.name}: {found.seen}"
        return
    yield f"WRONG  {found.name}: {found.problem}"
    yield f"       {found.fix}"


def tree(graph: JobGraph) -> Iterator[str]:
    """Yield a line for each step, within the step that it is a part of."""
    above: list[str] = []
    for step in graph.steps:
        while above and not step.name.startswith(f"{above[-1]}/"):
            above.pop()
        shown = step.name[len(above[-1]) + 1 :] if above else step.name
        yield "  " * (len(above) + 1) + shown
        above.append(step.name)
