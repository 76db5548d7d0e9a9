"""A writer's columns against a table: names, types, missing values, and every bad row named."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.bigquery_local.accepted import ARROW, PROTO
from connectors.bigquery_local.errors import Code, Refusal, RowsRefused, StorageCode
from connectors.bigquery_local.matching import Defaults, Matched, match
from connectors.bigquery_local.schema import Field, Schema, arrow_schema

STREAM = "projects/p/datasets/d/tables/t/streams/s"
NO = Defaults({})
DATES = pa.struct([("start", pa.date32()), ("end", pa.date32())])


def matched(
    schema: Schema, columns: dict[str, Any], rows: str = ARROW, defaults: Defaults = NO
) -> Matched:
    """Return what becomes of columns."""
    return match(pa.RecordBatch.from_pydict(columns), schema, defaults, rows, STREAM)


def values(field: Field, array: pa.Array, rows: str = ARROW) -> list[Any]:
    """Return what a column keeps of an array."""
    return matched((field,), {field.name: array}, rows).rows.column(0).to_pylist()


def bad_rows(field: Field, array: pa.Array, rows: str = ARROW) -> dict[int, str]:
    """Return the rows that are refused, and why."""
    with pytest.raises(RowsRefused) as caught:
        values(field, array, rows)
    return caught.value.rows


def refused(schema: Schema, columns: dict[str, Any], rows: str = ARROW) -> Refusal:
    """Return the refusal of a whole request."""
    with pytest.raises(Refusal) as caught:
        matched(schema, columns, rows)
    assert not isinstance(caught.value, RowsRefused)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value


def test_by_name_without_case_in_the_order_of_the_table() -> None:
    """Order and case of the writer don't matter; what it lacks is NULL, or an empty array."""
    schema = (Field("Id", "INT64"), Field("name", "STRING"), Field("tags", "STRING", "REPEATED"))
    found = matched(schema, {"NAME": ["a", None], "iD": pa.array([1, 2], pa.int8())})
    assert found.rows.schema.equals(arrow_schema(schema))
    assert found.rows.to_pylist() == [
        {"Id": 1, "name": "a", "tags": []},
        {"Id": 2, "name": None, "tags": []},
    ]


def test_extra_columns() -> None:
    """The refusal has the code of the Storage API and names the columns."""
    refusal = refused((Field("a", "INT64"),), {"a": [1], "b": [1], "c": [1]})
    assert refusal.storage is StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS
    assert "extra fields: 'b', 'c'" in str(refusal)


def test_extra_fields_inside_a_record() -> None:
    """They are extra fields as well."""
    schema = (Field("r", "STRUCT", fields=(Field("x", "INT64"),)),)
    refusal = refused(schema, {"r": [{"x": 1, "y": 2}]})
    assert refusal.storage is StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS
    assert "'r.y'" in str(refusal)


def test_required_column_that_the_writer_lacks() -> None:
    """No row can be right: the request is refused, not its rows."""
    schema = (Field("a", "INT64"), Field("b", "INT64", "REQUIRED"))
    assert "REQUIRED" in str(refused(schema, {"a": [1]}))


@pytest.mark.parametrize(("field", "array", "expected"), [
    (Field("c", "STRING"), pa.array(["é"], pa.large_string()), ["é"]),
    (Field("c", "BYTES"), pa.array([b"ab"], pa.binary(2)), [b"ab"]),
    (Field("c", "FLOAT64"), pa.array([1.5], pa.float32()), [1.5]),
    (Field("c", "BOOL"), pa.array([True]), [True]),
    (Field("c", "NUMERIC"), pa.array([Decimal("1.50")], pa.decimal128(10, 2)), [Decimal("1.5")]),
    (Field("c", "NUMERIC"), pa.array([Decimal(1)], pa.decimal256(70, 20)), [Decimal(1)]),
    (Field("c", "BIGNUMERIC"), pa.array([Decimal("1.50")], pa.decimal256(76, 38)), ["1.5"]),
    (Field("c", "TIMESTAMP"), pa.array([1], pa.timestamp("ms", "UTC")),
     [dt.datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=dt.timezone.utc)]),
    (Field("c", "DATETIME"), pa.array([1], pa.timestamp("s")), [dt.datetime(1970, 1, 1, 0, 0, 1)]),
    (Field("c", "DATE"), pa.array([1], pa.date32()), [dt.date(1970, 1, 2)]),
    (Field("c", "TIME"), pa.array([1], pa.time64("us")), [dt.time(0, 0, 0, 1)]),
    (Field("c", "JSON"), pa.array(["[1]"]), ["[1]"]),
    (Field("c", "INT64", "REPEATED"), pa.array([[1, 2], None, []]), [[1, 2], [], []]),
    (Field("c", "RANGE", range_of="DATE"), pa.array([{"start": dt.date(2024, 1, 1)}], DATES),
     [{"start": dt.date(2024, 1, 1), "end": None}]),
])  # fmt: skip
def test_arrow_types(field: Field, array: pa.Array, expected: list[Any]) -> None:
    """What the service's table of Arrow types names is taken."""
    assert values(field, array) == expected


