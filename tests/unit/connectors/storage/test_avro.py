"""Avro files made of columns, read by fastavro."""

from __future__ import annotations

import datetime as dt
import decimal
import io
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.storage.avro import Avro
from connectors.storage.avro_columns import varints
from transforms.errors import ConfigError, PermanentError

UTC = dt.timezone.utc
TIME = dt.datetime(2026, 1, 31, 9, 30, 0, 5)


def written(table: pa.Table, options: Avro | None = None) -> bytes:
    sink = io.BytesIO()
    file = (options or Avro()).open(sink, table)
    file.write(table)
    file.close()
    return sink.getvalue()


def read(content: bytes) -> list[Any]:
    return list(fastavro.reader(io.BytesIO(content)))


def column(values: pa.Array, *, nullable: bool = True) -> list[Any]:
    table = pa.table([values], pa.schema([pa.field("c", values.type, nullable=nullable)]))
    return [row["c"] for row in read(written(table))]


def test_integers_of_every_size() -> None:
    """The edges of each number of bytes, and both ends."""
    edges = [edge + step for bits in range(64) for edge in (1 << bits, -(1 << bits))
             for step in (-1, 0, 1)]  # fmt: skip
    numbers = [number for number in edges if -(2**63) <= number < 2**63]
    assert column(pa.array(numbers, pa.int64())) == numbers


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_any_integer(numbers: list[int]) -> None:
    """As fastavro encodes them one by one."""
    sink = io.BytesIO()
    for number in numbers:
        fastavro.schemaless_writer(sink, "long", number)
    encoded = varints(np.array(numbers, np.int64))
    assert b"".join(encoded.to_pylist()) == sink.getvalue()


nested = st.lists(st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=5)))


@given(nested)
def test_any_maps(maps: list[dict[str, str | None] | None]) -> None:
    """Null maps, empty maps, null values, any text."""
    kind = pa.map_(pa.string(), pa.string())
    values = pa.array([None if each is None else list(each.items()) for each in maps], kind)
    assert column(values) == maps


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None, False]), [True, None, False]),
        (pa.array([1, None], pa.uint32()), [1, None]),
        (pa.array([-5], pa.int8()), [-5]),
        (pa.array([1.5, None]), [1.5, None]),
        (pa.array([1.5], pa.float32()), [1.5]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array(["ø", None, ""]), ["ø", None, ""]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        (pa.array([b"\x00\xff", None]), [b"\x00\xff", None]),
        (pa.array([b"abc"], pa.binary(3)), [b"abc"]),
        (pa.array([TIME, None], pa.timestamp("us", "UTC")), [TIME.replace(tzinfo=UTC), None]),
        (pa.array([TIME.replace(microsecond=0)], pa.timestamp("s")),
         [TIME.replace(microsecond=0)]),
        (pa.array([TIME.date()]), [TIME.date()]),
        (pa.array([TIME.date()], pa.date64()), [TIME.date()]),
        (pa.array([TIME.time()]), [TIME.time()]),
        (pa.array([dt.timedelta(seconds=1)], pa.duration("us")), [1_000_000]),
        (pa.array([decimal.Decimal("-1.10"), None, decimal.Decimal("99.99")]),
         [decimal.Decimal("-1.10"), None, decimal.Decimal("99.99")]),
        (pa.array([decimal.Decimal(-(2**200))], pa.decimal256(70, 0)),
         [decimal.Decimal(-(2**200))]),
        (pa.nulls(2), [None, None]),
        (pa.array([[1, None], [], None, [3]]), [[1, None], [], None, [3]]),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), [[1, 2]]),
        (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        (pa.array([[1, None], [], None, [3]], pa.large_list_view(pa.int64())),
         [[1, None], [], None, [3]]),
        (pa.array([{"a": 1, "b": None}, None, {"a": 2, "b": "x"}]),
         [{"a": 1, "b": None}, None, {"a": 2, "b": "x"}]),
        (pa.array([[{"a": [{"b": "x"}]}], None]), [[{"a": [{"b": "x"}]}], None]),
    ],
)  # fmt: skip
def test_each_type_has_its_form(values: pa.Array, expected: list[Any]) -> None:
    """The table of ``avro_schema``, and the same for slices."""
    assert column(values) == expected
    for start in range(len(values)):
        assert column(values.slice(start)) == expected[start:]
        assert column(values.slice(0, start)) == expected[:start]


def test_columns_that_are_never_null_need_no_union() -> None:
    """The schema says so, and a null in them is refused."""
    assert column(pa.array([1, 2]), nullable=False) == [1, 2]
    with pytest.raises(PermanentError, match="column 'c' holds null"):
        column(pa.array([1, None]), nullable=False)


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
def test_blocks_of_every_codec(codec: str) -> None:
    """Many blocks; the schema and the codec are in the header."""
    rows = pa.table({"n": list(range(20_000)), "text": ["some text"] * 20_000})
    content = written(rows, Avro(codec))
    reader = fastavro.reader(io.BytesIO(content))
    assert reader.codec == codec
    assert list(reader) == rows.to_pylist()
    assert (len(content) < 200_000) == (codec != "null")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a-b": [1]}), "no field named 'a-b'"),
        (pa.table({"i": pa.nulls(1, pa.month_day_nano_interval())}), "can't hold a column of type"),
        (pa.table({"u": pa.array([2**64 - 1], pa.uint64())}), "no integers above"),
        (pa.table({"t": pa.array([1], pa.timestamp("ns"))}), "loses something of timestamp"),
        (pa.table({"m": pa.array([[(1, 2)]], pa.map_(pa.int32(), pa.int32()))}), "can't hold"),
    ],
)
def test_what_avro_has_not_is_refused(table: pa.Table, message: str) -> None:
    """The error names the column or the type, and what to do."""
    with pytest.raises(PermanentError, match=message):
        written(table)


def test_an_unknown_codec_is_refused() -> None:
    """When the transform is made, not when the first row comes."""
    with pytest.raises(ConfigError, match="codec='lzma': must be one of"):
        Avro("lzma")
