"""``lake.Write`` on runners, in a run and without end, and what readers see of it."""

from __future__ import annotations

import errno
import os
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterWatermark,
    Repeatedly,
)
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    Sessions,
    TimestampedValue,
)
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming

from connectors import lake
from connectors.files.steps import Target, WritePanes
from connectors.lake import FileOptions
from connectors.lake.write import HiveFolders
from connectors.ledger import Commit, Ledger
from connectors.local_store import LocalStore
from connectors.run import Run
from runners.local import LocalRunner
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError, TransientError
from transforms.message import MESSAGE

Graph = Callable[[beam.Pipeline], object]


def batch(start: int, count: int, carrier: str | None = "UA") -> Batch:
    numbers = list(range(start, start + count))
    message = [{"data": b"payload"}] * count
    return Batch(pa.record_batch({"n": numbers, "carrier": pa.array([carrier] * count, pa.string()),
                                  MESSAGE: message}))  # fmt: skip


def in_windows(batches: list[tuple[int, Batch]]) -> Graph:
    """Return batches at their times, in windows of a minute."""

    def build(pipeline: beam.Pipeline) -> beam.PCollection:
        elements = [TimestampedValue(batch, time) for time, batch in batches]
        return (
            pipeline
            | beam.Create(elements, reshuffle=False)
            | beam.Map(lambda batch: batch).with_output_types(Batch)
            | beam.WindowInto(FixedWindows(60))
        )

    return build


def run(source: Graph, *writes: beam.PTransform) -> Commit:
    """Execute a bounded run and commit it."""
    with Run() as unit:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(unit.options()))
        batches = source(pipeline)
        for number, write in enumerate(writes):
            _ = batches | f"Write{number}" >> write
        pipeline.run().wait_until_finish()
        return unit.commit({})


def numbers(root: Path) -> list[int]:
    return sorted(ds.dataset(root, partitioning="hive").to_table()["n"].to_pylist())


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def shard_of(name: str) -> tuple[str, int, int]:
    """Return window, shard and number of shards of a file."""
    window, _, shard, _, total, *_ = name.split("-")
    return window, int(shard), int(total)


MINUTES = [(0, batch(0, 3)), (30, batch(3, 2, "AA")), (60, batch(5, 4))]


def test_a_run_writes_each_row_once_by_window_and_folder(tmp_path: Path) -> None:
    """One file per window and folder, named by window, pane, shard and run."""
    commit = run(in_windows(MINUTES), lake.Write(str(tmp_path / "lake"), partition_by="carrier"))
    assert numbers(tmp_path / "lake") == list(range(9))
    first, second = "19700101T000000_19700101T000100", "19700101T000100_19700101T000200"
    assert names(tmp_path / "lake") == [
        f"carrier=AA/{first}-pane0-00000-of-00001-{commit.id}.parquet",
        f"carrier=UA/{first}-pane0-00000-of-00001-{commit.id}.parquet",
        f"carrier=UA/{second}-pane0-00000-of-00001-{commit.id}.parquet",
    ]
    assert {file.path for file in commit.files} == {
        str(tmp_path / "lake" / name) for name in names(tmp_path / "lake")
    }


def test_two_runs_with_rows_of_one_window_keep_both(tmp_path: Path) -> None:
    """A second run adds files and replaces none."""
    for start in (0, 10):
        run(in_windows([(0, batch(start, 3))]), lake.Write(str(tmp_path / "lake")))
    assert numbers(tmp_path / "lake") == [0, 1, 2, 10, 11, 12]


def test_the_messages_are_not_written_nor_shuffled(tmp_path: Path) -> None:
    """Payloads would double the cost of the shuffle."""
    run(in_windows(MINUTES), lake.Write(str(tmp_path / "lake")))
    assert ds.dataset(tmp_path / "lake").schema.names == ["n", "carrier"]


