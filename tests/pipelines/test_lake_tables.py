"""The main job to tables of Delta Lake and Iceberg, with its real command line."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from deltalake import DeltaTable

from connectors import lake, pubsub
from connectors.broker import Broker
from connectors.job import JobOptions
from connectors.objects import store_of
from connectors.run import Run
from connectors.tables.commit import next_version
from connectors.tables.delta import storage_options
from connectors.tables.table import open_table
from pipelines import lake_compact, launch, pubsub_to_lake, pubsub_to_storage
from pipelines.demo import flights
from pipelines.params import parse_flags
from runners import direct
from runners.local import LocalRunner
from tests.processes import wait_until
from tests.storage_servers import Fault, StorageServer
from tests.storage_xml import XmlServer
from tests.tables import KINDS, commits_of, files_of, rows_of, spec_of
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError, TransientError
from transforms.metrics import NAMESPACE

TOPIC = "projects/demo/topics/flights"
SUBSCRIPTION = "projects/demo/subscriptions/flights"
SCHEMA = Path(flights.__file__).with_name("flights.json")
FLIGHTS = 2_600
"""Of three days."""
SHARE = 0.05
"""Of requests to Cloud Storage that fail."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


@pytest.fixture(scope="module")
def stream() -> flights.Stream:
    return flights.stream(FLIGHTS)


