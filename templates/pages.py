"""What the pages of templates say of commands, made from the catalogue.

A page of ``docs/pipelines`` has a pair of comments, ``<!-- commands of pubsub_to_lake -->`` and
``<!-- end -->``; what stands between them is written by ``python -m templates generate``.
"""

from __future__ import annotations

import re

from pipelines.kinds import ROUTE, SUBSCRIPTION, TOPIC
from templates.catalogue import Template, find

__all__ = ["FOLDER", "commands", "written"]

FOLDER = "docs/pipelines"
"""Of the pages, below the folder of the clone."""

_PART = re.compile(r"(?P<begin><!-- commands of (?P<name>\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
_BEFORE = {
    "archive_replay": "pubsub_to_storage",
    "deadletter_replay": "pubsub_to_lake",
    "lake_compact": "pubsub_to_lake",
}
"""The template whose example writes what another one's example reads."""
_PLACE = "--project=my-project --region=europe-west1"


def commands(template: Template) -> list[str]:
    """Return the lines of blocks that judge, run, simulate and launch a template, as Markdown."""
    name = template.name
    home, cloud = (f"--params {each}" for each in template.examples)
    spec = f"--spec=gs://my-bucket/templates/{name}.json"
    launch = f"$ python -m templates launch {name} {home} {cloud} {spec} {_PLACE}"
    lines = ["On this machine:", "", "```console"]
    if name in _BEFORE:
        lines.append(f"$ {_run(find(_BEFORE[name]))}")
    lines += [f"$ python -m templates validate {name} {home}", f"$ {_run(template)}", "```", ""]
    lines += ["For Dataflow: first what its launcher would do, on this machine; then the request,"]
    lines += ["which is sent without `--dry_run`:", "", "```console"]
    lines += [f"$ python -m templates simulate {name} {home} {cloud}", f"{launch} --dry_run", "```"]
    return lines


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
