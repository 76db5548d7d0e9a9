"""Arrow values to columns of BigQuery: what is cast, what is refused, and which row it was."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bigquery.casting import converter
from transforms.errors import ConfigError
from transforms.schema import BIGQUERY_TYPE

UTC = pa.timestamp("us", tz="UTC")
NUMERIC, BIGNUMERIC = pa.decimal128(38, 9), pa.decimal256(76, 38)
JSON = {BIGQUERY_TYPE: "JSON"}
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)


def column(kind: pa.DataType, *, nullable: bool = True, metadata: Any = None) -> pa.Field:
    return pa.field("c", kind, nullable=nullable, metadata=metadata)


def repeated(item: pa.DataType) -> pa.Field:
    return column(pa.list_(pa.field("item", item, nullable=False)), nullable=False)


def convert(values: pa.Array, to: pa.Field) -> tuple[list[Any], dict[int, str]]:
    """Return what is sent and the kinds of the faults; types are checked on the way."""
    cast = converter(values.type, to, "c")(values)
    cast.values.validate(full=True)
    assert len(cast.values) == len(values)
    return cast.values.to_pylist(), {row: kind for row, (kind, _) in cast.faults.items()}


CASTS: dict[str, tuple[pa.Array, pa.DataType]] = {
    "int8": (pa.array([1, None], pa.int8()), pa.int64()),
    "int32": (pa.array([1, None], pa.int32()), pa.int64()),
    "uint16": (pa.array([1, None], pa.uint16()), pa.int64()),
    "float32": (pa.array([1.5, None], pa.float32()), pa.float64()),
    "integer to float": (pa.array([3, None], pa.int64()), pa.float64()),
    "integer to numeric": (pa.array([3, None], pa.int64()), NUMERIC),
    "decimal": (pa.array([decimal.Decimal("1.25"), None], pa.decimal128(5, 2)), NUMERIC),
    "big decimal": (pa.array([decimal.Decimal("1.25"), None], pa.decimal128(38, 2)), BIGNUMERIC),
    "large string": (pa.array(["x", None], pa.large_string()), pa.string()),
    "string view": (pa.array(["x", None], pa.string_view()), pa.string()),
    "dictionary": (pa.array(["x", None, "x"]).dictionary_encode(), pa.string()),
    "large binary": (pa.array([b"x", None], pa.large_binary()), pa.binary()),
    "fixed binary": (pa.array([b"xy", None], pa.binary(2)), pa.binary()),
    "milliseconds": (pa.array([NOON, None], pa.timestamp("ms", tz="UTC")), UTC),
    "other zone": (pa.array([NOON, None], pa.timestamp("us", tz="Europe/Berlin")), UTC),
    "date64": (pa.array([dt.date(2026, 1, 1), None], pa.date64()), pa.date32()),
    "time32": (pa.array([dt.time(1, 2, 3), None], pa.time32("s")), pa.time64("us")),
    "nulls": (pa.nulls(2), pa.string()),
}


@pytest.mark.parametrize("name", CASTS)
def test_value_is_the_same_in_the_columns_type(name: str) -> None:
    """Width, unit and layout change, the value doesn't; a slice is cast as a slice."""
    values, to = CASTS[name]
    made = converter(values.type, column(to), "c")(values)
    assert made.values.type == to
    assert made.faults == {}
    assert [_plain(value) for value in made.values.to_pylist()] == [
        _plain(value) for value in values.to_pylist()
    ]
    assert converter(values.type, column(to), "c")(values[1:]).values.equals(made.values[1:])


def _plain(value: Any) -> Any:
    return value.astimezone(dt.timezone.utc) if isinstance(value, dt.datetime) else value


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.string(), pa.bool_(), pa.float64(), pa.binary(), NUMERIC], ids=str
)
def test_same_type_is_not_copied(kind: pa.DataType) -> None:
    """What the column takes as it is goes through untouched."""
    values = pa.nulls(3, kind)
    assert converter(kind, column(kind), "c")(values).values is values