def test_batches_keep_their_own_coder_through_the_shuffle(tmp_path: Path) -> None:
    """Arrow IPC and not pickle: a pickled slice carries its parent."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = in_windows(MINUTES)(pipeline) | lake.Write(str(tmp_path / "lake"))
    proto = str(pipeline.to_runner_api().components.coders)
    assert "BatchCoder" in proto


def test_a_run_without_rows_commits_nothing(tmp_path: Path) -> None:
    """The manifest is written all the same, so that the end of the graph is known."""
    commit = run(in_windows([]), lake.Write(str(tmp_path / "lake")))
    assert commit.files == ()
    assert names(tmp_path / "lake") == []
    assert Ledger(str(tmp_path / "lake")).commits() == []


def test_several_writes_commit_together(tmp_path: Path) -> None:
    """Two lakes, and two writers of one lake, appear at once, and none is in another's way."""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    commit = run(in_windows(MINUTES), lake.Write(a), lake.Write(b), lake.Write(a))
    assert numbers(tmp_path / "b") == list(range(9))
    assert numbers(tmp_path / "a") == sorted([*range(9), *range(9)])
    assert len(commit.files) == 6


def test_nothing_is_visible_before_the_commit(tmp_path: Path) -> None:
    """Until then the files are staged; leaving without commit removes them."""
    with Run() as unit:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(unit.options()))
        _ = in_windows(MINUTES)(pipeline) | lake.Write(str(tmp_path / "lake"))
        pipeline.run().wait_until_finish()
        assert names(tmp_path / "lake") == []
        assert len(list(tmp_path.rglob("*.parquet.staged"))) == 2
    assert not list(tmp_path.rglob("*.parquet.staged"))
    assert names(tmp_path / "lake") == []


def test_shards_split_a_pane(tmp_path: Path) -> None:
    """Batches go to the shards in turn; together they hold each row once."""
    batches = [(0, batch(start, 5)) for start in range(0, 50, 5)]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = in_windows(batches)(pipeline) | lake.Write(str(tmp_path / "lake"), shards=3)
    assert numbers(tmp_path / "lake") == list(range(50))
    assert [name.split("-")[2:5] for name in names(tmp_path / "lake")] == [
        ["00000", "of", "00003"], ["00001", "of", "00003"], ["00002", "of", "00003"]]  # fmt: skip


def test_files_of_several_bundles_are_shards_of_a_run(tmp_path: Path) -> None:
    """Whatever bundles there are, the files of a window are numbered and hold each row once."""
    batches = [(60 * (start % 2), batch(start * 5, 5)) for start in range(10)]

    def cut(pipeline: beam.Pipeline) -> beam.PCollection:
        return in_windows(batches)(pipeline) | beam.Reshuffle()

    with Run() as unit:
        options = PipelineOptions([*unit.options(), "--direct_num_workers=2"])
        options.view_as(DirectOptions).direct_running_mode = "multi_threading"
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
        _ = cut(pipeline) | lake.Write(str(tmp_path / "lake"))
        pipeline.run().wait_until_finish()
        unit.commit({})
    assert numbers(tmp_path / "lake") == list(range(50))
    windows = Counter(name.split("-")[0] for name in names(tmp_path / "lake"))
    found = {shard_of(name) for name in names(tmp_path / "lake")}
    assert found == {(window, k, n) for window, n in windows.items() for k in range(n)}


def test_session_windows_are_merged_before_they_are_written(tmp_path: Path) -> None:
    """A session is one window and one file, although its batches came with windows of their own."""
    batches = [(0, batch(0, 2)), (5, batch(2, 2)), (100, batch(4, 2))]

    def sessions(pipeline: beam.Pipeline) -> beam.PCollection:
        return in_windows(batches)(pipeline) | "Sessions" >> beam.WindowInto(Sessions(10))

    run(sessions, lake.Write(str(tmp_path / "lake")))
    assert numbers(tmp_path / "lake") == list(range(6))
    starts = [name.split("-")[0] for name in names(tmp_path / "lake")]
    assert starts == ["19700101T000000_19700101T000015", "19700101T000140_19700101T000150"]


