"""The schemas tell an editor what our own checks will say."""

from typing import Any

import jsonschema
import pytest
import yaml

from templates.catalogue import TEMPLATES, Template, find
from templates.derived.json_schema import json_schema
from tests.commands import ROOT

GOOD: dict[str, Any] = {
    "subscription": "projects/demo/subscriptions/flights",
    "schema": "flights.json",
    "output": "./lake",
    "dead_letter": "./dead",
}


def mistakes(template: Template, values: dict[str, Any]) -> list[str]:
    found = jsonschema.Draft7Validator(json_schema(template)).iter_errors(values)
    return [each.message for each in found]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_schema_is_one(template: Template) -> None:
    """It keeps the rules of JSON Schema, and takes its own defaults and examples."""
    schema = json_schema(template)
    jsonschema.Draft7Validator.check_schema(schema)
    for name, about in schema["properties"].items():
        texts = [*about.get("examples", []), *([about["default"]] if "default" in about else [])]
        assert [each for text in texts for each in mistakes(template, {name: text})] == []


def test_the_example_is_good() -> None:
    """The file of the first page passes."""
    values = yaml.safe_load((ROOT / "examples" / "flights.yaml").read_text())
    assert mistakes(find("pubsub_to_lake"), values) == []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"dedup_by": ["a", "b"]},
        {"dedup_by": "a,b"},
        {"shards": 4},
        {"shards": "${env:SHARDS}"},
        {"output": "${secret:projects/p/secrets/s}"},
        {"add_columns": True},
        {"window": None},
        {"output": None},
    ],
)
def test_values_that_we_take_pass(change: dict[str, Any]) -> None:
    """Lists, booleans, references, and null in an overlay."""
    assert mistakes(find("pubsub_to_lake"), GOOD | change) == []


@pytest.mark.parametrize(
    "change",
    [
        {"windw": "1h"},
        {"window": "5x"},
        {"shards": "4"},
        {"shards": 0},
        {"shards": 1.5},
        {"add_columns": "yes"},
        {"dedup_by": ["a,b"]},
        {"dedup_by": [1]},
        {"table_format": "orc"},
        {"subscription": "projects/demo/topics/flights"},
        {"topic": "projects/demo/topics/flights"},
    ],
)
def test_mistakes_do_not(change: dict[str, Any]) -> None:
    """An editor shows them while one types."""
    assert mistakes(find("pubsub_to_lake"), GOOD | change)
