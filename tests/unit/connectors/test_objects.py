"""The object store, on Beam's in-process file system in place of Cloud Storage."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io import filesystem

from connectors.ledger import Ledger
from connectors.objects import ObjectStore, store_of
from connectors.records import LakeFile
from connectors.run import Run
from connectors.store import LocalStore
from connectors.transaction import MANIFEST, encode_manifest

OBJECTS: dict[str, bytes] = {}


class _Upload(io.BytesIO):
    """An object that appears when it is closed."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def close(self) -> None:
        if not self.closed:
            OBJECTS[self.path] = self.getvalue()
        super().close()


class Bucket(filesystem.FileSystem):
    """``test://`` paths: a flat space of names, as object stores have it."""

    @classmethod
    def scheme(cls) -> str:
        return "test"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath, *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError("object stores have no folders")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[filesystem.FileMetadata]:
        for path, content in list(OBJECTS.items()):
            if path.startswith(dir_or_prefix):
                yield filesystem.FileMetadata(path, len(content))

    def create(self, path: str, *_: Any, **__: Any) -> _Upload:
        return _Upload(path)

    def open(self, path: str, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(OBJECTS[path])

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            OBJECTS[target] = OBJECTS[source]

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        return path in OBJECTS

    def size(self, path: str) -> int:
        return len(OBJECTS[path])

    def last_updated(self, path: str) -> float:
        return 0.0

    def checksum(self, path: str) -> str:
        return ""

    def metadata(self, path: str) -> filesystem.FileMetadata:
        return filesystem.FileMetadata(path, len(OBJECTS[path]))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            del OBJECTS[path]


@pytest.fixture(autouse=True)
def _empty() -> None:
    OBJECTS.clear()


def stage(folder: str, root: str, run: str) -> None:
    """Stage one Parquet file and list it."""
    staged, final = f"{folder}/a.parquet.staged", f"{root}/k=1/{run}.parquet"
    with ObjectStore().output(staged) as sink:
        pq.write_table(pa.table({"n": [1, 2]}), sink)
    manifest = encode_manifest([LakeFile(staged, final, 2, 1)])
    ObjectStore().write(f"{folder}/{MANIFEST}", manifest)


def test_paths_with_a_scheme_are_objects() -> None:
    """Local paths never go through Beam's file systems."""
    assert isinstance(store_of("gs://bucket/lake"), ObjectStore)
    assert isinstance(store_of("/data/lake"), LocalStore)


@pytest.mark.parametrize("root", ["test://bucket/lake", "test://bucket/deep/lake", "test://bucket"])
def test_a_run_commits_to_objects(root: str) -> None:
    """The same protocol: staged, recorded, renamed; only committed data matches a wildcard."""
    with Run() as run:
        stage(run.add_lake(root), root, run.id)
        assert not [path for path in OBJECTS if path.endswith(".parquet")]
        run.commit({"rows": 2})
    final = f"{root}/k=1/{run.id}.parquet"
    assert [path for path in OBJECTS if path.endswith(".parquet")] == [final]
    assert pq.read_table(pa.BufferReader(OBJECTS[final]))["n"].to_pylist() == [1, 2]
    assert not [path for path in OBJECTS if "/staging/" in path]
    (commit,) = Ledger(root).commits()
    assert commit.counts == {"rows": 2}


def test_an_interrupted_rename_is_repeated() -> None:
    """A crash between copy and delete leaves both; opening the lake finishes it."""
    root = "test://bucket/lake"
    with Run() as run:
        folder = run.add_lake(root)
        stage(folder, root, run.id)
        staged = {path: OBJECTS[path] for path in OBJECTS if path.startswith(folder)}
        run.commit({})
    OBJECTS.update(staged)
    assert Ledger(root).open().finished == [run.id]
    assert not [path for path in OBJECTS if "/staging/" in path]


def test_the_state_of_a_whole_bucket_lies_inside() -> None:
    """There is nothing beside a bucket."""
    assert Ledger("test://bucket").state == "test://bucket/_headrace"
    assert Ledger("test://bucket/lake").state == "test://bucket/.lake.headrace"


def test_staged_objects_of_other_runs_are_left_alone() -> None:
    """Without locks nobody can tell whether their run is alive."""
    root = "test://bucket/lake"
    Ledger(root).open()
    OBJECTS["test://bucket/.lake.headrace/staging/RUN/0/a.parquet.staged"] = b""
    assert Ledger(root).open().removed == []
    assert any("/staging/RUN/" in path for path in OBJECTS)