def test_the_global_window_is_written_too(tmp_path: Path) -> None:
    """A bounded pipeline needs no windows."""
    commit = run(
        lambda pipeline: pipeline | beam.Create([batch(0, 3)], reshuffle=False),
        lake.Write(str(tmp_path / "lake")),
    )
    assert names(tmp_path / "lake") == [f"pane0-00000-of-00001-{commit.id}.parquet"]


def test_what_was_written_is_counted_and_given(tmp_path: Path) -> None:
    """Counters and the output agree with the files."""
    counted: dict[str, int] = {}

    def count(metric: metrics.Metric, amount: int) -> None:
        counted[metric.name] = counted.get(metric.name, 0) + amount

    metrics.watch(count)
    try:
        commit = run(in_windows(MINUTES), lake.Write(str(tmp_path / "lake")))
    finally:
        metrics.unwatch(count)
    assert counted["rows_written"] == 9 == sum(file.rows for file in commit.files)
    assert counted["files_written"] == 2
    assert counted["bytes_written"] == sum(
        path.stat().st_size for path in (tmp_path / "lake").rglob("*.parquet")
    )


CARRIERS = ["UA", "a/b", "50%", None, "=:?", "ø", "x y"]


@pytest.fixture
def busy_lake(tmp_path: Path) -> Iterator[Path]:
    """A lake that has been committed to, while another run has files staged."""
    batches = [(0, batch(index, 1, carrier)) for index, carrier in enumerate(CARRIERS)]
    write = lake.Write(str(tmp_path / "lake"), partition_by="carrier")
    run(in_windows(batches), write)
    with Run() as unit:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(unit.options()))
        again = lake.Write(str(tmp_path / "lake"), partition_by="carrier")
        _ = in_windows(MINUTES)(pipeline) | again
        pipeline.run().wait_until_finish()
        assert list(tmp_path.rglob("*.parquet.staged"))
        yield tmp_path / "lake"


EXPECTED = dict(enumerate(CARRIERS))


def test_duckdb_reads_the_folder(busy_lake: Path) -> None:
    """With its partitions, and nothing that is not committed."""
    query = (
        f"select n, carrier from read_parquet('{busy_lake}/**/*.parquet', hive_partitioning=true)"
    )
    assert dict(duckdb.sql(query).fetchall()) == EXPECTED


def test_polars_reads_the_folder(busy_lake: Path) -> None:
    """By the bare folder: Polars opens every file below it."""
    frame = pl.scan_parquet(busy_lake, hive_partitioning=True).select("n", "carrier").collect()
    assert dict(frame.rows()) == EXPECTED


def test_arrow_reads_the_folder(busy_lake: Path) -> None:
    """As a dataset with Hive partitions."""
    table = ds.dataset(busy_lake, partitioning="hive").to_table()
    assert dict(zip(table["n"].to_pylist(), table["carrier"].to_pylist(), strict=True)) == EXPECTED


def test_a_wildcard_of_parquet_files_matches_committed_files_alone(busy_lake: Path) -> None:
    """An external table names its files by a pattern like this."""
    assert sum(pq.read_metadata(path).num_rows for path in busy_lake.rglob("*.parquet")) == 7
    assert all(path.stat().st_size == 0 for path in busy_lake.iterdir() if path.is_file())


def stream(root: Path, events: test_stream.TestStream, **write: object) -> None:
    """Execute a stream without a run: files appear as panes fire."""
    options = PipelineOptions(streaming=True)
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        _ = (
            pipeline
            | events
            | beam.Map(lambda batch: batch).with_output_types(Batch)
            | beam.WindowInto(
                FixedWindows(60),
                trigger=AfterWatermark(late=AfterCount(1)),
                accumulation_mode=AccumulationMode.DISCARDING,
                allowed_lateness=600,
            )
            | lake.Write(str(root), **write)  # type: ignore[arg-type]
        )


def late_stream() -> test_stream.TestStream:
    return (
        test_stream.TestStream()
        .add_elements([TimestampedValue(batch(0, 3), 10)])
        .advance_watermark_to(70)
        .add_elements([TimestampedValue(batch(3, 2), 20)])
        .advance_watermark_to_infinity()
    )


