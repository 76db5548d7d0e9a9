"""A JSON Schema for the parameter files of a template, by which editors complete and check them."""

from __future__ import annotations

import itertools
from typing import Any

from pipelines.params import Spec, rules
from pipelines.rules import ExactlyOneOf, Rule
from templates.catalogue import Template
from templates.derived.parameter import help_text

__all__ = ["json_schema"]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What the YAML and JSON plugins of editors know best."""

_REFERENCE = {"type": "string", "pattern": r"\$\{(env|secret):[^}]+\}"}


def json_schema(template: Template) -> dict[str, Any]:
    """Return the schema. It demands nothing: an overlay may hold a part of the parameters."""
    return {
        "$schema": DIALECT,
        "title": f"Parameters of {template.name}",
        "description": template.summary,
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            **{spec.name: _property(spec) for spec in template.parameters},
        },
        "additionalProperties": False,
        **_together(rules(template.params)),
    }


def _property(spec: Spec) -> dict[str, Any]:
    forms = [*_forms(spec), {"type": "null"}]
    found: dict[str, Any] = {"description": help_text(spec), "anyOf": forms}
    if spec.default:
        found["default"] = _typed(spec, spec.default)
    if spec.examples:
        found["examples"] = [_typed(spec, each) for each in spec.examples]
    return found


def _forms(spec: Spec) -> list[dict[str, Any]]:
    kind = spec.kind
    if kind.choices:
        return [{"enum": list(kind.choices)}, _REFERENCE]
    if kind.type == "boolean":
        return [{"type": "boolean"}, _REFERENCE]
    text: dict[str, Any] = {"type": "string"}
    if kind.type in ("integer", "number"):
        return [{"type": kind.type, "exclusiveMinimum": 0}, _REFERENCE]
    if kind.separator:
        item = {"type": "string", "pattern": f"^[^{kind.separator}]*$"}
        return [text, {"type": "array", "items": item}]
    return [text | {"pattern": kind.pattern}, _REFERENCE] if kind.pattern else [text]


def _typed(spec: Spec, text: str) -> Any:
    if spec.kind.type == "boolean":
        return text == "true"
    if spec.kind.type in ("integer", "number"):
        return int(text) if text.isdigit() else float(text)
    return text


def _together(declared: list[Rule]) -> dict[str, Any]:
    """Return what the rules forbid; what they demand may be in another file."""
    forbidden = [
        {"not": {"required": [one, other]}}
        for rule in declared
        if isinstance(rule, ExactlyOneOf)
        for one, other in itertools.combinations(rule.names, 2)
    ]
    return {"allOf": forbidden} if forbidden else {}