@pytest.mark.parametrize(("kind", "array"), [
    ("STRING", pa.array([1])), ("INT64", pa.array(["1"])), ("INT64", pa.array([1], pa.uint64())),
    ("INT64", pa.array([1.0])), ("BYTES", pa.array(["a"])), ("BOOL", pa.array([1])),
    ("NUMERIC", pa.array(["1"])), ("DATE", pa.array(["2024-01-01"])),
    ("TIMESTAMP", pa.array([1], pa.timestamp("us"))), ("TIMESTAMP", pa.array([1])),
    ("TIMESTAMP", pa.array([1], pa.timestamp("ns", "UTC"))),
    ("DATETIME", pa.array([1], pa.timestamp("us", "UTC"))), ("TIME", pa.array([1], pa.time32("s"))),
    ("STRING", pa.array(["a"]).dictionary_encode()), ("STRING", pa.array([["a"]])),
])  # fmt: skip
def test_arrow_types_that_do_not_fit(kind: str, array: pa.Array) -> None:
    """The sentence names the column and both types."""
    assert f"mismatched with BigQuery field at c, the arrow field type {array.type}" in str(
        refused((Field("c", kind),), {"c": array})
    )


@pytest.mark.parametrize(("kind", "array", "expected"), [
    ("BOOL", pa.array([0, 2]), [False, True]),
    ("NUMERIC", pa.array(["1.5", "-2"]), [Decimal("1.5"), Decimal(-2)]),
    ("NUMERIC", pa.array([0.1]), [Decimal("0.1")]),
    ("NUMERIC", pa.array([5]), [Decimal(5)]),
    ("BIGNUMERIC", pa.array([b"\x01"]), ["0.00000000000000000000000000000000000001"]),
    ("TIMESTAMP", pa.array([1]), [dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=dt.timezone.utc)]),
    ("DATETIME", pa.array(["2024-01-01T10:00:00"]), [dt.datetime(2024, 1, 1, 10)]),
    ("DATE", pa.array([1], pa.int32()), [dt.date(1970, 1, 2)]),
    ("DATE", pa.array(["2024-01-01"]), [dt.date(2024, 1, 1)]),
    ("TIME", pa.array(["10:00:00"]), [dt.time(10)]),
    ("BYTES", pa.array(["ab"]), [b"ab"]),
])  # fmt: skip
def test_proto_types(kind: str, array: pa.Array, expected: list[Any]) -> None:
    """Protocol buffers have fewer types: numbers and text stand for the others."""
    assert values(Field("c", kind), array, PROTO) == expected


@pytest.mark.parametrize(("field", "array", "rows", "bad", "text"), [
    (Field("c", "INT64", "REQUIRED"), pa.array([1, None, 3, None]), ARROW, [1, 3], "REQUIRED"),
    (Field("c", "STRING", max_length=2), pa.array(["ab", "abc", "éé"]), ARROW, [1],
     r"STRING\(2\) has maximum length 2 but got a value with length 3"),
    (Field("c", "BYTES", max_length=2), pa.array([b"ab", b"abc"]), ARROW, [1], "length 3"),
    (Field("c", "JSON"), pa.array(["{}", "{", None]), ARROW, [1], "Invalid JSON"),
    (Field("c", "GEOGRAPHY"), pa.array(["POINT(1 2)", "x"]), ARROW, [1], "Invalid geography"),
    (Field("c", "NUMERIC"), pa.array([Decimal("1e30"), Decimal(1)], pa.decimal256(40, 0)), ARROW,
     [0], "out of range"),
    (Field("c", "NUMERIC", precision=3, scale=1), pa.array([Decimal("1.5"), Decimal("100.0")]),
     ARROW, [1], "out of range"),
    (Field("c", "DATE"), pa.array([0, 2_932_897], pa.date32()), ARROW, [1], "out of range"),
    (Field("c", "TIMESTAMP"), pa.array([0, 2**62], pa.timestamp("us", "UTC")), ARROW, [1],
     "out of range"),
    (Field("c", "TIMESTAMP"), pa.array([0, 2**62], pa.timestamp("s", "UTC")), ARROW, [1],
     "out of range"),
    (Field("c", "INT64", "REPEATED"), pa.array([[1], [2, None], None, [None]]), ARROW, [1, 3],
     "cannot have a NULL element"),
    (Field("c", "JSON", "REPEATED"), pa.array([["{}"], ["1", "{"], []]), ARROW, [1], "JSON"),
    (Field("c", "RANGE", range_of="DATE"), pa.array([
        {"start": dt.date(2024, 1, 2), "end": dt.date(2024, 1, 1)}, {"start": None, "end": None}]),
     ARROW, [0], "before its end"),
    (Field("c", "DATETIME"), pa.array(["2024-01-01 00:00:00", "x"]), PROTO, [1], "datetime"),
    (Field("c", "NUMERIC"), pa.array(["1", "x"]), PROTO, [1], "Invalid NUMERIC"),
])  # fmt: skip
def test_bad_rows(field: Field, array: pa.Array, rows: str, bad: list[int], text: str) -> None:
    """Each bad row is named with its reason, and only those."""
    found = bad_rows(field, array, rows)
    assert list(found) == bad
    for reason in found.values():
        assert re.search(text, reason), reason