REFUSED: dict[str, tuple[pa.DataType, pa.DataType]] = {
    "text to time": (pa.string(), UTC),
    "text to number": (pa.string(), pa.int64()),
    "number to text": (pa.int64(), pa.string()),
    "float to numeric": (pa.float64(), NUMERIC),
    "float to integer": (pa.float64(), pa.int64()),
    "no zone to zone": (pa.timestamp("us"), UTC),
    "zone to no zone": (UTC, pa.timestamp("us")),
    "bool to integer": (pa.bool_(), pa.int64()),
    "bytes to text": (pa.binary(), pa.string()),
    "list to one": (pa.list_(pa.int64()), pa.int64()),
    "duration": (pa.duration("s"), pa.int64()),
    "struct to text": (pa.struct([("a", pa.int64())]), pa.string()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_type_is_refused(name: str) -> None:
    """No type is made of another one by guessing; the error names the column and both types."""
    source, to = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        converter(source, column(to), "c")
    assert caught.value.name == "c"
    assert str(source) in str(caught.value)
    assert str(to) in str(caught.value)


def test_one_value_for_a_repeated_column_is_refused() -> None:
    """A column of lists takes lists."""
    with pytest.raises(ConfigError, match="REPEATED"):
        converter(pa.int64(), repeated(pa.int64()), "c")


OUT_OF_RANGE: dict[str, tuple[pa.Array, pa.DataType]] = {
    "uint64": (pa.array([1, 2**64 - 1, 2], pa.uint64()), pa.int64()),
    "numeric": (
        pa.array([decimal.Decimal(n) for n in ("1", "9" * 30, "2")], pa.decimal128(38, 0)),
        NUMERIC,
    ),
    "digits behind the point": (
        pa.array([decimal.Decimal(n) for n in ("1", "1e-10", "2")], pa.decimal128(20, 10)),
        NUMERIC,
    ),
    "date": (pa.array([0, 2_932_897, 1], pa.int32()).cast(pa.date32()), pa.date32()),
    "timestamp": (pa.array([0, -62_135_596_800_000_001, 1]).cast(UTC), UTC),
    "seconds": (pa.array([0, 2**60, 1]).cast(pa.timestamp("s", tz="UTC")), UTC),
    "integer as float": (pa.array([1, 2**53 + 1, 2]), pa.float64()),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_value_out_of_range_is_named_by_its_row(name: str) -> None:
    """One value that the column can't hold costs its row, not its neighbours."""
    values, to = OUT_OF_RANGE[name]
    cast = converter(values.type, column(to), "c")(values)
    assert [(row, kind) for row, (kind, _) in cast.faults.items()] == [(1, "out_of_range")]
    assert "$.c" in cast.faults[1][1]
    assert cast.values[::2].null_count == 0


def test_edges_of_time_are_taken() -> None:
    """The first and the last day and microsecond of BigQuery's calendar are no faults."""
    edges = pa.array([-62_135_596_800_000_000, 253_402_300_799_999_999]).cast(UTC)
    assert convert(edges, column(UTC))[1] == {}
    days = pa.array([-719_162, 2_932_896], pa.int32()).cast(pa.date32())
    assert convert(days, column(pa.date32()))[1] == {}


def test_nanoseconds_are_cut_off() -> None:
    """Digits beyond the column's unit are dropped, as everywhere in Headrace."""
    values = pa.array([1_999]).cast(pa.timestamp("ns"))
    made, faults = convert(values, column(pa.timestamp("us")))
    assert (made[0].microsecond, faults) == (1, {})


def test_null_in_a_required_column_is_a_fault() -> None:
    """BigQuery would refuse it; here it costs no round trip."""
    assert convert(pa.array([1, None, 3]), column(pa.int64(), nullable=False))[1] == {
        1: "missing_field"
    }


def test_null_list_becomes_an_empty_one() -> None:
    """An array of BigQuery is never null; a slice has its own lists only."""
    values = pa.array([[1], None, [], [2, 3]], pa.list_(pa.int32()))
    assert convert(values, repeated(pa.int64())) == ([[1], [], [], [2, 3]], {})
    assert convert(values[1:], repeated(pa.int64())) == ([[], [], [2, 3]], {})


@pytest.mark.parametrize(
    "kind", [pa.large_list(pa.int64()), pa.list_(pa.int64(), 2), pa.list_view(pa.int64())], ids=str
)
def test_every_layout_of_lists_is_taken(kind: pa.DataType) -> None:
    """Large, fixed and viewed lists are lists."""
    values = pa.array([[1, 2], [3, 4]], kind)
    assert convert(values, repeated(pa.int64())) == ([[1, 2], [3, 4]], {})


def test_null_in_a_list_is_a_fault_of_its_row() -> None:
    """BigQuery writes no array with a null in it; the right row is named, also with empty lists."""
    values = pa.array([[], [1], None, [], [2, None], [3]], pa.list_(pa.int64()))
    assert convert(values, repeated(pa.int64()))[1] == {4: "missing_field"}


def test_record_is_matched_by_name_at_every_depth() -> None:
    """Order and case of names don't matter; what a record lacks is left to BigQuery."""
    values = pa.array(
        [{"B": "x", "a": 1}, None], pa.struct([("B", pa.large_string()), ("a", pa.int8())])
    )
    to = pa.struct([("A", pa.int64()), ("b", pa.string()), ("more", pa.string())])
    assert convert(values, column(to)) == ([{"b": "x", "A": 1}, None], {})


def test_required_field_counts_only_where_its_record_is() -> None:
    """A record that is null lacks nothing."""
    values = pa.array([{"a": 1}, None, {"a": None}], pa.struct([("a", pa.int64())]))
    to = pa.struct([pa.field("a", pa.int64(), nullable=False)])
    assert convert(values, column(to))[1] == {2: "missing_field"}
    assert convert(values[1:], column(to))[1] == {1: "missing_field"}


def test_fault_within_a_record_names_its_path() -> None:
    """The reason says where in the row the value is."""
    values = pa.array([{"a": [2**64 - 1]}], pa.struct([("a", pa.list_(pa.uint64()))]))
    item = pa.field("item", pa.int64(), nullable=False)
    to = column(pa.struct([pa.field("a", pa.list_(item), nullable=False)]))
    cast = converter(values.type, to, "c")(values)
    assert cast.faults[0][0] == "out_of_range"
    assert "$.c.a[]" in cast.faults[0][1]


def test_unknown_field_of_a_record_is_refused() -> None:
    """A field that the table lacks would be lost: the error says which and what there is."""
    with pytest.raises(ConfigError, match=r"c\.b.*is no column.*has a"):
        converter(
            pa.struct([("a", pa.int64()), ("b", pa.int64())]),
            column(pa.struct([("a", pa.int64())])), "c",
        )  # fmt: skip


PAIRS = pa.array([[("a", "1"), ("b", 'é"')], None, []], pa.map_(pa.string(), pa.string()))


def test_map_becomes_entries() -> None:
    """Attributes in a repeated record of key and value; a null map has none."""
    entry = pa.struct([pa.field("key", pa.string(), nullable=False), ("value", pa.string())])
    expected = [[{"key": "a", "value": "1"}, {"key": "b", "value": 'é"'}], [], []]
    assert convert(PAIRS, repeated(entry)) == (expected, {})
    assert convert(PAIRS[1:], repeated(entry)) == (expected[1:], {})


def test_map_becomes_json() -> None:
    """Attributes in a JSON column are an object."""
    made, faults = convert(PAIRS, column(pa.string(), metadata=JSON))
    assert (made, faults) == (['{"a":"1","b":"é\\""}', None, "{}"], {})


@given(st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=60))
def test_faults_are_exactly_the_values_that_do_not_fit(numbers: list[int | None]) -> None:
    """However many and wherever they are."""
    made, faults = convert(pa.array(numbers, pa.uint64()), column(pa.int64()))
    assert set(faults) == {row for row, n in enumerate(numbers) if n is not None and n >= 2**63}
    for row, number in enumerate(numbers):
        assert row in faults or made[row] == number


@given(st.lists(st.none() | st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=4)))
def test_faults_in_lists_are_of_their_rows(lists: list[list[int | None] | None]) -> None:
    """The row of a bad item is the one whose list holds it."""
    made, faults = convert(pa.array(lists, pa.list_(pa.uint64())), repeated(pa.int64()))
    for row, items in enumerate(lists):
        bad = any(item is None or item >= 2**63 for item in items or ())
        assert (row in faults) == bad
        assert bad or made[row] == (items or [])
