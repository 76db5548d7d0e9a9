"""Merging small files with the real command line, on disk and on Cloud Storage."""

from __future__ import annotations

import contextlib
import posixpath
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from connectors import lake
from connectors.lake.compact import Whole
from connectors.ledger import Ledger
from connectors.objects import store_of
from connectors.run import Run
from pipelines import lake_compact, launch
from runners.local import LocalRunner
from tests.faults import Crash, Fuse, MortalStore
from transforms.batch import Batch
from transforms.errors import TransientError


@pytest.fixture(params=["disk", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on disk, then one on Cloud Storage."""
    if request.param == "disk":
        return str(tmp_path / "lake")
    return f"{request.getfixturevalue('bucket')}/lake"


def write(root: str, *starts: int, **columns: object) -> None:
    """Commit a run for each start: ten rows, half of them in each of two folders."""
    for start in starts:
        rows = {"n": list(range(start, start + 10)), "k": [0, 1] * 5, **columns}
        with Run() as run:
            pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(run.options()))
            batches = pipeline | beam.Create([Batch(pa.record_batch(rows))], reshuffle=False)
            _ = batches | lake.Write(root, partition_by="k")
            pipeline.run().wait_until_finish()
            run.commit({})


def compact(root: str, *more: str) -> int:
    return launch.status(lake_compact, [f"--lake={root}", "--age=0s", *more])


def names(root: str) -> list[str]:
    found = [file.name for file in store_of(root).walk(root)]
    return sorted(name for name in found if name.endswith(".parquet"))


def rows(root: str, files: list[str] | None = None) -> list[dict[str, object]]:
    """Return the rows of the files, in their order."""
    found: list[dict[str, object]] = []
    for path in files if files is not None else [f"{root}/{name}" for name in names(root)]:
        with store_of(path).input(path) as file:
            found += pq.read_table(file).to_pylist()
    return found


def numbers(root: str, files: list[str] | None = None) -> list[object]:
    return sorted(row["n"] for row in rows(root, files))  # type: ignore[type-var]


def test_small_files_become_one_in_each_folder(root: str) -> None:
    """Every row stays once, in order; a second start finds nothing to do."""
    write(root, 0, 10, 20)
    assert len(names(root)) == 6
    assert compact(root) == 0
    assert [posixpath.dirname(name) for name in names(root)] == ["k=0", "k=1"]
    assert [row["n"] for row in rows(root)] == [*range(0, 30, 2), *range(1, 30, 2)]
    merged = names(root)
    commits = len(Ledger(root).commits())
    assert compact(root) == 0
    assert names(root) == merged
    assert len(Ledger(root).commits()) == commits
    assert lake.files_of(root) == [f"{Ledger(root).root}/{name}" for name in merged]


def whole(root: str) -> None:
    """Compact in one worker, as Dataflow does."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        step = beam.ParDo(Whole(lake.Compact(root, age_s=0.0)))
        _ = pipeline | beam.Impulse() | "Whole" >> step


def test_one_worker_compacts_as_a_run_of_its_own(root: str) -> None:
    """The same files, committed; started again, as a service does, it changes nothing."""
    write(root, 0, 10, 20)
    whole(root)
    merged = names(root)
    assert [posixpath.dirname(name) for name in merged] == ["k=0", "k=1"]
    assert numbers(root) == list(range(30))
    commits = len(Ledger(root).commits())
    whole(root)
    assert names(root) == merged
    assert len(Ledger(root).commits()) == commits


def test_worker_that_dies_has_changed_nothing(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one opens the lake, and does it all."""
    write(root, 0, 10)
    before = names(root)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "commit", _die)
        with pytest.raises(Crash):
            list(Whole(lake.Compact(root, age_s=0.0)).process(b""))
    assert names(root) == before
    whole(root)
    assert len(names(root)) == 2
    assert numbers(root) == list(range(20))


def _die(*_: object) -> None:
    raise Crash


def test_missing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt folder is told, and not made."""
    assert compact(str(tmp_path / "lkae")) == 2
    assert "--lake=" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_comes_later_is_merged_later(root: str) -> None:
    """With the file that was made before, as long as it is small."""
    for start in (0, 20):
        write(root, start, start + 10)
        assert compact(root) == 0
        assert len(names(root)) == 2
    assert numbers(root) == list(range(40))


def test_young_and_large_files_stay(root: str) -> None:
    """Whoever has just written a file may write it again."""
    write(root, 0, 10)
    before = names(root)
    assert compact(root, "--age=1h") == 0
    assert compact(root, "--file_bytes=100") == 0
    assert names(root) == before


def test_files_of_several_schemas_are_fitted(root: str) -> None:
    """A column that some lack is null there; types grow; what fits nothing stays as it is."""
    write(root, 0)
    write(root, 10, more=["x"] * 10)
    assert compact(root) == 0
    assert len(names(root)) == 2
    assert Counter(row["more"] for row in rows(root)) == {None: 10, "x": 10}
    write(root, 20, more=[1] * 10)
    assert compact(root) == 0
    assert len(names(root)) == 4
    assert numbers(root) == list(range(30))


def test_two_compactions_at_a_time_change_the_lake_once(root: str) -> None:
    """The second one finds its sources gone, and gives up."""
    write(root, 0, 10)
    with Run() as run:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(run.options()))
        _ = pipeline | lake.Compact(root, age_s=0)
        pipeline.run().wait_until_finish()
        assert compact(root) == 0
        with pytest.raises(TransientError, match="another compaction was quicker"):
            run.commit({})
    assert numbers(root) == list(range(20))
    assert len(names(root)) == 2


def test_a_job_that_writes_a_merged_file_again_leaves_it_out(root: str) -> None:
    """As one that was killed before it noted that it had written it."""
    batch = Batch(pa.record_batch({"n": [1, 2, 3]}))

    def job() -> None:
        options = PipelineOptions(["--headrace_job=job"])
        with beam.Pipeline(runner=LocalRunner(), options=options) as pipeline:
            _ = pipeline | beam.Create([batch]) | lake.Write(root, shards=1)

    job()
    with Run() as run:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(run.options()))
        more = Batch(pa.record_batch({"n": [4]}))
        _ = pipeline | beam.Create([more], reshuffle=False) | lake.Write(root)
        pipeline.run().wait_until_finish()
        run.commit({})
    assert compact(root) == 0
    job()
    assert numbers(root) == [1, 2, 3, 4]
    assert len(names(root)) == 1


def test_readers_and_writers_go_on(root: str) -> None:
    """Each row once, whenever ``files_of`` is asked; never fewer for who lists the folder."""
    write(root, *range(0, 60, 10))
    stop = threading.Event()
    seen: list[tuple[list[object], list[object]]] = []

    def read() -> None:
        while not stop.is_set():
            # A file that goes between the list and its opening is listed anew.
            with contextlib.suppress(FileNotFoundError):
                listed = numbers(root)
                seen.append((numbers(root, lake.files_of(root)), listed))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            for start in (60, 70, 80):
                assert compact(root) == 0
                write(root, start)
        finally:
            stop.set()
        reader.result()
    assert numbers(root) == list(range(90))
    assert len(seen) > 3
    for exact, listed in seen:
        assert exact == list(range(len(exact)))
        assert set(range(60)) <= set(listed)


def live(root: str, fuse: Fuse) -> None:
    """Compact with stores that die when the fuse is burnt."""
    with Run(stores=lambda _: MortalStore(fuse)) as run:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(run.options()))
        _ = pipeline | lake.Compact(root, age_s=0)
        pipeline.run().wait_until_finish()
        run.commit({})


@pytest.mark.parametrize("power", [False, True])
def test_death_at_any_step_changes_the_lake_or_not(tmp_path: Path, power: bool) -> None:
    """The process or the machine dies at each step of the commit: each row is there once."""
    first = tmp_path / "first"
    write(str(first / "lake"), 0, 10)
    step, done = 0, False
    while not done:
        root = str(shutil.copytree(first, tmp_path / str(step)) / "lake")
        fuse = Fuse(step, power=power)
        with contextlib.suppress(Crash):
            live(root, fuse)
            done = True
        assert set(numbers(root)) == set(range(20))
        assert numbers(root, lake.files_of(root)) == list(range(20))
        step += 1
    assert step > 10
