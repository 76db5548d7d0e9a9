"""Grouping answers as plain Python does, whatever the split and the order of merging."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.batch import Batch
from transforms.field import column
from transforms.grouping import Grouping
from transforms.measures import Count, Distinct, Max, Mean, Min, Sum

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("flag", pa.bool_()),
        ("number", pa.int64()),
        ("ratio", pa.float64()),
        ("text", pa.string()),
    ]
)
GROUPING = Grouping(
    (column("key"), column("flag")),
    {
        "rows": Count(),
        "total": Sum("number"),
        "ratios": Sum("ratio"),
        "least": Min("text"),
        "most": Max("number"),
        "mean": Mean("number"),
        "numbers": Distinct("number"),
        "texts": Distinct("text"),
    },
)

ROW = st.fixed_dictionaries(
    {
        "key": st.none() | st.sampled_from("abc"),
        "flag": st.none() | st.booleans(),
        # Sums of these fit 64 bits together, while partial sums wander far.
        "number": st.none() | st.integers(-(2**57), 2**57) | st.integers(-3, 3),
        # Small halves: exact in any order.
        "ratio": st.none() | st.integers(-8, 8).map(lambda n: n / 2),
        "text": st.none() | st.text(max_size=2),
    }
)


def naive(rows: Sequence[dict[str, Any]]) -> dict[tuple[Any, Any], dict[str, Any]]:
    """Group by dictionaries, one row at a time."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["key"], row["flag"]].append(row)
    return {key: measured(members) for key, members in groups.items()}


def measured(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Answer all measures of one group."""
    numbers, ratios, texts = (
        [row[name] for row in rows if row[name] is not None] for name in ("number", "ratio", "text")
    )
    return {
        "rows": len(rows),
        "total": sum(numbers) if numbers else None,
        "ratios": sum(ratios) if ratios else None,
        # Arrow orders text by its UTF-8 bytes, as Python orders code points.
        "least": min(texts, default=None),
        "most": max(numbers, default=None),
        "mean": sum(numbers) / len(numbers) if numbers else None,
        "numbers": len(set(numbers)),
        "texts": len(set(texts)),
    }


def answers(state: Batch) -> dict[tuple[Any, Any], dict[str, Any]]:
    """Return the finished groups by key."""
    rows = pa.table(GROUPING.finish(state)).to_pylist()
    return {(row.pop("key"), row.pop("flag")): row for row in rows}


@given(st.lists(ROW, min_size=1, max_size=30), st.data())
def test_any_split_and_merge_order_gives_the_naive_answer(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Partials of any split, merged pairwise in any order, finish as the naive answer."""
    pending, rest = [], Batch.from_pylist(rows, SCHEMA)
    while len(rest):
        cut = data.draw(st.integers(1, len(rest)))
        pending.append(GROUPING.partial(rest.slice(0, cut)))
        rest = rest.slice(cut)
    while len(pending) > 1:
        pending = data.draw(st.permutations(pending))
        taken = data.draw(st.integers(2, len(pending)))
        pending = [GROUPING.merge(pending[:taken]), *pending[taken:]]
    expected, found = naive(rows), answers(pending[0])
    assert found.keys() == expected.keys()
    for key, measures in expected.items():
        mean, naive_mean = found[key].pop("mean"), measures.pop("mean")
        assert found[key] == measures
        assert mean == naive_mean or math.isclose(mean, naive_mean, rel_tol=1e-15)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.integers(1, 20))
def test_sums_overflow_only_at_the_end(numbers: list[int], size: int) -> None:
    """An integer sum is exact when it fits 64 bits, even where a part of it does not."""
    closing = -sum(numbers)
    while closing:
        step = max(-(2**63), min(2**63 - 1, closing))
        numbers, closing = [*numbers, step], closing - step
    rows = Batch(pa.record_batch({"n": pa.array(numbers, pa.int64())}))
    grouping = Grouping((), {"sum": Sum("n"), "mean": Mean("n")})
    answer = grouping.finish(grouping.merge([grouping.partial(part) for part in rows.split(size)]))
    assert answer["sum"].to_pylist() == [0]
    assert answer["mean"].to_pylist() == [0.0]
