"""What the pages of templates say of commands, made from the catalogue.

A page of ``docs/pipelines`` has a pair of comments, ``<!-- commands of pubsub_to_lake -->`` and
``<!-- end -->``; what stands between them is written by ``python -m templates generate``.
"""

from __future__ import annotations

import re

from pipelines.kinds import ROUTE, SUBSCRIPTION, TOPIC
from templates.catalogue import Template, find

__all__ = ["FOLDER", "commands", "wrapped", "written"]

FOLDER = "docs/pipelines"
"""Of the pages, below the folder of the clone."""

_PART = re.compile(r"(?P<begin><!-- commands of (?P<name>\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
_BEFORE = {
    "archive_replay": "pubsub_to_storage",
    "deadletter_replay": "pubsub_to_lake",
    "lake_compact": "pubsub_to_lake",
}
"""The template whose example writes what another one's example reads."""
_WIDTH = 84
"""Characters of a command that a page shows without scrolling."""
_PLACE = "--project=my-project --region=europe-west1"


def commands(template: Template) -> list[str]:
    """Return the lines of blocks that judge, run, simulate and launch a template, as Markdown."""
    name = template.name
    home, cloud = (f"--params {each}" for each in template.examples)
    spec = f"--spec=gs://my-bucket/templates/{name}.json"
    launch = f"$ python -m templates launch {name} {home} {cloud} {spec} {_PLACE}"
    lines = ["On this machine:", "", "```console"]
    if name in _BEFORE:
        lines += wrapped(f"$ {_run(find(_BEFORE[name]))}")
    lines += wrapped(f"$ python -m templates validate {name} {home}")
    lines += [*wrapped(f"$ {_run(template)}"), "```", ""]
    lines += ["For Dataflow: first what its launcher would do, on this machine; then the request,"]
    lines += ["which is sent without `--dry_run`:", "", "```console"]
    lines += wrapped(f"$ python -m templates simulate {name} {home} {cloud}")
    return [*lines, *wrapped(f"{launch} --dry_run"), "```"]


def wrapped(command: str) -> list[str]:
    """Return the lines of a command that is broken before flags."""
    lines: list[str] = []
    for part in re.split(r" (?=--)", command):
        if lines and len(lines[-1]) + len(part) < _WIDTH - 2:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _run(template: Template) -> str:
    talks = any(spec.kind in (SUBSCRIPTION, TOPIC, ROUTE) for spec in template.parameters)
    broker = " --broker=embedded" if talks else ""
    return f"python -m templates run {template.name} --params {template.examples[0]}{broker}"


def written(text: str) -> str:
    """Return a page with the commands as they should be."""
    return _PART.sub(lambda part: part["begin"] + "\n" + _section(find(part["name"])) + "\n", text)


def _section(template: Template) -> str:
    home, cloud = (f"[`{each}`](../../{each})" for each in template.examples)
    lines = [
        f"{home} has parameters that work on this machine,",
        f"{cloud} names of the cloud to lie above them.",
        f"What Dataflow is told of `{template.public_name}`, and a Terraform module, lie in",
        f"[templates/{template.name}](../../templates/{template.name}/README.md).",
        "", *commands(template), "",
    ]  # fmt: skip
    return "\n".join(lines)
