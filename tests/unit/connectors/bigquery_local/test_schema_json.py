"""Table schemas of the REST API: read, shown, and refused."""

from typing import Any

import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.schema_json import fields_from_json, fields_to_json


def test_both_spellings_of_types() -> None:
    """Standard and legacy names mean the same; the legacy one is shown."""
    names = [
        ("INT64", "INTEGER"),
        ("FLOAT64", "FLOAT"),
        ("BOOL", "BOOLEAN"),
        ("DECIMAL", "NUMERIC"),
    ]
    for given, shown in names:
        fields = fields_from_json([{"name": "a", "type": given}])
        assert fields == fields_from_json([{"name": "a", "type": shown}])
        assert fields_to_json(fields) == [{"name": "a", "type": shown, "mode": "NULLABLE"}]


def test_round_trip() -> None:
    """Everything of a field comes back."""
    items = [
        {"name": "s", "type": "STRING", "mode": "REQUIRED", "maxLength": "5", "description": "q"},
        {"name": "n", "type": "NUMERIC", "mode": "NULLABLE", "precision": "5", "scale": "2"},
        {"name": "g", "type": "RANGE", "mode": "NULLABLE", "rangeElementType": {"type": "DATE"}},
        {"name": "w", "type": "TIMESTAMP", "mode": "NULLABLE", "defaultValueExpression": "NOW()"},
        {"name": "r", "type": "RECORD", "mode": "REPEATED",
         "fields": [{"name": "x", "type": "JSON", "mode": "NULLABLE"}]},
    ]  # fmt: skip
    assert fields_to_json(fields_from_json(items)) == items


@pytest.mark.parametrize(("item", "text"), [
    ({"name": "1a", "type": "STRING"}, "Invalid field name"),
    ({"name": "", "type": "STRING"}, "Invalid field name"),
    ({"name": "_PARTITIONTIME", "type": "TIMESTAMP"}, "reserved"),
    ({"name": "a", "type": "INTERVAL"}, "INTERVAL"),
    ({"name": "a", "type": "STRING", "mode": "MAYBE"}, "MAYBE"),
    ({"name": "a", "type": "RECORD"}, "RECORD needs fields"),
    ({"name": "a", "type": "STRING", "fields": [{"name": "b", "type": "STRING"}]}, "only RECORD"),
    ({"name": "a", "type": "RANGE"}, "element type"),
    ({"name": "a", "type": "INTEGER", "maxLength": "3"}, "maxLength"),
    ({"name": "a", "type": "STRING", "precision": "3"}, "precision"),
    ({"name": "a", "type": "NUMERIC", "scale": "3"}, "scale needs"),
])  # fmt: skip
def test_bad_fields(item: dict[str, Any], text: str) -> None:
    """The sentence names the field and the rule."""
    with pytest.raises(Refusal, match=text):
        fields_from_json([item])