def test_late_rows_get_files_of_their_own(tmp_path: Path) -> None:
    """Without a run files appear pane by pane; the late pane's name says so."""
    stream(tmp_path / "lake", late_stream(), job="job")
    window = "19700101T000000_19700101T000100"
    assert names(tmp_path / "lake") == [
        f"{window}-pane0-00000-of-00001-job.parquet",
        f"{window}-pane1-late-00000-of-00001-job.parquet",
    ]
    assert numbers(tmp_path / "lake") == [0, 1, 2, 3, 4]
    assert not list(tmp_path.rglob("*.staged"))


def test_the_same_pane_written_again_replaces_its_file(tmp_path: Path) -> None:
    """A bundle that is tried again leaves its rows once."""
    for _ in range(2):
        stream(tmp_path / "lake", late_stream(), job="job")
    assert numbers(tmp_path / "lake") == [0, 1, 2, 3, 4]


def test_another_launch_replaces_nothing(tmp_path: Path) -> None:
    """Unless a job is named, each launch has a name of its own."""
    for _ in range(2):
        stream(tmp_path / "lake", late_stream())
    assert numbers(tmp_path / "lake") == sorted([0, 1, 2, 3, 4] * 2)


def rows_without_end(pipeline: beam.Pipeline) -> beam.PCollection:
    """Return batches that come without end, as far as the pipeline knows, and have no windows."""
    events = (
        test_stream.TestStream()
        .add_elements([TimestampedValue(batch(0, 3), 0)])
        .advance_processing_time(0.1)
        .add_elements([TimestampedValue(batch(3, 2), 0)])
        .advance_processing_time(1)
        .add_elements([TimestampedValue(batch(5, 1), 0)])
        .advance_processing_time(1)
        .advance_watermark_to_infinity()
    )
    return pipeline | events | beam.Map(lambda batch: batch).with_output_types(Batch)


