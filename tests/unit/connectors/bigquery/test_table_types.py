"""Types of BigQuery and of Arrow, both ways."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery.table_types import arrow_schema, rest_fields, text_kind
from transforms.errors import ConfigError
from transforms.schema import TYPES, from_bigquery

Kind, Mode = api.TableFieldSchema.Type, api.TableFieldSchema.Mode


def told(*fields: api.TableFieldSchema) -> pa.Schema:
    return arrow_schema(api.TableSchema.pb(api.TableSchema(fields=fields)))


def field(kind: Kind, mode: Mode = Mode.NULLABLE, **more: Any) -> api.TableFieldSchema:
    return api.TableFieldSchema(name="c", type_=kind, mode=mode, **more)


SENT = {
    Kind.STRING: "STRING", Kind.INT64: "INTEGER", Kind.DOUBLE: "FLOAT", Kind.BYTES: "BYTES",
    Kind.BOOL: "BOOLEAN", Kind.TIMESTAMP: "TIMESTAMP", Kind.DATE: "DATE", Kind.TIME: "TIME",
    Kind.DATETIME: "DATETIME", Kind.GEOGRAPHY: "GEOGRAPHY", Kind.NUMERIC: "NUMERIC",
    Kind.BIGNUMERIC: "BIGNUMERIC", Kind.JSON: "JSON",
}  # fmt: skip


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.name)
@pytest.mark.parametrize("mode", list(Mode)[1:], ids=lambda mode: mode.name)
def test_schema_of_the_storage_api_is_that_of_the_json_form(kind: Kind, mode: Mode) -> None:
    """What the server tells and what a schema file says are the same schema."""
    stated = from_bigquery([{"name": "c", "type": SENT[kind], "mode": mode.name}])
    assert told(field(kind, mode)).equals(stated, check_metadata=True)


def test_every_type_of_the_service_is_known() -> None:
    """No type is forgotten: each is a column, a record or a range."""
    assert set(Kind) == {*SENT, Kind.TYPE_UNSPECIFIED, Kind.STRUCT, Kind.INTERVAL, Kind.RANGE}


def test_records_nest() -> None:
    """Modes and types are kept at every depth."""
    inner = api.TableFieldSchema(name="n", type_=Kind.INT64, mode=Mode.REQUIRED)
    schema = told(field(Kind.STRUCT, Mode.REPEATED, fields=[inner]))
    assert schema.field("c").type.value_type == pa.struct([pa.field("n", pa.int64(), False)])


def test_interval_is_text_and_a_range_is_two_times() -> None:
    """The two types that Arrow has no name for are sent as the documentation says."""
    assert text_kind(told(field(Kind.INTERVAL)).field("c")) == "INTERVAL"
    element = api.TableFieldSchema.FieldElementType(type_=Kind.DATE)
    schema = told(field(Kind.RANGE, range_element_type=element))
    assert schema.field("c").type == pa.struct([("start", pa.date32()), ("end", pa.date32())])


def test_unknown_type_is_named() -> None:
    """A type that a later service may have is an error with the column's name."""
    with pytest.raises(ConfigError, match=r"^c='TYPE_UNSPECIFIED'"):
        told(field(Kind.TYPE_UNSPECIFIED))


MADE: dict[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(), "INTEGER": pa.int16(), "FLOAT": pa.float32(), "BYTES": pa.binary(4),
    "STRING": pa.dictionary(pa.int8(), pa.large_string()), "DATE": pa.date64(),
    "TIME": pa.time32("ms"), "TIMESTAMP": pa.timestamp("ns", tz="Asia/Tokyo"),
    "DATETIME": pa.timestamp("s"), "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38), "JSON": pa.json_(),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_rows_become_the_narrowest_type(name: str) -> None:
    """A table that is made has the narrowest type that takes all values."""
    (made,) = rest_fields(pa.schema([pa.field("c", MADE[name])]))
    assert made == {"name": "c", "type": name, "mode": "NULLABLE"}


def test_unsigned_64_bits_need_numeric() -> None:
    """INTEGER has a sign: half of the values would not fit."""
    assert rest_fields(pa.schema([("c", pa.uint64())]))[0]["type"] == "NUMERIC"


@pytest.mark.parametrize("scale", [9, 10])
def test_decimal_is_numeric_as_long_as_it_fits(scale: int) -> None:
    """Nine digits behind the point are NUMERIC's, ten are not."""
    (made,) = rest_fields(pa.schema([("c", pa.decimal128(20, scale))]))
    assert made["type"] == ("NUMERIC" if scale == 9 else "BIGNUMERIC")


@pytest.mark.parametrize(
    "kind",
    [pa.duration("s"), pa.null(), pa.decimal256(76, 0), pa.list_(pa.list_(pa.int64()))],
    ids=str,
)
def test_type_without_a_column_is_refused(kind: pa.DataType) -> None:
    """The error names the place within the row."""
    with pytest.raises(ConfigError, match=r"^r\.c="):
        rest_fields(pa.schema([("r", pa.struct([("c", kind)]))]))


@pytest.mark.parametrize(
    "kind", [kind for kind in TYPES if kind not in ("INT64", "FLOAT64", "BOOL")]
)
@pytest.mark.parametrize("mode", ["NULLABLE", "REQUIRED", "REPEATED"])
def test_there_and_back(kind: str, mode: str) -> None:
    """Rows of a schema file make a table of that schema."""
    fields = [{"name": "c", "type": kind, "mode": mode, "description": "words"}]
    assert rest_fields(from_bigquery(fields)) == fields


def test_map_is_a_repeated_record() -> None:
    """Keys are required, as in Arrow."""
    (made,) = rest_fields(pa.schema([("c", pa.map_(pa.string(), pa.int64()))]))
    assert made["mode"] == "REPEATED"
    assert [(f["name"], f["type"], f["mode"]) for f in made["fields"]] == [
        ("key", "STRING", "REQUIRED"),
        ("value", "INTEGER", "NULLABLE"),
    ]