@pytest.fixture
def subscription(
    stream: flights.Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A subscription with the flights as its backlog."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC)
        with pubsub.Publisher(TOPIC) as publisher:
            for batch in stream.batches:
                publisher.publish(batch)
        yield SUBSCRIPTION


def argv(tmp_path: Path, kind: str, *more: str) -> list[str]:
    return [
        f"--subscription={SUBSCRIPTION}", f"--schema={SCHEMA}", f"--output={tmp_path / 'lake'}",
        f"--dead_letter={tmp_path / 'dead'}", "--event_time=departure", "--window=fixed:1d",
        "--dedup_by=attribute:event_id", "--partition_by=date(departure),carrier",
        f"--table_format={kind}", *more,
    ]  # fmt: skip


def drain(arguments: list[str], messages: int) -> None:
    """Run the job on the local runner until it has committed so many messages, and drain it."""
    params, rest = parse_flags(pubsub_to_lake.Params, arguments, launch.beam_parser())
    pipeline = beam.Pipeline(runner=LocalRunner(), options=PipelineOptions(rest))
    pipeline.options.view_as(JobOptions).headrace_job = "job"
    pubsub_to_lake.build(pipeline, params)
    result = pipeline.run()
    wait_until(lambda: result.progress().numbers.get((NAMESPACE, "messages_read")) == messages, 60)
    result.stop("drain")
    assert result.wait_until_finish() == "DRAINED"


def dead_letters(tmp_path: Path) -> int:
    files = [str(path) for path in (tmp_path / "dead").rglob("*.parquet")]
    return ds.dataset(files).count_rows() if files else 0


def expected() -> dict[str, tuple[object, ...]]:
    """Return the flights by their ids, from where the stream has them."""
    frame = flights.events(FLIGHTS).astype(object)
    frame = frame.where(frame.notna(), None)
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in frame["departure"]]
    return dict(
        zip(frame["event_id"], zip(frame["carrier"], times, frame["dep_delay"], strict=True),
            strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("runner", ["direct", "local"])
def test_flights_are_in_the_table_once(
    kind: str, runner: str, subscription: str, stream: flights.Stream, tmp_path: Path
) -> None:
    """Published = rows + duplicates + dead letters; what the log names is what is on disk."""
    if runner == "direct":
        assert launch.status(pubsub_to_lake, argv(tmp_path, kind)) == 0
    else:
        drain(argv(tmp_path, kind, "--commit_every=100ms"), stream.published)
    root = str(tmp_path / "lake")
    rows = rows_of(kind, root)
    assert len(rows) == stream.unique
    assert dead_letters(tmp_path) == stream.corrupt
    assert stream.published == len(rows) + stream.duplicates + stream.corrupt
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in rows["departure"].to_pylist()]
    told = zip(rows["carrier"].to_pylist(), times, rows["dep_delay"].to_pylist(), strict=True)
    kept = dict(zip(rows["event_id"].to_pylist(), told, strict=True))
    assert len(kept) == len(rows)
    assert kept.items() <= expected().items()
    assert files_of(kind, root) == sorted(map(str, Path(root).glob("date=*/**/*.parquet")))
    if kind == "delta":
        days = {str(value) for value in rows["date"].to_pylist()}
        assert days == {path.name.removeprefix("date=") for path in Path(root).glob("date=*")}


def test_the_next_run_adds_to_the_table(
    kind: str, subscription: str, stream: flights.Stream, tmp_path: Path
) -> None:
    """Each run is one commit, numbered by the lake; one without messages is none."""
    arguments = argv(tmp_path, kind)
    assert launch.status(pubsub_to_lake, [*arguments, "--max_messages=1000"]) == 0
    assert launch.status(pubsub_to_lake, arguments) == 0
    assert launch.status(pubsub_to_lake, arguments) == 0
    commits = commits_of(kind, str(tmp_path / "lake"))
    assert [version for _, version in commits] == [1, 2]
    assert len({app for app, _ in commits}) == 1
    # Deduplicated within a run: a repeated event may be in both.
    assert len(set(rows_of(kind, str(tmp_path / "lake"))["event_id"].to_pylist())) == stream.unique


def test_partitions_are_pruned(kind: str, subscription: str, tmp_path: Path) -> None:
    """Readers find the rows of a day and a carrier by the log alone."""
    import polars as pl  # noqa: PLC0415 - a second of imports

    assert launch.status(pubsub_to_lake, argv(tmp_path, kind)) == 0
    root = str(tmp_path / "lake")
    rows = pl.from_arrow(rows_of(kind, root))
    assert isinstance(rows, pl.DataFrame)
    wanted = rows.filter(pl.col("carrier") == "UA").height
    assert wanted
    if kind == "delta":
        found = pl.scan_delta(root).filter(pl.col("carrier") == "UA").collect()
        assert found.height == wanted
    else:
        from connectors.tables.catalogs import catalog_of  # noqa: PLC0415

        table = catalog_of(spec_of(kind, root)).load_table("default.lake")
        scan = table.scan(row_filter="carrier = 'UA'")
        assert scan.to_arrow().num_rows == wanted
        assert all("carrier=UA" in task.file.file_path for task in scan.plan_files())


BAD = {
    "format": (["--table_format=hudi"], ["--table_format='hudi'", "delta or iceberg"]),
    "catalog of delta": (["--table_format=delta", "--catalog=x"], ["--catalog='x'", "iceberg"]),
    "secret": (["--table_format=iceberg", "--catalog=token=abc"], ["--catalog=", "secret"]),
    "name": (["--table_format=iceberg", "--iceberg_table=x"], ["--iceberg_table='x'", "namespace"]),
    "columns of files": (["--add_columns"], ["--add_columns", "--table_format=delta"]),
    "commits of files": (["--commit_every=5s"], ["--commit_every='5s'", "--table_format=delta"]),
    "minutes": (
        ["--table_format=iceberg", "--partition_by=minute(departure)"],
        ["--partition_by", "minute(departure)", "no partition of Iceberg"],
    ),
    "no catalog": (
        ["--table_format=iceberg", "--output=gs://none/lake"],
        ["--catalog", "SQLite", "gs://none/lake"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_flags_are_refused_before_anything_starts(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the flag, the rule and the fix; no folder is made."""
    more, words = BAD[name]
    assert launch.status(pubsub_to_lake, [*argv(tmp_path, "parquet"), *more]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert not (tmp_path / "lake").exists()


def test_another_schema_is_refused_before_a_message_is_taken(
    kind: str, subscription: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names column and types; with the schema of the table the same command works."""
    fields = json.loads(SCHEMA.read_text())
    other = tmp_path / "other.json"
    changed = [
        field | {"type": "STRING"} if field["name"] == "flight" else field for field in fields
    ]
    other.write_text(json.dumps(changed))
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind, "--max_messages=100")) == 0
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind, f"--schema={other}")) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --schema='flight: string'")
    assert "int64" in error
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind)) == 0


