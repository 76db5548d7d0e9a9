"""Rows to Parquet files, many at a time."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.files import writer as module
from connectors.files.parquet import FileOptions
from connectors.files.writer import FilesWriter
from connectors.ledger import LakeFile
from connectors.local_store import LocalStore
from transforms.batch import Batch
from transforms.errors import PermanentError


def batch(**columns: object) -> Batch:
    return Batch(pa.record_batch(columns))


def writer(folder: Path, options: FileOptions | None = None) -> FilesWriter:
    return FilesWriter(LocalStore(), str(folder), options or FileOptions())


def read(file: LakeFile) -> pa.Table:
    return pq.read_table(pa.BufferReader(Path(file.staged).read_bytes()))


def test_each_path_gets_one_file_with_its_rows_in_order(tmp_path: Path) -> None:
    """The record of a file tells its place, rows and size."""
    files = writer(tmp_path)
    for number in range(6):
        files.add(f"/lake/k={number % 2}/f.parquet", batch(n=[number]))
    even, odd = files.finish()
    assert read(even)["n"].to_pylist() == [0, 2, 4]
    assert (even.path, even.rows) == ("/lake/k=0/f.parquet", 3)
    assert (odd.path, odd.rows) == ("/lake/k=1/f.parquet", 3)
    assert even.bytes == os.path.getsize(even.staged)


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    """An empty batch leaves no empty file."""
    files = writer(tmp_path)
    files.add("", batch(n=pa.array([], pa.int64())))
    assert files.finish() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "groups"), [(99, 1), (100, 1), (150, 1), (200, 2), (1_000, 10)])
def test_row_groups_have_the_wanted_size_or_a_little_more(
    tmp_path: Path, rows: int, groups: int
) -> None:
    """A large batch is cut evenly, with no small rest at its end."""
    files = writer(tmp_path, FileOptions(row_group_rows=100))
    files.add("", batch(n=list(range(rows))))
    (file,) = files.finish()
    assert pq.ParquetFile(file.staged).num_row_groups == groups


def test_row_groups_reach_the_disk_before_the_end(tmp_path: Path) -> None:
    """Memory does not grow with the rows."""
    files = writer(tmp_path, FileOptions(row_group_rows=100, compression="none"))
    for _ in range(10):
        files.add("", batch(n=np.random.default_rng(1).integers(0, 2**62, 1_000)))
    (staged,) = tmp_path.iterdir()
    assert staged.stat().st_size > 5 * 8_000
    files.abort()
    assert list(tmp_path.iterdir()) == []


def test_the_largest_folder_is_written_when_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds for all folders together."""
    monkeypatch.setattr(module, "PENDING_BYTES_WANTED", 500)
    monkeypatch.setattr(module, "RELIEF_BYTES", 0)
    monkeypatch.setattr(module, "PENDING_BYTES_MAX", 1_000)
    files = writer(tmp_path)
    files.add("small", batch(n=[1]))
    files.add("large", batch(n=list(range(120))))
    files.add("small", batch(n=[2] * 10))
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(file.rows for file in files.finish()) == [11, 120]


def test_a_complete_group_is_written_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before memory is short, a group that is large enough goes; small ones stay together."""
    monkeypatch.setattr(module, "PENDING_BYTES_WANTED", 500)
    monkeypatch.setattr(module, "RELIEF_BYTES", 0)
    monkeypatch.setattr(module, "GROUP_ROWS_MIN", 100)
    files = writer(tmp_path)
    files.add("small", batch(n=list(range(90))))
    assert list(tmp_path.iterdir()) == []
    files.add("large", batch(n=list(range(120))))
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(file.rows for file in files.finish()) == [90, 120]


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition by something like a user's id stops with advice."""
    monkeypatch.setattr(module, "FILES_MAX", 2)
    files = writer(tmp_path)
    files.add("k=1", batch(n=[1]))
    files.add("k=2", batch(n=[1]))
    with pytest.raises(PermanentError, match="more than 2 files, for example k=3"):
        files.add("k=3", batch(n=[1]))


