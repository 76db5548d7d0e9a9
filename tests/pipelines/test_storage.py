"""``storage.Write`` and the archive on runners, on disk and on a server of Cloud Storage."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from connectors import storage
from connectors.files.writer import Format
from connectors.objects import ObjectStore, store_of
from connectors.run import Run
from runners.local import LocalRunner
from tests.conftest import message_batch
from tests.storage_servers import FaultyProxy, StorageServer, faults
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError, TransientError
from transforms.message import MESSAGE, MESSAGE_SCHEMA

WINDOW = "19700101T000000_19700101T000100"


def batch(start: int, count: int) -> Batch:
    columns = {"n": list(range(start, start + count)), "text": ["ø"] * count,
               MESSAGE: [{"data": b"x"}] * count}  # fmt: skip
    return Batch(pa.record_batch(columns))


@pytest.fixture(params=["disk", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on disk, then one on Cloud Storage."""
    if request.param == "disk":
        return str(tmp_path / "out")
    return f"{request.getfixturevalue('bucket')}/out"


def names(root: str) -> list[str]:
    found = [file.name for file in store_of(root).walk(root)]
    return sorted(name for name in found if not name.startswith("_lake-"))


def content(root: str, name: str) -> bytes:
    return store_of(root).read(f"{root}/{name}")


def bounded(root: str, transform: beam.PTransform, *batches: Batch) -> str:
    """Execute a run that commits; return its id."""
    with Run() as run:
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(run.options()))
        timed = [TimestampedValue(each, 60 * number) for number, each in enumerate(batches)]
        _ = (
            pipeline
            | beam.Create(timed, reshuffle=False)
            | beam.Map(lambda each: each).with_output_types(Batch)
            | beam.WindowInto(FixedWindows(60))
            | transform
        )
        pipeline.run().wait_until_finish()
        assert names(root) == []
        return run.commit({}).id


def late_stream() -> test_stream.TestStream:
    return (
        test_stream.TestStream()
        .add_elements([TimestampedValue(batch(0, 3), 10)])
        .advance_watermark_to(70)
        .add_elements([TimestampedValue(batch(3, 2), 20)])
        .advance_watermark_to_infinity()
    )


def endless(transform: beam.PTransform, job: str = "job") -> None:
    """Execute a stream with a late batch, without a run."""
    options = PipelineOptions([f"--headrace_job={job}"])
    with beam.Pipeline(runner=LocalRunner(), options=options) as pipeline:
        _ = (
            pipeline
            | late_stream()
            | beam.Map(lambda each: each).with_output_types(Batch)
            | beam.WindowInto(
                FixedWindows(60),
                trigger=AfterWatermark(late=AfterCount(1)),
                accumulation_mode=AccumulationMode.DISCARDING,
                allowed_lateness=600,
            )
            | transform
        )


def of_json(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]


READERS: list[tuple[Format, Callable[[bytes], list[Any]]]] = [
    (storage.JsonLines("none"), of_json),
    (storage.JsonLines("gzip"), lambda data: of_json(gzip.decompress(data))),
    (storage.JsonLines("zstd"), lambda data: pl.read_ndjson(data).to_dicts()),
    (storage.Avro(), lambda data: list(fastavro.reader(io.BytesIO(data)))),
    (storage.Avro("zstandard"), lambda data: list(fastavro.reader(io.BytesIO(data)))),
    (storage.Parquet(), lambda data: pq.read_table(pa.BufferReader(data)).to_pylist()),
]


@pytest.mark.parametrize(("files", "read"), READERS)
def test_a_run_writes_every_format(
    root: str, files: Format, read: Callable[[bytes], list[Any]]
) -> None:
    """A file per window, in the folder of its start; all appear with the commit."""
    write = storage.Write(root, files, folders="%Y/%H%M")
    run = bounded(root, write, batch(0, 3), batch(3, 40_000))
    first, second = names(root)
    assert first == f"1970/0000/{WINDOW}-pane0-00000-of-00001-{run}{files.suffix}"
    assert second.startswith("1970/0001/19700101T000100_")
    assert read(content(root, first)) == [{"n": n, "text": "ø"} for n in range(3)]
    assert [row["n"] for row in read(content(root, second))] == list(range(3, 40_003))


@pytest.mark.parametrize("files", [storage.JsonLines("none"), storage.Avro(), storage.Parquet()])
def test_late_rows_get_objects_of_their_own(root: str, files: Format) -> None:
    """On a runner without end files appear pane by pane; written again, they are the same."""
    for _ in range(2):
        endless(storage.Write(root, files, folders="%Y-%m-%d"))
        assert names(root) == [
            f"1970-01-01/{WINDOW}-pane0-00000-of-00001-job{files.suffix}",
            f"1970-01-01/{WINDOW}-pane1-late-00000-of-00001-job{files.suffix}",
        ]


