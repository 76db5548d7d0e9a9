"""Columns of encoded values to the bytes of rows."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from connectors.storage.joined import as_lists, content, join, list_parts, slices


def test_parts_are_joined_row_by_row() -> None:
    """A scalar is the same in every row."""
    parts = [pa.scalar("<"), pa.array(["a", "", "c"]), pa.scalar(">")]
    assert join(parts, 3).to_pylist() == ["<a>", "<>", "<c>"]


def test_scalars_alone_make_as_many_rows_as_are_wanted() -> None:
    """And one part needs no work."""
    assert join([pa.scalar(b"a"), pa.scalar(b"b")], 2).to_pylist() == [b"ab", b"ab"]
    assert join([pa.scalar(b"a")], 1).to_pylist() == [b"a"]


def test_content_is_that_of_the_slice() -> None:
    """Not that of the whole, whose buffers it shares."""
    rows = pa.array(["ab", "c", "", "def"])
    assert content(rows.slice(1, 3)).to_pybytes() == b"cdef"
    assert content(rows.slice(4)).to_pybytes() == b""
    assert content(pa.array([], pa.string())).to_pybytes() == b""


def test_lists_of_a_slice_have_their_own_children() -> None:
    """Offsets begin with 0 again."""
    lists = pa.array([[1], [2, 3], [], [4]]).slice(1)
    offsets, children = list_parts(lists)
    assert offsets.tolist() == [0, 2, 2, 3]
    assert lists.values[children].to_pylist() == [2, 3, 4]


@pytest.mark.parametrize(
    "kind",
    [pa.list_, pa.large_list, pa.list_view, pa.large_list_view, lambda kind: pa.list_(kind, 2)],
)
def test_lists_of_any_layout_become_plain_ones(kind: Callable[[pa.DataType], pa.DataType]) -> None:
    """Nulls stay null, and a slice is that of the lists."""
    expected = [[1, 2], None, [3, None]]
    lists = pa.array(expected, kind(pa.int64()))
    for start in range(3):
        made = as_lists(lists.slice(start))
        made.validate(full=True)
        assert made.type == pa.list_(lists.type.value_field)
        assert made.to_pylist() == expected[start:]


@pytest.mark.parametrize(("rows", "sizes"), [(5, [2, 2, 1]), (2, [2]), (0, [])])
def test_slices_have_a_number_of_rows_at_most(rows: int, sizes: list[int]) -> None:
    """And none is empty."""
    table = pa.table({"n": list(range(rows))}, pa.schema([("n", pa.int64())]))
    assert [piece.num_rows for piece in slices(table, 2)] == sizes


def test_large_rows_are_encoded_a_few_at_a_time() -> None:
    """Or their encoding would not fit into an Arrow array."""
    table = pa.table({"data": [b"x" * (10 << 20)] * 8})
    assert max(piece.num_rows for piece in slices(table, 4_096)) <= 3
