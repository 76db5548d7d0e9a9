"""Attributes of messages as columns."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.attributes import appended, without
from transforms.message import MESSAGE_SCHEMA

TYPE = MESSAGE_SCHEMA.field("attributes").type
KEYS = st.sampled_from("abcde")
MAPS = st.lists(st.none() | st.lists(st.tuples(KEYS, st.text(max_size=3)), max_size=4), max_size=8)


@given(MAPS, st.integers(0, 3), st.data())
def test_entries_are_added_and_taken_away(
    maps: list[Any], skipped: int, data: st.DataObject
) -> None:
    """Own entries stay in their order, slices too; a null adds none, and null maps are empty."""
    attributes = pa.array(maps, TYPE).slice(min(skipped, len(maps)))
    rows = len(attributes)
    column = st.lists(st.none() | st.text(max_size=3), min_size=rows, max_size=rows)
    more = {name: data.draw(column) for name in ("x", "y")}
    arrays = {name: pa.array(values, pa.string()) for name, values in more.items()}
    expected = [
        (own or []) + [(name, more[name][row]) for name in more if more[name][row] is not None]
        for row, own in enumerate(attributes.to_pylist())
    ]
    longer = appended(attributes, arrays)
    assert longer.to_pylist() == expected
    assert longer.type == TYPE
    gone = {"a", "x", "none"}
    shorter = without(longer, sorted(gone))
    assert shorter.to_pylist() == [[(k, v) for k, v in row if k not in gone] for row in expected]
    assert shorter.type == TYPE