def test_file_that_waited_longest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more files fill than may be open, one is closed, and its later rows get a new file."""
    monkeypatch.setattr(module, "OPEN_FILES_MAX", 2)
    files = writer(tmp_path, FileOptions(row_group_rows=2))
    for number in (1, 2, 1, 3, 2):
        files.add(f"k={number}/f.parquet", batch(n=[number, number]))
    found = sorted((file.path, read(file)["n"].to_pylist()) for file in files.finish())
    assert found == [
        ("k=1/f.parquet", [1] * 4),
        ("k=2/f.parquet", [2] * 2),
        ("k=2/f.parquet", [2] * 2),
        ("k=3/f.parquet", [3] * 2),
    ]


def test_waiting_and_open_files_are_finished_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end, a file that was never opened does not push an open one out twice."""
    monkeypatch.setattr(module, "OPEN_FILES_MAX", 2)
    files = writer(tmp_path, FileOptions(row_group_rows=2))
    files.add("waiting", batch(n=[0]))
    for number in range(3):
        files.add(f"open{number}", batch(n=[number, number]))
        files.add(f"open{number}", batch(n=[number]))
    found = sorted((file.path, file.rows) for file in files.finish())
    assert found == [("open0", 3), ("open1", 3), ("open2", 3), ("waiting", 1)]


def test_abort_removes_files_that_were_closed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that gave way to others is taken back with them."""
    monkeypatch.setattr(module, "OPEN_FILES_MAX", 1)
    files = writer(tmp_path, FileOptions(row_group_rows=2))
    files.add("a", batch(n=[1, 2]))
    files.add("b", batch(n=[1, 2]))
    assert len(list(tmp_path.iterdir())) == 2
    files.abort()
    assert list(tmp_path.iterdir()) == []


def test_folders_beyond_the_open_files_are_written_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that fit in memory are opened and closed at the end, each in its turn."""
    monkeypatch.setattr(module, "OPEN_FILES_MAX", 2)
    files = writer(tmp_path)
    for number in range(5):
        files.add(f"k={number}", batch(n=[number]))
    assert [read(file)["n"].to_pylist() for file in files.finish()] == [[n] for n in range(5)]


def test_many_small_batches_make_one_row_group(tmp_path: Path) -> None:
    """Chunks of a few rows are joined before they are encoded."""
    files = writer(tmp_path)
    for number in range(300):
        files.add("", batch(n=[number]))
    (file,) = files.finish()
    assert pq.ParquetFile(file.staged).num_row_groups == 1
    assert read(file)["n"].to_pylist() == list(range(300))


def test_a_disk_that_fills_up_leaves_no_file(tmp_path: Path) -> None:
    """Although the footer can't be written either, what was staged goes."""

    class Full(LocalStore):
        def output(self, path: str) -> pa.PythonFile:
            return pa.PythonFile(_FullDisk(path), mode="w")

    files = FilesWriter(Full(), str(tmp_path), FileOptions(row_group_rows=10))
    with pytest.raises(OSError, match="No space left"):
        files.add("", batch(n=np.random.default_rng(1).integers(0, 2**62, 5_000)))
    files.abort()
    assert list(tmp_path.iterdir()) == []


class _FullDisk(io.FileIO):
    """A file that takes a hundred bytes."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "wb")

    def write(self, content: bytes) -> int:
        if self.tell() + len(content) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


def test_batches_of_compatible_schemas_share_a_file(tmp_path: Path) -> None:
    """A column that is missing is null, and the wider type wins."""
    files = writer(tmp_path)
    files.add("", batch(a=pa.array([1], pa.int32())))
    files.add("", batch(a=pa.array([2], pa.int64()), b=["x"]))
    (file,) = files.finish()
    assert read(file).to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]


def test_batches_of_incompatible_schemas_stop_the_pipeline(tmp_path: Path) -> None:
    """The error names the column and both types."""
    files = writer(tmp_path)
    files.add("", batch(a=[1]))
    files.add("", batch(a=["x"]))
    with pytest.raises(PermanentError, match=r"don't fit into one file.*int64.*string"):
        files.finish()


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        ({"a": [1], "b": [1]}, r"\['b'\] came up after"),
        ({"a": [2**40]}, "don't fit into its schema"),
    ],
)
def test_a_schema_is_settled_by_the_first_row_group(
    tmp_path: Path, late: dict[str, list[int]], reason: str
) -> None:
    """What the rows on disk can't take stops the pipeline; nothing is dropped silently."""
    files = writer(tmp_path, FileOptions(row_group_rows=1))
    files.add("", batch(a=pa.array([1], pa.int32())))
    with pytest.raises(PermanentError, match=reason):
        files.add("", batch(**late))
    files.abort()


def test_later_rows_are_fitted_to_the_file(tmp_path: Path) -> None:
    """A narrower type or a missing column fits into what is on disk."""
    files = writer(tmp_path, FileOptions(row_group_rows=1))
    files.add("", batch(a=[1], b=["x"]))
    files.add("", batch(a=pa.array([2], pa.int32())))
    (file,) = files.finish()
    assert read(file).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
