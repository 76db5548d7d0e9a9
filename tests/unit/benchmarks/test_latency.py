"""What the rows that came say about the time that they took."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.latency import latency_of
from benchmarks.observe import LakeWatch, Seen

WARM_UP = [-1, 0, 900_000]


def seen(*rows: list[int]) -> Seen:
    """Return rows of number, sent and seen."""
    return np.array([WARM_UP, *rows], np.int64)


def test_time_is_from_sent_to_seen() -> None:
    """The row that came before the measurement does not count."""
    rows = seen(*([n, 1_000, 1_000 + (n + 1) * 1_000] for n in range(101)))
    found = latency_of("lake", rows, 101, rate=5.0, cores=0.5)
    assert (found.rows, found.p50_ms, found.p99_ms, found.max_ms) == (101, 51.0, 100.0, 101.0)
    assert found.words().endswith("target p50 < 250 ms, p99 < 1000 ms: reached")
    assert json.loads(json.dumps(found.__dict__))["rate"] == 5.0


def test_slow_rows_miss_the_target() -> None:
    """One percent of slow rows is enough."""
    rows = seen(*([n, 0, 1_500_000 if n < 3 else 1_000] for n in range(100)))
    assert latency_of("topic", rows, 100, 1.0, 0.1).words().endswith(": missed")


@pytest.mark.parametrize(
    ("sink", "rows", "failure"),
    [
        ("lake", seen([0, 0, 1]), "1 of 2 rows came"),
        ("lake", seen([0, 0, 1], [1, 0, 1], [1, 0, 1]), "1 rows came again"),
        ("topic", seen([0, 0, 1], [1, 0, 1], [1, 0, 1]), ""),
        ("topic", seen(), "0 of 2 rows came"),
    ],
)
def test_missing_and_repeated_rows_are_told(sink: str, rows: Seen, failure: str) -> None:
    """A lake has each row once; a topic may get one again."""
    found = latency_of(sink, rows, 2, 1.0, 0.1)
    assert found.failure == failure
    assert ("FAILED" in found.words()) == bool(failure)


def test_files_are_seen_when_they_appear(tmp_path: Path) -> None:
    """Rows of a file have the time at which it was found."""
    watch = LakeWatch(tmp_path)
    rows = pa.table({"number": [7, 8], "sent_us": [1, 2]})
    with watch:
        pq.write_table(rows, tmp_path / "unfinished")
        (tmp_path / "unfinished").rename(tmp_path / "a.parquet")
        while watch.rows < 2:  # the test has a time limit
            assert watch.is_alive()
    found = watch.seen()
    assert found[:, :2].tolist() == [[7, 1], [8, 2]]
    assert len(set(found[:, 2])) == 1
    assert found[0, 2] > 1_700_000_000_000_000