def test_required_inside_records() -> None:
    """A NULL record requires nothing; one that is there requires its fields."""
    inner = Field("r", "STRUCT", fields=(Field("x", "INT64", "REQUIRED"), Field("y", "INT64")))
    kind = pa.struct([("x", pa.int64()), ("y", pa.int64())])
    rows = pa.array([{"x": 1}, None, {"x": None}, {"y": 1}], kind)
    assert list(bad_rows(inner, rows)) == [2, 3]
    assert values(inner, rows.slice(0, 2)) == [{"x": 1, "y": None}, None]


def test_rows_of_nested_arrays_are_those_of_the_request() -> None:
    """However deep a bad value is, the index is that of its row."""
    leaf = Field("x", "STRING", max_length=1)
    field = Field("r", "STRUCT", "REPEATED", (Field("s", "STRUCT", "REPEATED", (leaf,)),))
    rows = pa.array([[], [{"s": [{"x": "a"}]}, {"s": []}], [{"s": [{"x": "a"}, {"x": "ab"}]}]])
    found = bad_rows(field, rows)
    assert list(found) == [2]
    assert "r.s.x" in found[2]


def test_every_column_is_checked() -> None:
    """Rows that are bad in different columns come in one answer."""
    schema = (Field("a", "JSON"), Field("b", "JSON"))
    with pytest.raises(RowsRefused) as caught:
        matched(schema, {"a": ["1", "1", "{"], "b": ["{", "1", "{"]})
    assert list(caught.value.rows) == [0, 2]
    assert "Field a" in caught.value.rows[2]


DEFAULTED = (Field("a", "INT64"), Field("b", "INT64", default="7"),
             Field("c", "INT64", "REQUIRED", default="8"))  # fmt: skip


def test_columns_that_the_writer_lacks_take_their_default() -> None:
    """Whatever the request says of missing values."""
    assert matched(DEFAULTED, {"a": [1]}).filled == {"b": "7", "c": "8"}


def test_missing_values_are_null_unless_asked_otherwise() -> None:
    """A column that the writer has and a row has not is NULL, or the default value on request."""
    columns = {"a": [1], "b": pa.array([None], pa.int64()), "c": [1]}
    assert matched(DEFAULTED, columns).filled == {}
    assert matched(DEFAULTED, columns, defaults=Defaults({"b": True})).filled == {"b": "7"}
    every = Defaults({"b": False}, others=True)
    assert matched(DEFAULTED, columns, defaults=every).filled == {"c": "8"}


def test_required_with_a_default_value_may_be_missing() -> None:
    """It is filled before it is needed."""
    columns = {"a": [1], "c": pa.array([None], pa.int64())}
    assert matched(DEFAULTED, columns, defaults=Defaults({"c": True})).filled["c"] == "8"
    with pytest.raises(RowsRefused):
        matched(DEFAULTED, columns)


def test_changes_come_in_protocol_buffers_only() -> None:
    """The pseudo columns are split off; Arrow is not supported with them."""
    columns = {"a": [1], "_change_type": ["UPSERT"], "_CHANGE_SEQUENCE_NUMBER": ["1"]}
    found = matched((Field("a", "INT64"),), columns, PROTO)
    assert (found.change_types, found.sequences) == (["UPSERT"], ["1"])
    assert found.rows.schema.names == ["a"]
    assert "Arrow is not supported" in str(refused((Field("a", "INT64"),), columns))