def test_another_job_adds_its_own(root: str) -> None:
    """Two jobs that write the same window don't meet."""
    for job in ("a", "b"):
        endless(storage.Write(root, storage.JsonLines("none")), job)
    rows = [row["n"] for name in names(root) for row in of_json(content(root, name))]
    assert sorted(rows) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_template_without_windows_is_refused(tmp_path: Path) -> None:
    """Before anything runs."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    rows = pipeline | beam.Create([batch(0, 1)])
    with pytest.raises(ConfigError, match=r"folders='%Y'.*the rows have no windows"):
        _ = rows | storage.Write(str(tmp_path), folders="%Y")


def messages() -> Batch:
    """Return messages of every kind: all bytes, no attributes, keys, times to the microsecond."""
    rows = message_batch([bytes(range(256)), b"", "ø\n".encode(), b'{"a": "b"}']).to_pylist()
    rows[0].update(attributes=[("ø", '"'), ("", "\n")], ordering_key="k/ø", delivery_attempt=3)
    rows[1].update(attributes=[])
    rows[2].update(publish_time=rows[2]["publish_time"].replace(microsecond=123_457))
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


@pytest.mark.parametrize("files", [files for files, _ in READERS])
def test_an_archive_gives_every_byte_back(root: str, files: Format) -> None:
    """Data, attributes, id, time, ordering key; in order, and batches of the schema."""
    bounded(root, storage.Archive(root, files, folders="%Y"), messages(), messages())
    read = list(storage.read_archive(root))
    assert read == [messages(), messages()]
    assert all(each.schema == MESSAGE_SCHEMA for each in read)
    pipeline = beam.Pipeline(runner=FnApiRunner())
    ids = pipeline | storage.ReadArchive(root) | beam.FlatMap(lambda b: b.to_pylist())
    keys = ids | beam.Map(lambda row: (row["message_id"], bytes(row["data"])))

    def check(found: list[Any]) -> None:
        rows = messages().to_pylist() * 2
        assert sorted(found) == sorted((row["message_id"], row["data"]) for row in rows)

    assert_that(keys, check)
    pipeline.run().wait_until_finish()


def test_typed_rows_are_archived_as_their_messages(tmp_path: Path) -> None:
    """An archive of what a step has parsed holds what it was parsed from."""
    envelope = messages().rows.to_struct_array()
    typed = Batch(pa.record_batch({"n": [1, 2, 3, 4]})).with_column(MESSAGE, envelope)
    bounded(str(tmp_path / "a"), storage.Archive(str(tmp_path / "a")), typed)
    assert list(storage.read_archive(str(tmp_path / "a"))) == [messages()]


def test_a_folder_without_archive_is_refused(root: str) -> None:
    """A typing error must not look like an empty archive."""
    with pytest.raises(ConfigError, match="holds no file of an archive"):
        storage.archive_files(root)


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.avro", b"Obj\x01no"), ("a.parquet", b"PAR1"), ("a.jsonl", b'{"data": "x"\n'),
     ("a.jsonl.gz", b"no gzip"), ("a.jsonl.zst", b"no zstd"), ("a.jsonl", b"{")],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    """Reading stops: nothing is passed over."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PermanentError, match=f"{name}: is damaged, or no archive"):
        list(storage.read_archive(str(tmp_path)))


@pytest.mark.parametrize("files", [storage.JsonLines("none"), storage.Avro("null")])
def test_a_full_disk_stops_the_run_and_leaves_nothing(volume: Path, files: Format) -> None:
    """The error says what to do; nothing is visible, nothing is staged."""
    with pytest.raises(TransientError, match="disk full"):
        bounded(str(volume / "out"), storage.Write(str(volume / "out"), files), batch(0, 30_000))
    assert names(str(volume / "out")) == []
    assert not list(volume.rglob("*.staged"))


def test_a_full_disk_for_what_waits_stops_an_upload(
    volume: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files wait for their upload in the folder for temporary files; no object is cut off."""
    monkeypatch.setattr(tempfile, "tempdir", str(volume))
    root = f"{bucket}/out"
    with pytest.raises(TransientError, match="disk full"):
        bounded(root, storage.Write(root, storage.JsonLines("none")), batch(0, 30_000))
    assert names(root) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bad_network_costs_and_repeats_no_row(
    bucket: str, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A job without end, while a fifth of all requests fails in all ways, some after the deed."""
    root = f"{bucket}/out"
    with FaultyProxy(storage_server.port, faults(seed, 0.2)) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        endless(storage.Write(root, storage.JsonLines("none"), shards=3))
        print(f"seed {seed}: {proxy.injected} faults")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_server.url)
    rows = [row["n"] for name in names(root) for row in of_json(content(root, name))]
    assert sorted(rows) == [0, 1, 2, 3, 4]


def test_what_waits_for_its_upload_goes_with_it(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that runs for months must not fill its disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left: list[int] = []
    publish = ObjectStore.publish

    def watched(self: ObjectStore, staged: str, path: str, rows: int) -> None:
        publish(self, staged, path, rows)
        left.append(len(list(tmp_path.rglob("*.staged"))))

    monkeypatch.setattr(ObjectStore, "publish", watched)
    endless(storage.Write(f"{bucket}/out"))
    assert left == [0, 0]
    assert list(tmp_path.iterdir()) == []
