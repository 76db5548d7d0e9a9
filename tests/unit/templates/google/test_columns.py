"""A JSON Schema as columns: those that our parser of schemas takes."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.kinds import SCHEMA_FILE
from templates.google.columns import columns
from templates.google.importing import imported
from templates.google.job import Given, Job
from templates.google.written import file_text

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": ["null", "string"], "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "n": {"type": "integer"},
        "x": {"type": "number"},
        "ok": {"type": "boolean"},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "ünï": {"type": "array", "items": {"type": "object", "properties": {
            "a": {"type": "integer"}}}},
    },
}  # fmt: skip


def test_columns_are_read_as_a_schema(tmp_path: Path) -> None:
    """By the reader of --schema: names and types are those of the JSON Schema."""
    path = tmp_path / "schema.json"
    path.write_text(columns(json.dumps(SCHEMA)))
    schema = SCHEMA_FILE.parse(str(path))
    assert schema.names == list(SCHEMA["properties"])
    assert [schema.field(name).type for name in ("id", "n", "x", "ok", "mail")] == [
        pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.string(),
    ]  # fmt: skip
    assert pa.types.is_timestamp(schema.field("at").type)
    assert pa.types.is_date(schema.field("day").type)
    assert schema.field("place").type.field(0).name == "lat"
    assert pa.types.is_list(schema.field("tags").type)
    assert schema.field("ünï").type.value_type.field(0).type == pa.int64()


@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON", "[]", "5", "{}", '{"type": "string"}', '{"type": "object"}',
        '{"type": "object", "properties": {}}',
        '{"type": "object", "properties": {"a": {"type": ["string", "integer"]}}}',
        '{"type": "object", "properties": {"a": {"$ref": "x"}}}',
        '{"type": "object", "properties": {"a": {"type": "array"}}}',
        ('{"type": "object", "properties": {"a": {"type": "array", "items": {"type": "array",'
        ' "items": {"type": "string"}}}}}'),
        '{"type": "object", "properties": {"a": 1}}',
    ],
)  # fmt: skip
def test_what_has_no_columns_gives_none(text: str) -> None:
    """Whoever imports it writes them."""
    assert columns(text) == ""


@pytest.mark.parametrize("google", ["PubSub_To_Iceberg_Yaml", "PubSub_To_BigQuery_Yaml"])
def test_columns_can_be_copied_from_the_file(google: str, tmp_path: Path) -> None:
    """They stand on a line of their own."""
    path = Path("job.yaml")
    job = Job(path, parameters={"schema": Given(json.dumps(SCHEMA), path, 1)})
    lines = file_text(imported(job, google), "job.yaml", tmp_path).splitlines()
    line = lines[lines.index("# TODO schema: schema.json") - 1]
    assert json.loads(line.removeprefix("# "))[0] == {"name": "id", "type": "STRING"}