def test_a_new_column_is_added_when_asked(
    kind: str, subscription: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of before have null there."""
    fields = json.loads(SCHEMA.read_text())
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps([field for field in fields if field["name"] != "distance"]))
    first = argv(tmp_path, kind, "--max_messages=100", f"--schema={fewer}")
    assert launch.status(pubsub_to_lake, first) == 0
    before = len(rows_of(kind, str(tmp_path / "lake")))
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind)) == 2
    error = capsys.readouterr().err
    assert "error: --schema='distance: " in error
    assert "(--add_columns)" in error
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind, "--add_columns")) == 0
    rows = rows_of(kind, str(tmp_path / "lake"))
    assert rows["distance"].null_count == before
    assert len(rows) > before


def assert_told(error: str, flag: str, root: Path, kind: str) -> None:
    name = {"delta": "Delta Lake", "iceberg": "Apache Iceberg"}[kind]
    assert f"error: {flag}='{root}': is a table of {name}" in error, error
    assert f"table_format={kind}" in error


def test_tables_are_left_to_their_own_tools(
    kind: str, subscription: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither compaction, nor plain files, nor another format may change what a log describes."""
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind, "--max_messages=100")) == 0
    files = files_of(kind, str(tmp_path / "lake"))
    assert launch.status(lake_compact, [f"--lake={tmp_path / 'lake'}", "--age=0s"]) == 2
    error = capsys.readouterr().err
    assert {"delta": "optimize.compact()", "iceberg": "rewrite_data_files"}[kind] in error
    (other,) = set(KINDS) - {kind}
    root = tmp_path / "lake"
    for more in (["--table_format=parquet"], [f"--table_format={other}"]):
        assert launch.status(pubsub_to_lake, argv(tmp_path, kind, *more)) == 2
        assert_told(capsys.readouterr().err, "--output", root, kind)
    storage = [f"--subscription={SUBSCRIPTION}", f"--output={root}", f"--dead_letter={root}-dead"]
    assert launch.status(pubsub_to_storage, storage) == 2
    assert_told(capsys.readouterr().err, "--output", root, kind)
    dead = [f"--output={tmp_path / 'other'}", f"--dead_letter={root}", "--table_format=parquet"]
    assert launch.status(pubsub_to_lake, argv(tmp_path, kind, *dead)) == 2
    assert_told(capsys.readouterr().err, "--dead_letter", root, kind)
    assert files_of(kind, str(tmp_path / "lake")) == files


# --- without the command line ---------------------------------------------------------------------


def numbers(*values: int) -> Batch:
    return Batch(pa.record_batch({"n": list(values), "k": [value % 2 for value in values]}))


def run(root: str, option: lake.Delta | lake.Iceberg, *batches: Batch) -> None:
    with Run() as whole:
        options = PipelineOptions(whole.options())
        pipeline = beam.Pipeline(runner=direct.bounded_runner(), options=options)
        source = pipeline | beam.Create(batches, reshuffle=False)
        _ = source | lake.Write(root, partition_by="k", table=option)
        pipeline.run().wait_until_finish()
        whole.commit({})


def option(kind: str, **more: Any) -> lake.Delta | lake.Iceberg:
    return lake.Delta(**more) if kind == "delta" else lake.Iceberg(**more)


def found(kind: str, root: str) -> list[int]:
    return sorted(rows_of(kind, root)["n"].to_pylist())


