"""Single fields: what each type accepts from JSON, and the column that it builds."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from transforms import kinds
from transforms.columns import Fault, Fields
from transforms.schema import BIGQUERY_TYPE

JSON = {BIGQUERY_TYPE: b"JSON"}


def build(field: pa.Field, *values: str) -> tuple[pa.Array, list[Fault]]:
    """Decode JSON values as field ``v`` of an object each, and build their column."""
    fields = Fields([field], "schema")
    decode = msgspec.json.Decoder(fields.row).decode
    (array,), faults = fields.build([decode(f'{{"v": {value}}}') for value in values])
    array.validate(full=True)
    assert array.type == field.type
    return array, faults


@pytest.mark.parametrize(
    ("arrow_type", "low", "high"),
    [
        (pa.int8(), -(2**7), 2**7 - 1),
        (pa.int16(), -(2**15), 2**15 - 1),
        (pa.int32(), -(2**31), 2**31 - 1),
        (pa.int64(), -(2**63), 2**63 - 1),
        (pa.uint8(), 0, 2**8 - 1),
        (pa.uint16(), 0, 2**16 - 1),
        (pa.uint32(), 0, 2**32 - 1),
    ],
)
def test_integers_have_the_range_of_their_type(
    arrow_type: pa.DataType, low: int, high: int
) -> None:
    """Both ends are accepted, and nothing beyond them."""
    array, _ = build(pa.field("v", arrow_type), str(low), "null", str(high))
    assert array.to_pylist() == [low, None, high]
    for beyond in (low - 1, high + 1):
        with pytest.raises(msgspec.ValidationError, match=r"Expected `int` [<>]="):
            build(pa.field("v", arrow_type), str(beyond))


def test_float32_refuses_what_would_become_infinite() -> None:
    """The greatest float is accepted, the next power of ten is not."""
    array, _ = build(pa.field("v", pa.float32()), "3.4028234663852886e38", "-0.0", "1")
    assert [str(value) for value in array.to_pylist()] == ["3.4028234663852886e+38", "-0.0", "1.0"]
    with pytest.raises(msgspec.ValidationError, match=r"Expected `float` <="):
        build(pa.field("v", pa.float32()), "1e39")


@pytest.mark.parametrize(
    ("arrow_type", "value", "expected"),
    [
        (pa.bool_(), "true", True),
        (pa.float64(), "1e308", 1e308),
        (pa.float64(), "123456789012345678901234567890", 123456789012345678901234567890.0),
        (pa.string(), '"\\u00e9"', "é"),
        (pa.large_string(), '"a"', "a"),
        (pa.binary(), '"aGk="', b"hi"),
        (pa.large_binary(), '""', b""),
    ],
)
def test_plain_types(arrow_type: pa.DataType, value: str, expected: Any) -> None:
    """Values are what JSON says; bytes are base64."""
    array, faults = build(pa.field("v", arrow_type), value, "null")
    assert (array.to_pylist(), faults) == ([expected, None], [])


@pytest.mark.parametrize("value", ['"a-_="', '"aGk"', '"aG k="', "1"])
def test_bytes_that_are_no_base64_are_refused(value: str) -> None:
    """The alphabet is the standard one, with padding and without spaces."""
    with pytest.raises(msgspec.ValidationError):
        build(pa.field("v", pa.binary()), value)


def test_json_is_kept_as_it_came() -> None:
    """Spaces, digits and the order of keys stay; JSON's null is a null."""
    values = ['{"b": 1.50,  "a": 1e999}', '"null"', "null", "[1, 2]", '"\\u00e9"']
    array, faults = build(pa.field("v", pa.string(), metadata=JSON), *values)
    assert array.to_pylist() == [values[0], '"null"', None, "[1, 2]", '"\\u00e9"']
    assert faults == []


def test_required_json_and_decimals_may_not_be_null() -> None:
    """The fault says which row and where."""
    for field in (
        pa.field("v", pa.string(), nullable=False, metadata=JSON),
        pa.field("v", pa.decimal128(5, 2), nullable=False),
    ):
        _, faults = build(field, "1", "null")
        assert faults == [Fault(1, ".v", kinds.MISSING_FIELD, "Expected a value, got `null`")]


def test_decimals_are_numbers_or_texts_of_numbers() -> None:
    """No float comes in between; each failure has its kind."""
    values = ["1.10", '"1.10"', "null", "1e1", "1.001", '"x"', "true", "[1]", '{"a": 1}', '""']
    array, faults = build(pa.field("v", pa.decimal128(5, 2)), *values)
    assert [value and str(value) for value in array.to_pylist()[:4]] == [
        "1.10",
        "1.10",
        None,
        "10.00",
    ]
    assert [(fault.position, fault.kind) for fault in faults] == [
        (4, kinds.OUT_OF_RANGE),
        (5, kinds.INVALID_VALUE),
        (6, kinds.WRONG_TYPE),
        (7, kinds.WRONG_TYPE),
        (8, kinds.WRONG_TYPE),
        (9, kinds.INVALID_VALUE),
    ]


FILLED = pa.struct(
    [
        pa.field("number", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("price", pa.decimal128(38, 9), nullable=False),
        pa.field("list", pa.list_(pa.field("item", pa.int8(), nullable=False)), nullable=False),
        pa.field("inner", pa.struct([pa.field("b", pa.bool_(), nullable=False)]), nullable=False),
    ]
)


@pytest.mark.parametrize("count", [1, 3])
def test_absent_struct_leaves_no_null_in_fields_that_allow_none(count: int) -> None:
    """Behind a null struct stand fillers: Parquet refuses nulls in a child that may have none."""
    array, _ = build(pa.field("v", FILLED), *["null"] * count)
    assert array.to_pylist() == [None] * count
    assert [array.field(index).null_count for index in range(len(FILLED))] == [0] * len(FILLED)
    array.cast(FILLED).validate(full=True)


def test_faults_behind_absent_structs_keep_their_row() -> None:
    """Rows are counted in the column, not among the structs that are present."""
    field = pa.field("v", pa.struct([pa.field("day", pa.date32())]))
    array, faults = build(field, "null", '{"day": "2024-01-01"}', "null", '{"day": "x"}')
    assert [fault.position for fault in faults] == [3]
    assert [value is None for value in array.to_pylist()] == [True, False, True, False]


def test_lists_of_lists() -> None:
    """Faults in inner lists are told by both indexes."""
    inner = pa.list_(pa.field("item", pa.date32()))
    array, faults = build(
        pa.field("v", pa.list_(pa.field("item", inner))),
        "[]",
        '[["2024-01-01"], null, [null, "x"]]',
        "null",
    )
    assert [(fault.position, fault.path) for fault in faults] == [(1, ".v[2][1]")]
    assert [None if row is None else len(row) for row in array.to_pylist()] == [0, 3, None]
