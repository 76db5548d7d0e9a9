"""A lake counts only if it holds exactly what it must."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.reconcile import differences
from benchmarks.workload import Truth

MINUTE_US = 60_000_000
TRUTH = Truth(rows=3, user_id_sum=60, rows_by_minute={7: 2, 8: 1}, duplicates=0, malformed=0)
FILES = {"a": [("x", 7, 10), ("y", 7, 20)], "b": [("z", 8, 30)]}
"""Rows of each file: id, minute, user."""


def write_lake(
    folder: Path, files: dict[str, list[tuple[str, int, int]]], codec: str = "zstd"
) -> Path:
    """Write each file into a folder of its own, as partitions are."""
    for name, rows in files.items():
        table = pa.table(
            {
                "event_id": [row[0] for row in rows],
                "event_time": pa.array(
                    [row[1] * MINUTE_US + 59_999_999 for row in rows], pa.timestamp("us", "UTC")
                ),
                "user_id": [row[2] for row in rows],
            }
        )
        (folder / f"part={name}").mkdir()
        pq.write_table(table, folder / f"part={name}" / "rows.parquet", compression=codec)
    return folder


def test_right_lake_has_no_differences(tmp_path: Path) -> None:
    """Every row once, in a file of its window, compressed with zstd."""
    assert differences(write_lake(tmp_path, FILES), TRUTH) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": FILES["a"]}, "2 rows instead of 3"),
        ({**FILES, "c": FILES["b"]}, "4 rows instead of 3"),
        ({"a": FILES["a"], "b": [("x", 8, 30)]}, "2 distinct ids instead of 3"),
        ({"a": FILES["a"], "b": [("z", 8, 31)]}, "user_id adds up to 61, not 60"),
        ({"a": FILES["a"], "b": [("z", 9, 30)]}, "2 windows have another number of rows"),
        ({"a": FILES["a"] + FILES["b"]}, "1 files hold more than one window"),
    ],
)
def test_wrong_lake_is_told(
    tmp_path: Path, files: dict[str, list[tuple[str, int, int]]], said: str
) -> None:
    """What is missing, repeated, changed or in the wrong place is said."""
    assert said in differences(write_lake(tmp_path, files), TRUTH)


def test_other_compression_is_told(tmp_path: Path) -> None:
    """A cheaper codec would be less work."""
    lake = write_lake(tmp_path, FILES, codec="snappy")
    assert differences(lake, TRUTH) == ["compressed with SNAPPY instead of ZSTD"]


def test_empty_lake_is_told(tmp_path: Path) -> None:
    """An engine that wrote nothing is not taken for the fastest."""
    assert differences(tmp_path, TRUTH) == ["no Parquet file was written"]
