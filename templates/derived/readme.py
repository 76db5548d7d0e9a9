"""The page of a template: what it does, what it takes, how it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.docs import parameters_table
from pipelines.params import Spec, rules
from pipelines.rules import ExactlyOneOf, OnlyWith, Rule
from templates.catalogue import TEMPLATES, Template
from templates.derived.pages import commands
from templates.google.equivalents import EQUIVALENTS

__all__ = ["index", "readme"]


_INDEX = """\
# Templates

<!-- Made by python -m templates generate. -->

Each pipeline as Dataflow knows it, made from the Params of its module: `metadata.json` and
`container_spec.json`, whose image stands open until one is built; `parameters.schema.json`, by
which editors complete and check parameter files; a Terraform module; and a page.

| template | | name in Google's style | |
|---|---|---|---|"""


def index() -> str:
    """Return the page that lists the templates, in Markdown."""
    rows = [
        f"| [{each.name}]({each.name}/README.md) | {each.title} | `{each.public_name}` "
        f"| {'streams' if each.streaming else 'ends'} |"
        for each in TEMPLATES
    ]
    return "\n".join([_INDEX, *rows]) + "\n"


def readme(template: Template) -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines(template)).rstrip() + "\n"


def _lines(template: Template) -> Iterator[str]:
    name = template.name
    yield from (f"# {template.title}", "")
    yield from ("<!-- Made by python -m templates generate. -->", "")
    yield from (_escaped(template.description), "")
    yield f"`{template.public_name}`, in the category *{template.category}*. {_modes(template)}"
    yield f"Output, guarantees, monitoring, cost: [{name}](../../docs/pipelines/{name}.md)."
    yield from _googles(name)
    yield from ("", "## Requirements", "")
    yield from (f"- {each}" for each in template.requirements)
    yield from ("", "## Parameters", "", parameters_table(template.params))
    yield from _together(rules(template.params))
    yield from ("## Parameter file", "", *_files(template), "", _example(template), "")
    yield from ("## Commands", "", *commands(template))


def _googles(name: str) -> Iterator[str]:
    known = [each.google for each in EQUIVALENTS if each.ours == name]
    if known:
        links = (f"[{each}](../../docs/templates/google.md#{each.lower()})" for each in known)
        yield from ("", f"It takes the place of Google's {', '.join(links)}.")


def _escaped(text: str) -> str:
    return re.sub(r"([<*_])", r"\\\1", text)


def _modes(template: Template) -> str:
    if not template.streaming:
        return "It ends when its input does.\n"
    modes = "exactly-once mode, or at-least-once" if template.at_least_once else "exactly-once mode"
    return f"It goes on without end; on Dataflow in {modes}.\n"


def _together(declared: list[Rule]) -> Iterator[str]:
    told = [*map(_rule, declared)]
    if told:
        yield from (*(f"- {each}" for each in told), "")


def _rule(rule: Rule) -> str:
    if isinstance(rule, ExactlyOneOf):
        return f"Exactly one of {', '.join(f'`{name}`' for name in rule.names)} must be given."
    assert isinstance(rule, OnlyWith)  # noqa: S101 - a new kind of rule needs words here
    names = ", ".join(f"`{name}`" for name in rule.names)
    wanted = f" with {' or '.join(f'`{each}`' for each in rule.values)}" if rule.values else ""
    return f"Only beside `{rule.parent}`{wanted}: {names}."


def _example(template: Template) -> str:
    """Return a file with what is required, and the first of those of which one is."""
    one_of = [rule.names[0] for rule in rules(template.params) if isinstance(rule, ExactlyOneOf)]
    lines = [
        f"{spec.name}: {_quoted(_for_cloud(spec))}"
        for spec in template.parameters
        if spec.required or spec.name in one_of
    ]
    schema = "# yaml-language-server: $schema=parameters.schema.json"
    return "\n".join(["```yaml", schema, *lines, "```"])


def _for_cloud(spec: Spec) -> str:
    """Return the first example that can be used on Dataflow."""
    fits = (each for each in spec.examples if re.search(spec.kind.cloud_pattern, each))
    return next(fits, spec.examples[0])


def _quoted(text: str) -> str:
    return f'"{text}"' if re.search(r"[{}#:]( |$)|^[{\[]|=", text) else text


def _files(template: Template) -> Iterator[str]:
    home, cloud = template.examples
    yield f"[`{home}`](../../{home}) works on this machine, with"
    yield f"[`{cloud}`](../../{cloud}) above it on Dataflow."
    yield "What is required, with names of the cloud:"