def test_rows_without_windows_are_written_every_so_often(tmp_path: Path) -> None:
    """What came within the time is one file; a time of less than a second is kept."""
    options = PipelineOptions(["--headrace_job=job"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as pipeline:
        _ = rows_without_end(pipeline) | lake.Write(str(tmp_path / "lake"), every_s=0.2)
    assert names(tmp_path / "lake") == [
        "pane0-00000-of-00001-job.parquet", "pane1-00000-of-00001-job.parquet",
    ]  # fmt: skip
    first, second = sorted((tmp_path / "lake").rglob("*.parquet"))
    assert pq.read_table(first)["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert pq.read_table(second)["n"].to_pylist() == [5]


def test_a_trigger_that_was_chosen_is_kept(tmp_path: Path) -> None:
    """The global window with a trigger of its own is not given another; here the end is first."""
    with beam.Pipeline(runner=LocalRunner()) as pipeline:
        _ = (
            rows_without_end(pipeline)
            | beam.WindowInto(
                GlobalWindows(),
                trigger=Repeatedly(AfterCount(6)),
                accumulation_mode=AccumulationMode.DISCARDING,
            )
            | lake.Write(str(tmp_path / "lake"))
        )
    assert len(names(tmp_path / "lake")) == 1
    assert numbers(tmp_path / "lake") == [0, 1, 2, 3, 4, 5]


def test_a_bounded_input_on_the_local_runner_is_one_pane(tmp_path: Path) -> None:
    """Rows without windows that end are written at their end."""
    with beam.Pipeline(runner=LocalRunner()) as pipeline:
        batches = pipeline | beam.Create([batch(0, 3), batch(3, 3)])
        _ = batches | lake.Write(str(tmp_path / "lake"))
    assert numbers(tmp_path / "lake") == [0, 1, 2, 3, 4, 5]
    assert len(names(tmp_path / "lake")) == 1


def test_a_time_between_files_is_some_milliseconds() -> None:
    """Nothing and negative times are refused when the transform is made."""
    with pytest.raises(ConfigError):
        lake.Write("lake", every_s=0)


def test_a_pane_is_read_batch_by_batch(tmp_path: Path) -> None:
    """The rows of a large pane are never in memory at once: batches are asked for one by one."""
    root = tmp_path / "lake"
    Ledger(str(root)).open()
    options = FileOptions(row_group_rows=1_000)
    step = WritePanes(
        Target(str(root), None, "job", HiveFolders(()), 1, options, metrics.ROWS_WRITTEN)
    )
    step.setup()
    alive: weakref.WeakSet[Batch] = weakref.WeakSet()
    most = 0

    def pane() -> Iterator[Batch]:
        nonlocal most
        for start in range(0, 50_000, 1_000):
            each = Tracked(batch(start, 1_000).drop([MESSAGE]).rows)
            alive.add(each)
            most = max(most, len(alive))
            yield each

    (file,) = step.process((0, pane()), GlobalWindow(), PANE)
    step.teardown()
    assert file.rows == 50_000
    assert most <= 3
    assert not list(tmp_path.rglob("*.staged"))
    assert os.listdir(Ledger(str(root)).staging) == []


class Tracked(Batch):
    """A batch that can be watched."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # type: ignore[assignment]


PANE = PaneInfo(
    is_first=True, is_last=True, timing=PaneInfoTiming.ON_TIME, index=0, nonspeculative_index=0
)


def test_accumulating_panes_are_refused(tmp_path: Path) -> None:
    """They would repeat the rows of earlier panes."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    batches = in_windows(MINUTES)(pipeline) | "Panes" >> beam.WindowInto(
        FixedWindows(60),
        trigger=AfterWatermark(early=AfterCount(1)),
        accumulation_mode=AccumulationMode.ACCUMULATING,
    )
    with pytest.raises(ConfigError, match="ACCUMULATING"):
        _ = batches | lake.Write(str(tmp_path / "lake"))


@pytest.mark.parametrize("shards", [0, -1])
def test_a_pane_needs_a_shard(tmp_path: Path, shards: int) -> None:
    """The error names the argument and the rule."""
    with pytest.raises(ConfigError, match=r"shards=.*at least 1"):
        lake.Write(str(tmp_path), shards=shards)


def test_a_folder_that_cannot_be_written_is_found_at_construction() -> None:
    """Nothing is read before the output is known to be good, with a run and without."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    with pytest.raises(ConfigError, match="can't be written"):
        _ = in_windows(MINUTES)(pipeline) | lake.Write("/proc/lake")
    with pytest.raises(ConfigError, match="can't be written"):
        run(in_windows(MINUTES), lake.Write("/proc/lake"))


def test_a_full_disk_stops_the_run_and_leaves_what_was_there(volume: Path) -> None:
    """Rows of earlier runs stay, staged files go, and the error says what to do."""
    run(in_windows([(0, batch(0, 3))]), lake.Write(str(volume)))
    noise = Batch(pa.record_batch({"x": [os.urandom(1_000) for _ in range(400)]}))
    with pytest.raises(TransientError, match="disk full while writing"):
        run(in_windows([(0, noise)]), lake.Write(str(volume)))
    assert numbers(volume) == [0, 1, 2]
    assert not list(volume.rglob("*.staged"))
    assert list((volume / "_headrace" / "staging").iterdir()) == []


class _Full(LocalStore):
    """A disk without room for files of the lake, but with some for its records."""

    def output(self, path: str) -> pa.NativeFile:
        raise OSError(errno.ENOSPC, "No space left on device", path)


def test_a_full_disk_is_explained_wherever_it_is_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is visible, nothing stays staged, and the next run with room writes all rows."""
    root = str(tmp_path / "lake")
    with monkeypatch.context() as patch:
        patch.setattr("connectors.files.steps.store_of", lambda _root: _Full())
        with pytest.raises(TransientError, match="disk full while writing"):
            run(in_windows(MINUTES), lake.Write(root))
    assert not list(tmp_path.rglob("*.staged"))
    assert names(tmp_path / "lake") == []
    run(in_windows(MINUTES), lake.Write(root))
    assert numbers(tmp_path / "lake") == list(range(9))
