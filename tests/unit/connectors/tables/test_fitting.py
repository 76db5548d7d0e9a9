"""Whether rows fit into a table, and how they are made to."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.tables.fitting import check, fit, missing, plain, storable
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

TABLE = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("text", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("list", pa.list_(pa.field("element", pa.int64()))),
        ("x", pa.float64()),
        ("money", pa.decimal128(38, 9)),
    ]
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("id", pa.int32()), ("text", pa.large_string()), ("text", pa.string_view()),
     ("at", pa.timestamp("s", "UTC")), ("at", pa.timestamp("us", "+01:00")),
     ("list", pa.large_list(pa.int16())), ("x", pa.float32()), ("id", pa.uint32()),
     ("text", pa.dictionary(pa.int32(), pa.string())), ("money", pa.decimal128(18, 9))],
)  # fmt: skip
def test_a_type_that_the_tables_type_holds_fits(name: str, kind: pa.DataType) -> None:
    """Narrower numbers, coarser times and other forms of the same values."""
    rows = (
        pa.schema([(name, kind)]) if name == "id" else pa.schema([TABLE.field("id"), (name, kind)])
    )
    check(rows, TABLE, "t", add_columns=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("id", pa.float64()), ("id", pa.string()), ("id", pa.uint64()), ("text", pa.int64()),
     ("at", pa.timestamp("us")), ("at", pa.date32()), ("list", pa.int64()), ("x", pa.int64()),
     ("x", pa.bool_()), ("money", pa.decimal256(76, 38)), ("list", pa.list_(pa.string()))],
)  # fmt: skip
def test_a_type_that_the_tables_type_does_not_hold_is_refused(name: str, kind: pa.DataType) -> None:
    """The error names the column and both types."""
    rows = pa.schema([pa.field(name, kind), TABLE.field("id")][: 1 if name == "id" else 2])
    with pytest.raises(ConfigError) as refused:
        check(rows, TABLE, "./lake", add_columns=True)
    assert f"{name}: {kind}" in str(refused.value)
    assert str(TABLE.field(name).type) in str(refused.value)
    assert "./lake" in str(refused.value)


def test_a_column_more_is_refused_or_added() -> None:
    """It is up to the option; either way the table's other columns may be missing from the rows."""
    rows = pa.schema([TABLE.field("id"), ("new", pa.string())])
    with pytest.raises(ConfigError, match=r"new: string.*no column of the table"):
        check(rows, TABLE, "t", add_columns=False)
    check(rows, TABLE, "t", add_columns=True)
    assert missing(rows, TABLE) == [pa.field("new", pa.string())]


def test_a_required_column_must_be_there() -> None:
    """Its absence is told before the first row."""
    with pytest.raises(ConfigError, match=r"id: int64.*required"):
        check(pa.schema([("text", pa.string())]), TABLE, "t", add_columns=False)


def test_rows_get_the_columns_of_the_table() -> None:
    """In its order and types; what they lack is null."""
    rows = Batch(pa.record_batch({"list": pa.array([[1], None], pa.large_list(pa.int16())),
                                  "id": pa.array([1, 2], pa.int32())}))  # fmt: skip
    found = fit(rows, TABLE)
    assert found.schema.equals(TABLE)
    assert found.to_pylist()[0] == {
        "id": 1, "text": None, "at": None, "list": [1], "x": None, "money": None,
    }  # fmt: skip


def test_rows_that_fit_are_not_copied() -> None:
    """Their buffers are those of the table's rows."""
    schema = pa.schema([pa.field("id", pa.int64(), metadata={"PARQUET:field_id": "1"})])
    rows = Batch(pa.record_batch({"id": [1, 2, 3]}))
    found = fit(rows, schema)
    assert found.column("id").buffers()[1].address == rows.column("id").buffers()[1].address
    assert found.schema.field("id").metadata == {b"PARQUET:field_id": b"1"}


def test_a_null_that_the_table_forbids_is_refused() -> None:
    """The error tells the column, how many, and two ways out."""
    with pytest.raises(PermanentError, match=r"id is null in 2 rows.*dead letter"):
        fit(Batch(pa.record_batch({"id": pa.array([None, 1, None], pa.int64())})), TABLE)


def test_a_value_that_does_not_fit_is_refused() -> None:
    """A cast never changes a value."""
    rows = Batch(pa.record_batch({"id": [1], "at": pa.array([2**62], pa.timestamp("s", "UTC"))}))
    with pytest.raises(PermanentError, match="at: a value is no"):
        fit(rows, TABLE)


@pytest.mark.parametrize(
    "kind", [pa.uint64(), pa.decimal256(76, 38), pa.float16(), pa.duration("s"), pa.null(),
             pa.list_(pa.float16()), pa.struct([("a", pa.uint64())]),
             pa.map_(pa.string(), pa.null())],
)  # fmt: skip
def test_what_no_table_holds_is_refused(kind: pa.DataType) -> None:
    """At any depth; the error names column and type."""
    assert plain(kind) is None
    with pytest.raises(ConfigError, match="odd: "):
        storable(pa.schema([("odd", kind)]), times=True, bytes_min=1)


def test_formats_differ_in_times_and_small_integers() -> None:
    """Delta Lake has no time of day, Iceberg no integer of two bytes."""
    rows = pa.schema([("small", pa.int16()), ("time", pa.time32("ms"))])
    with pytest.raises(ConfigError, match="time: time32"):
        storable(rows, times=False, bytes_min=1)
    nested = pa.schema([("s", pa.struct([("t", pa.time64("us"))]))])
    with pytest.raises(ConfigError, match="s: struct"):
        storable(nested, times=False, bytes_min=1)
    assert storable(rows, times=True, bytes_min=4) == pa.schema(
        [("small", pa.int32()), ("time", pa.time64("us"))]
    )
    assert storable(rows.remove(1), times=False, bytes_min=1) == rows.remove(1)
