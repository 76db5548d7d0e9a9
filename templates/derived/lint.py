"""What is wrong with a declaration although it can be read: found by a test, before users do."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache

from pipelines.launch import beam_parser
from pipelines.params import ConfigError, Spec, rules
from pipelines.rules import ExactlyOneOf, OnlyWith
from templates.catalogue import Template
from templates.derived.terraform import JOB_VARIABLES

__all__ = ["RESERVED", "problems"]

_OF_LAUNCHER = {
    "runner", "project", "region", "job_name", "labels", "staging_location", "temp_location",
    "template_location",
}  # fmt: skip
_OF_TERRAFORM = {
    "source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals",
}  # fmt: skip

RESERVED = frozenset(_OF_LAUNCHER | _OF_TERRAFORM | {name for name, *_ in JOB_VARIABLES})
"""Names with a meaning of their own: to Dataflow's launcher, to Terraform, in our module."""

_LAUNCHER = ("pipelines.launch", "pipelines.filters", "pipelines.pacing")
"""Modules that read parameters by a name of their own, for any pipeline."""
_NOT_POSIX = re.compile(r"\\[A-Za-z]|\(\?|[*+?}]\?")


def problems(template: Template) -> Iterator[str]:
    """Yield what is wrong with the parameters of a template."""
    names = {spec.name for spec in template.parameters}
    read = _names_read(template)
    for spec in template.parameters:
        found = [*_of_name(spec), *_of_pattern(spec), *_of_texts(spec)]
        if spec.name not in read:
            found.append("is read by nothing")
        yield from (f"{template.name}.{spec.name}: {each}" for each in found)
    for rule in rules(template.params):
        for name in _named(rule) - names:
            yield f"{template.name}: a rule names {name}, which is no parameter"
        if isinstance(rule, OnlyWith):
            yield from (f"{template.name}.{rule.parent}: {each}" for each in _of_parent(
                next(spec for spec in template.parameters if spec.name == rule.parent), rule
            ))  # fmt: skip


def _named(rule: object) -> set[str]:
    if isinstance(rule, OnlyWith):
        return {*rule.names, rule.parent}
    return set(rule.names) if isinstance(rule, ExactlyOneOf) else set()


def _of_parent(parent: Spec, rule: OnlyWith) -> Iterator[str]:
    if parent.default in rule.values:
        yield f"its default {parent.default} is a value that a rule waits for"
    for value in rule.values:
        if parent.kind.choices and value not in parent.kind.choices:
            yield f"a rule waits for {value}, which is no choice"


def _of_name(spec: Spec) -> Iterator[str]:
    if spec.name in RESERVED or f"--{spec.name}" in _beam_flags():
        yield "is an option of Beam or of the launcher"
    if not spec.help.endswith("."):
        yield "its help is no sentence"


@cache
def _beam_flags() -> frozenset[str]:
    """Return the options of Beam and of ours, without the one that Beam's own tests have."""
    return frozenset(beam_parser()._option_string_actions) - {"--dry_run"}


def _of_pattern(spec: Spec) -> Iterator[str]:
    for pattern in filter(None, (spec.kind.pattern, spec.kind.cloud_pattern)):
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield f"its pattern {pattern} has no anchors"
        if _NOT_POSIX.search(pattern):
            yield f"its pattern {pattern} is no POSIX extended one"


def _of_texts(spec: Spec) -> Iterator[str]:
    texts = [*spec.examples, *spec.kind.choices]
    if spec.default:
        texts = [*texts, spec.default]
    for text in texts:
        if spec.kind.pattern and not re.search(spec.kind.pattern, text):
            yield f"its pattern refuses {text!r}"
        if not spec.kind.reads_file:  # an example of a file is not there
            yield from _refusal(spec, text)
    cloud = spec.kind.cloud_pattern
    if cloud and spec.examples and not any(re.search(cloud, text) for text in spec.examples):
        yield "no example of it can be used in the cloud"


def _refusal(spec: Spec, text: str) -> Iterator[str]:
    try:
        spec.kind.parse(text)
    except ConfigError as error:
        yield f"refuses its own {text!r}: {error.rule}"


def _names_read(template: Template) -> set[str]:
    """Return every attribute, and every text, that the code of the pipeline mentions.

    That of its Params and their groups counts, and the launcher's. A declaration is no mention.
    """
    modules = {template.module.__name__, *_LAUNCHER}
    modules |= {each.__module__ for each in template.params.__mro__ if each is not object}
    return {name for module in modules for name in _mentioned(module)}


@cache
def _mentioned(module: str) -> frozenset[str]:
    __import__(module)
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    loaded = (
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )
    asked = (
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    )
    return frozenset([*loaded, *map(str, asked)])
