"""Partitioning against a reference that looks at one row at a time."""

from __future__ import annotations

import datetime as dt
import itertools
from urllib.parse import unquote

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from connectors.files.layout import PaneName, file_name
from connectors.lake.layout import NULL, folder_part
from connectors.lake.partition import Partition, split
from transforms.batch import Batch

texts = st.text(max_size=20).filter(lambda text: len(text.encode()) < 60)
times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
rows = st.lists(st.tuples(st.none() | texts, st.none() | times), max_size=30)


@given(texts)
def test_a_folder_gives_its_value_back(value: str) -> None:
    """Readers unquote the folder's name and get the value; only the empty string turns to null."""
    name, _, written = folder_part("k", value).partition("=")
    assert name == "k"
    assert "/" not in written
    assert (written == NULL) if not value else unquote(written) == value


@given(rows)
def test_rows_go_where_a_loop_would_put_them(
    rows: list[tuple[str | None, dt.datetime | None]],
) -> None:
    """Each row is in the folder of its own values, in order, and in no other."""
    number = list(range(len(rows)))
    batch = Batch(
        pa.record_batch(
            {
                "k": pa.array([k for k, _ in rows], pa.string()),
                "t": pa.array([t for _, t in rows], pa.timestamp("us")),
                "number": pa.array(number, pa.int64()),
            }
        )
    )
    expected: dict[str, list[int]] = {}
    for index, (k, t) in enumerate(rows):
        day = t.strftime("%Y-%m-%d") if t else None
        expected.setdefault(f"{folder_part('k', k)}/{folder_part('date', day)}", []).append(index)
    found: dict[str, list[int]] = {}
    for folder, part in split(batch, Partition.parse("k,date(t)")):
        found.setdefault(folder, []).extend(part.column("number").to_pylist())
    assert {folder: sorted(numbers) for folder, numbers in found.items() if numbers} == expected
    assert sorted(itertools.chain.from_iterable(found.values())) == number


panes = st.builds(
    PaneName,
    st.none() | st.tuples(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60)),
    st.integers(0, 9),
    st.booleans(),
)


@given(panes, panes, st.integers(0, 3), st.integers(0, 3))
def test_names_differ_when_panes_or_shards_do(a: PaneName, b: PaneName, i: int, j: int) -> None:
    """No file ever takes the place of another pane's or shard's."""
    same = file_name(a, i, 4, "job") == file_name(b, j, 4, "job")
    assert same == (a == b and i == j)
