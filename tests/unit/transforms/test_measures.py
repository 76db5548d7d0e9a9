"""Measures: types, nulls, NaN, overflow, and errors that say what to do."""

from typing import Any

import pyarrow as pa
import pytest

from transforms.aggregate import Aggregate
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.field import attribute, column
from transforms.grouping import Grouping
from transforms.measures import Count, Distinct, Max, Mean, Measure, Min, Sum

NAN = float("nan")


def measure(measure: Measure, values: pa.Array) -> pa.Array:
    """Return the answer of one group, from partials of single rows."""
    grouping = Grouping((), {"m": measure})
    rows = Batch(pa.record_batch({"v": values}))
    partials = [grouping.partial(row) for row in rows.split(1)]
    return grouping.finish(grouping.merge(partials))["m"]


@pytest.mark.parametrize(
    ("what", "values", "answer", "kind"),
    [
        (Count(), pa.array([None, 1]), 2, pa.int64()),
        (Sum("v"), pa.array([None, 127, 127], pa.int8()), 254, pa.int64()),
        (Sum("v"), pa.array([2**63, 2**63 - 1], pa.uint64()), 2**64 - 1, pa.uint64()),
        (Sum("v"), pa.array([-(2**63), 2**63 - 1, -1], pa.int64()), -2, pa.int64()),
        (Sum("v"), pa.array([-(2**63)], pa.int64()), -(2**63), pa.int64()),
        (Sum("v"), pa.array([0.5, None, 0.25], pa.float32()), 0.75, pa.float64()),
        (Sum("v"), pa.array([None, None], pa.int64()), None, pa.int64()),
        (Mean("v"), pa.array([2**62, 2**62, None], pa.int64()), 2.0**62, pa.float64()),
        (Mean("v"), pa.array([-1, -2], pa.int32()), -1.5, pa.float64()),
        (Mean("v"), pa.array([2**64 - 1, 2**64 - 1], pa.uint64()), 2.0**64, pa.float64()),
        (Mean("v"), pa.array([None], pa.float64()), None, pa.float64()),
        (Min("v"), pa.array(["b", None, "a"]), "a", pa.string()),
        (Max("v"), pa.array([b"a", b"\xff", b"b"]), b"\xff", pa.binary()),
        (Min("v"), pa.array([NAN, 2.0, 3.0]), 2.0, pa.float64()),
        (Max("v"), pa.array([True, False]), True, pa.bool_()),
        (Max("v"), pa.array([None, None], pa.date32()), None, pa.date32()),
        (Distinct("v"), pa.array(["a", None, "b", "a"]), 2, pa.int64()),
        (Distinct("v"), pa.array([NAN, NAN, 1.0]), 2, pa.int64()),
        (Distinct("v"), pa.array([None], pa.string()), 0, pa.int64()),
    ],
    ids=str,
)
def test_answers(what: Measure, values: pa.Array, answer: Any, kind: pa.DataType) -> None:
    """Nulls are ignored, types are as documented, merging single rows changes nothing."""
    found = measure(what, values)
    assert found.type == kind
    assert found.to_pylist() == [answer]


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("ns", tz="UTC"), pa.time64("us"), pa.decimal256(40, 2), pa.large_string()],
    ids=str,
)
def test_order_keeps_the_type(kind: pa.DataType) -> None:
    """The least and the greatest have the type of their column."""
    numbers = pa.array(["3", "1", "2"]) if pa.types.is_large_string(kind) else pa.array([3, 1, 2])
    values = numbers.cast(kind)
    assert measure(Min("v"), values).equals(values[1:2])
    assert measure(Max("v"), values).equals(values[0:1])


def test_decimals_sum_exactly() -> None:
    """Decimals keep their scale and get the digits of their sum."""
    values = pa.array([10**27, 10**27], pa.decimal128(28, 0))
    assert measure(Sum("v"), values).equals(pa.array([2 * 10**27], pa.decimal128(38, 0)))
    assert measure(Mean("v"), values).to_pylist() == [1e27]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [2**63 - 1, 1]),
        (pa.int64(), [-(2**63), -1]),
        (pa.uint64(), [2**64 - 1, 1]),
    ],
)
def test_integer_sum_beyond_64_bits_stops(kind: pa.DataType, values: list[int]) -> None:
    """A sum that does not fit is an error that names the measure, not a wrong number."""
    with pytest.raises(PermanentError, match="measure m: the sum of v exceeds"):
        measure(Sum("v"), pa.array(values, kind))


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (Sum("v"), pa.string()),
        (Sum("v"), pa.bool_()),
        (Sum("v"), pa.decimal128(29, 0)),
        (Mean("v"), pa.timestamp("us")),
        (Min("v"), pa.list_(pa.int64())),
        (Max("v"), pa.duration("s")),
        (Distinct("v"), pa.struct([("a", pa.int64())])),
    ],
    ids=str,
)
def test_type_without_the_measure_is_refused(what: Measure, kind: pa.DataType) -> None:
    """The error names measure, column, type, rule and fix."""
    with pytest.raises(ConfigError) as caught:
        measure(what, pa.nulls(1, kind))
    assert caught.value.name == "measure m"
    for text in (type(what).__name__, "column:v", f"not {kind}", "must be of", "Cast the column"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("by", "measures"),
    [
        ([], {}),
        (["a"], {"a": Count()}),
        (["a", attribute("a")], {"n": Count()}),
        (["a"], {"window_start": Count()}),
    ],
)
def test_aggregate_refuses(by: list[Any], measures: dict[str, Measure]) -> None:
    """No measure, or two answers of one name, are refused before anything runs."""
    with pytest.raises(ConfigError):
        Aggregate(by, measures)


@pytest.mark.parametrize(("by", "rule"), [("x", "must exist"), ("tags", "must hold plain values")])
def test_group_key_is_checked(by: str, rule: str) -> None:
    """A key must be a plain column of the batch."""
    rows = Batch(pa.record_batch({"tags": [["a"]]}))
    with pytest.raises(ConfigError, match=rule):
        Grouping((column(by),), {"n": Count()}).partial(rows)


def test_names_may_be_anything() -> None:
    """Keys and measures named like columns of the state are told apart."""
    rows = Batch(pa.record_batch({"0/sum/0": ["k"], "v": [2]}))
    grouping = Grouping((column("0/sum/0"),), {"by/0": Count(), "group": Sum("v")})
    answer = grouping.finish(grouping.merge([grouping.partial(rows)] * 2))
    assert {name: values.to_pylist() for name, values in answer.items()} == {
        "0/sum/0": ["k"],
        "by/0": [2],
        "group": [4],
    }