def test_late_panes_are_commits_of_their_own(kind: str, root: str) -> None:
    """Rows behind the watermark are added, and nothing that was there comes again."""
    events = (
        test_stream.TestStream()
        .add_elements([TimestampedValue(numbers(1, 2), 1)])
        .advance_watermark_to(100)
        .advance_processing_time(10)
        .add_elements([TimestampedValue(numbers(3), 2)])
        .advance_processing_time(10)
        .advance_watermark_to_infinity()
    )
    pipeline = beam.Pipeline(runner=LocalRunner(), options=PipelineOptions(["--streaming"]))
    windows = beam.WindowInto(
        FixedWindows(60), trigger=AfterWatermark(late=AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING, allowed_lateness=600,
    )  # fmt: skip
    write = lake.Write(root, job="job", table=option(kind, commit_s=1.0))
    written = pipeline | events | windows | write
    _ = (
        written.files
        | beam.Map(lambda file: file.rows)
        | beam.CombineGlobally(sum)
        | beam.Map(print)
    )
    pipeline.run().wait_until_finish()
    assert found(kind, root) == [1, 2, 3]
    assert any("-late" in path for path in files_of(kind, root))
    versions = [version for app, version in commits_of(kind, root) if app == "headrace/job/Write"]
    assert len(versions) == 2
    assert versions == sorted(set(versions))


def test_a_run_that_failed_leaves_the_table_as_it_was(kind: str, root: str) -> None:
    """Its files are removed, and no version names them."""
    run(root, option(kind), numbers(1))

    wider = Batch(pa.record_batch({"n": [3], "k": [1], "more": [0]}))
    with pytest.raises(ConfigError, match="more: int64"):
        run(root, option(kind), numbers(2), wider)
    assert found(kind, root) == [1]
    assert [path for path in Path(root).rglob("*.parquet") if "metadata" not in str(path)
            and "_delta_log" not in str(path)] == [Path(files_of(kind, root)[0])]  # fmt: skip


def test_a_table_that_fails_in_the_commit_is_mended_by_the_next_run(
    kind: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has committed and says so; its rows come first when the table works again."""
    run(root, option(kind), numbers(1))

    def refuse(*_arguments: object) -> bool:
        raise TransientError("no answer from the catalog")

    with monkeypatch.context() as patch:
        patch.setattr("connectors.finish.commit_files", refuse)
        with pytest.raises(TransientError, match=r"has committed, but.*no answer from the catalog"):
            run(root, option(kind), numbers(2))
        assert found(kind, root) == [1]
    run(root, option(kind), numbers(3))
    assert found(kind, root) == [1, 2, 3]
    assert [version for _, version in commits_of(kind, root)] == [1, 2, 3]


def test_a_column_of_null_and_empty_texts_is_partitioned(kind: str, root: str) -> None:
    """Delta Lake knows only null in a partition; Iceberg keeps the two apart."""
    texts = pa.array(["", None, "a/b=%é", "", "x"])
    batch = Batch(pa.record_batch({"n": list(range(5)), "k": texts}))
    run(root, option(kind), batch)
    kept = dict(zip(*(rows_of(kind, root)[name].to_pylist() for name in ("n", "k")), strict=True))
    empty = None if kind == "delta" else ""
    assert kept == {0: empty, 1: None, 2: "a/b=%é", 3: empty, 4: "x"}


# --- Cloud Storage --------------------------------------------------------------------------------


def remote(kind: str, bucket: str, tmp_path: Path) -> lake.Delta | lake.Iceberg:
    """Return a table on Cloud Storage; the catalog of Iceberg is a file here."""
    if kind == "delta":
        return lake.Delta(commit_s=0.1)
    catalog = f"type=sql,uri=sqlite:///{tmp_path / 'catalog.db'},warehouse={bucket}"
    return lake.Iceberg(catalog=catalog, commit_s=0.1)


def drained(root: str, option: lake.Delta | lake.Iceberg, job: str, *batches: Batch) -> None:
    pipeline = beam.Pipeline(runner=LocalRunner())
    source = pipeline | beam.Create(batches, reshuffle=False)
    _ = source | lake.Write(root, partition_by="k", job=job, table=option)
    pipeline.run().wait_until_finish()


def stored(option: lake.Delta | lake.Iceberg, root: str) -> list[int]:
    if isinstance(option, lake.Iceberg):
        return sorted(rows_of("iceberg", root, option.catalog)["n"].to_pylist())
    table = DeltaTable(root, storage_options=storage_options(root))
    return sorted(table.to_pyarrow_table()["n"].to_pylist())


@pytest.fixture
def clouds(
    bucket: str, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[XmlServer]:
    """Both APIs of Cloud Storage, of which ``deltalake`` needs the older one."""
    with XmlServer(storage_server.port) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


def test_a_table_on_cloud_storage(
    kind: str, bucket: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In runs, on a runner without end, and from two jobs at a time; nothing stays staged."""
    if kind == "delta":
        request.getfixturevalue("clouds")
    root = f"{bucket}/lake"
    option = remote(kind, bucket, tmp_path)
    run(root, option, numbers(1, 2))
    run(root, option, numbers(3))
    drained(root, option, "a", numbers(4, 5))
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(drained, root, option, f"b{n}", numbers(n)) for n in (6, 7)]:
            done.result()
    assert stored(option, root) == [1, 2, 3, 4, 5, 6, 7]
    assert not [file.name for file in store_of(bucket).walk(bucket) if "staging" in file.name]


@pytest.mark.parametrize("seed", [1, 2])
def test_lost_answers_of_cloud_storage_add_nothing_twice(
    seed: int, clouds: XmlServer, bucket: str, tmp_path: Path
) -> None:
    """A write that was done although nobody said so: the commit is recognised when tried again."""
    root = f"{bucket}/lake"
    option = remote("delta", bucket, tmp_path)
    drained(root, option, "first", numbers(0))
    print(f"seed {seed}")
    chance = random.Random(seed)

    def choose(method: str, _path: str) -> Fault | None:
        return chance.choice(["lose", "drop", 503]) if chance.random() < SHARE else None

    clouds.choose = choose
    for number in range(1, 6):
        drained(root, option, f"job{number}", numbers(number))
    assert clouds.injected
    clouds.choose = lambda _method, _path: None
    assert stored(option, root) == [0, 1, 2, 3, 4, 5]


# --- disks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", ["400k"], indirect=True)
def test_a_full_disk_stops_the_run_and_leaves_the_table(kind: str, volume: Path) -> None:
    """The table is readable, has the rows of earlier runs, and takes the next ones with room."""
    root = str(volume / "lake")
    run(root, option(kind), numbers(1))
    filler = volume / "filler"
    left = shutil.disk_usage(volume).free
    filler.write_bytes(os.urandom(max(0, left - 8_192)))
    with pytest.raises(TransientError, match=r"(?i)disk full|no space"):
        run(root, option(kind), numbers(2))
    filler.unlink()
    assert found(kind, root) in ([1], [1, 2])
    run(root, option(kind), numbers(3))
    rows = found(kind, root)
    assert rows == sorted(set(rows))
    assert {1, 3} <= set(rows)


def test_a_log_that_cannot_be_written_is_refused(kind: str, root: str) -> None:
    """A clear stop that names the table; the run's rows follow when it can be written."""
    run(root, option(kind), numbers(1))
    log = Path(root, {"delta": "_delta_log", "iceberg": "metadata"}[kind])
    aside = log.with_name("aside")
    with Run() as whole:
        options = PipelineOptions(whole.options())
        pipeline = beam.Pipeline(runner=direct.bounded_runner(), options=options)
        batches = pipeline | beam.Create([numbers(2)], reshuffle=False)
        _ = batches | lake.Write(root, partition_by="k", table=option(kind))
        pipeline.run().wait_until_finish()
        log.rename(aside)
        log.write_text("no folder")
        try:
            with pytest.raises((PermanentError, ConfigError)) as refused:
                whole.commit({})
        finally:
            log.unlink()
            aside.rename(log)
    assert root in str(refused.value)
    assert next_version(open_table(spec_of(kind, root)), commits_of(kind, root)[0][0]) == 2
    run(root, option(kind), numbers(3))
    assert set(found(kind, root)) >= {1, 3}
