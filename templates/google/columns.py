"""A JSON Schema, as Google's YAML templates take it, as columns in BigQuery's form. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from templates.google.declared import Need, Unneeded, Values, named

__all__ = ["JSON_SCHEMA", "SCHEMA", "columns"]

_TYPES = {"boolean": "BOOLEAN", "integer": "INTEGER", "number": "FLOAT", "string": "STRING"}
_FORMATS = {"date": "DATE", "date-time": "TIMESTAMP", "time": "TIME"}
_DEPTH_MAX = 15
"""Of records within records, in BigQuery."""


def _why(values: Values) -> str:
    told = (
        "those of Google's schema are"
        if columns(values["schema"])
        else 'for example [{"name": "id", "type": "STRING"}]'
    )
    return (
        "the columns of the payload, in a file in BigQuery's schema form, for Dataflow on Cloud "
        f"Storage: {told}"
    )


def columns(text: str) -> str:
    """Return the columns as JSON on a line; empty if the schema has what columns can't be."""
    try:
        schema = json.loads(text)
        found = _fields(schema, 0)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return ""
    return json.dumps(found, ensure_ascii=False) if found else ""


def _fields(schema: Mapping[str, Any], depth: int) -> list[dict[str, Any]]:
    if depth > _DEPTH_MAX or _type(schema) != "object":
        raise ValueError(schema)
    return [_field(name, each, depth) for name, each in schema["properties"].items()]


def _field(name: str, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kind = _type(schema)
    if kind == "array":
        inner = _field(name, schema["items"], depth)
        if "mode" in inner:
            raise ValueError(schema)  # a list of lists
        return {**inner, "mode": "REPEATED"}
    if kind == "object":
        return {"name": name, "type": "RECORD", "fields": _fields(schema, depth + 1)}
    form = schema.get("format") if kind == "string" else None
    return {"name": name, "type": _FORMATS.get(str(form), _TYPES[kind])}


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type, whether or not it may be null too."""
    given = schema["type"]
    kinds = [each for each in (given if isinstance(given, list) else [given]) if each != "null"]
    if len(kinds) != 1:
        raise ValueError(schema)
    return str(kinds[0])


JSON_SCHEMA = Unneeded(named("schema"), "it is a JSON Schema; its columns stand in a comment")
SCHEMA = Need(
    "schema", _why, example="schema.json", copied=lambda values: columns(values["schema"])
)  # fmt: skip
