"""Schemas in BigQuery's form: every type, every mode, and every mistake with its place."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from transforms.errors import ConfigError
from transforms.schema import (
    BIGQUERY_TYPE,
    DESCRIPTION,
    TYPES,
    from_bigquery,
    from_json,
    holds_json,
)


def field(**properties: Any) -> dict[str, Any]:
    """Return a field in BigQuery's form."""
    return {"name": "a", "type": "STRING"} | properties


@pytest.mark.parametrize(("name", "arrow_type"), TYPES.items())
def test_each_type_has_its_arrow_type_in_any_case(name: str, arrow_type: pa.DataType) -> None:
    """The name of a type may be written in upper or lower case."""
    for written in (name, name.lower()):
        (made,) = from_bigquery([field(type=written)])
        assert made.type == arrow_type
        assert made.nullable


def test_types_hold_what_the_warehouse_holds() -> None:
    """Times have microseconds, timestamps are in UTC, decimals have BigQuery's digits."""
    assert TYPES["TIMESTAMP"] == pa.timestamp("us", tz="UTC")
    assert TYPES["DATETIME"] == pa.timestamp("us")
    assert TYPES["NUMERIC"] == pa.decimal128(38, 9)
    assert TYPES["BIGNUMERIC"] == pa.decimal256(76, 38)


def test_modes() -> None:
    """REQUIRED and REPEATED allow no null, neither do the items of a list."""
    modes = [field(name=mode, mode=mode) for mode in ("NULLABLE", "REQUIRED", "REPEATED")]
    nullable, required, repeated = from_bigquery(modes)
    assert (nullable.nullable, required.nullable, repeated.nullable) == (True, False, False)
    assert repeated.type == pa.list_(pa.field("item", pa.string(), nullable=False))


@pytest.mark.parametrize("name", ["RECORD", "STRUCT"])
def test_records_nest(name: str) -> None:
    """A record is a struct, a repeated one a list of structs."""
    inner = {"name": "b", "type": "INT64", "mode": "REQUIRED"}
    (made,) = from_bigquery([field(type=name, mode="REPEATED", fields=[inner])])
    assert made.type.value_type == pa.struct([pa.field("b", pa.int64(), nullable=False)])


def test_description_and_json_are_kept_as_metadata() -> None:
    """A description stays with its field; JSON is a string that knows it, repeated JSON too."""
    fields = [field(description="Größe"), field(name="b", type="JSON", mode="REPEATED")]
    described, repeated = from_bigquery(fields)
    assert described.metadata == {DESCRIPTION: "Größe".encode()}
    assert not holds_json(described)
    assert repeated.type.value_field.metadata == {BIGQUERY_TYPE: b"JSON"}
    assert holds_json(repeated.type.value_field)
    assert not holds_json(repeated)


@pytest.mark.parametrize("wrap", [lambda fields: fields, lambda fields: {"fields": fields}])
def test_text_is_a_list_or_an_object_with_fields(wrap: Any) -> None:
    """Both forms in which BigQuery's tools write schemas are read."""
    assert from_json(json.dumps(wrap([field()]))) == pa.schema([("a", pa.string())])


RECORD = {"name": "r", "type": "RECORD"}


@pytest.mark.parametrize(
    ("fields", "place", "rule"),
    [
        ([], "schema=", "must be a list of at least one field"),
        ({}, "schema=", "must be a list"),
        (None, "schema: ", "must be a list"),
        (["a"], "schema[0]=", "must be an object"),
        ([{"type": "STRING"}], "schema[0].name: ", "must be 1 to 300 characters"),
        ([field(name="")], "schema[0].name=", "must be 1 to 300 characters"),
        ([field(name="x" * 301)], "schema[0].name=", "must be 1 to 300 characters"),
        ([field(name="a.b")], "schema[0].name='a.b'", "none of them of"),
        ([field(name=5)], "schema[0].name=5", "must be 1 to 300 characters"),
        ([field(name="_message")], "schema[0].name=", "is reserved"),
        ([field(), field(name="A")], "schema[1].name='A'", "is taken by field 0"),
        ([{"name": "a"}], "schema[0].type: ", "is not known"),
        ([field(type="INTEGR")], "schema[0].type='INTEGR'", "is not known"),
        ([field(type=["STRING"])], "schema[0].type=", "is not known"),
        ([field(mode="OPTIONAL")], "schema[0].mode='OPTIONAL'", "Use one of NULLABLE, REQUIRED"),
        ([field(description=1)], "schema[0].description=", "must be text"),
        ([field(fields=[field()])], "schema[0].fields=", "a STRING has no fields"),
        ([RECORD], "schema[0].fields: ", "must be a list of at least one field"),
        (
            [field(), RECORD | {"fields": [field(type="X")]}],
            "schema[1].fields[0].type='X'",
            "is not",
        ),
    ],
)
def test_mistake_is_refused_with_its_place(fields: Any, place: str, rule: str) -> None:
    """The error names the path of the field, the value, the rule and the fix."""
    with pytest.raises(ConfigError) as caught:
        from_bigquery(fields)
    assert str(caught.value).startswith(place)
    assert rule in str(caught.value)


@pytest.mark.parametrize("text", ["", "[", "{'a': 1}", "[" * 100_000])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    """A broken file is a clear error, however broken."""
    with pytest.raises(ConfigError, match="must be JSON"):
        from_json(text)


@pytest.mark.parametrize("text", ["5", '"a"', "null", '{"schema": []}', "[]", '{"fields": {}}'])
def test_json_that_is_no_schema_is_refused(text: str) -> None:
    """Valid JSON of another shape is refused."""
    with pytest.raises(ConfigError, match="must be a list of at least one field"):
        from_json(text)


def test_depth_is_limited_as_in_the_warehouse() -> None:
    """Fifteen levels of records are allowed, not sixteen."""
    nested = field()
    for _ in range(15):
        nested = RECORD | {"fields": [nested]}
    from_bigquery([nested])
    with pytest.raises(ConfigError, match="15 levels"):
        from_bigquery([RECORD | {"fields": [nested]}])
