"""Parameters as Dataflow describes them: ``ParameterMetadata``, from what a pipeline declares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.kind import Kind
from pipelines.params import Spec
from pipelines.rules import ExactlyOneOf, OnlyWith, Rule

__all__ = ["enum_options", "label", "parameter_metadata", "parameter_type"]

_TYPES = {"boolean": "BOOLEAN", "integer": "NUMBER", "number": "NUMBER"}
_LABEL_MAX = 60
_INITIALS = {"bigquery": "BigQuery", "id": "ID", "udf": "UDF"}


def parameter_type(kind: Kind) -> str:
    """Return the name of one of Dataflow's 23 parameter types."""
    if kind.resource:
        return kind.resource
    return _TYPES.get(kind.type) or ("ENUM" if kind.choices else "TEXT")


def label(spec: Spec) -> str:
    """Return the parameter's name for people: ``Dead letter``."""
    words = [_INITIALS.get(word, word) for word in spec.name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def enum_options(kind: Kind) -> list[dict[str, str]]:
    """Return the texts to choose from."""
    return [{"value": each, "label": each.replace("_", " ")} for each in kind.choices]


def parameter_metadata(spec: Spec, rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the fields of one parameter that say something, in the form of the REST API.

    Args:
        spec: as declared.
        rules: of the Params class. What Dataflow has no words for is in ``customMetadata``.
    """
    kind = spec.kind
    pattern = kind.cloud_pattern or kind.pattern
    found = {
        "name": spec.name,
        "label": label(spec),
        "helpText": help_text(spec),
        "isOptional": not spec.required,
        "regexes": [pattern] if pattern else [],
        "paramType": parameter_type(kind),
        "defaultValue": spec.default or "",
        "enumOptions": enum_options(kind),
        "groupName": spec.group,
        **_parent(spec, rules),
        "customMetadata": dict(_constraints(spec, rules)),
    }
    always = ("isOptional",)
    return {key: value for key, value in found.items() if value or key in always}


def help_text(spec: Spec) -> str:
    """Return the help and the example."""
    return f"{spec.help} For example: {' or '.join(spec.examples)}" if spec.example else spec.help


def _parent(spec: Spec, rules: Sequence[Rule]) -> dict[str, Any]:
    for rule in rules:
        # A console that hid a parameter until any value is given would need to know that value.
        if isinstance(rule, OnlyWith) and spec.name in rule.names and rule.values:
            return {"parentName": rule.parent, "parentTriggerValues": list(rule.values)}
    return {}


def _constraints(spec: Spec, rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """Yield what the service can't say, as texts by name: its map holds nothing else."""
    for rule in rules:
        if isinstance(rule, ExactlyOneOf) and spec.name in rule.names:
            yield "headraceExactlyOneOf", json.dumps(list(rule.names))
        if isinstance(rule, OnlyWith) and spec.name in rule.names:
            yield "headraceOnlyWith", json.dumps({rule.parent: list(rule.values)})
    if spec.kind.separator:
        yield "headraceSeparator", spec.kind.separator
    if spec.kind.cloud_pattern:
        yield "headraceLocalPattern", spec.kind.pattern
    yield "headraceValue", spec.kind.name
