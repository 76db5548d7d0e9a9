"""``bigquery.Load`` in a graph, against the strict local server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import bigquery, lake
from connectors.bigquery.load_job import Loader, job_id, loads
from connectors.bigquery_local import Fault, Server
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.run import Limits, Run
from connectors.table_name import TableName
from runners.local import LocalRunner
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

PROJECT = "test-project"
TABLE = f"{PROJECT}.data.rows"
NAME = TableName.parse(TABLE)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), PROJECT).create_dataset("data", retry=None)
        yield running


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner=LocalRunner(), options=PipelineOptions([]))


def parquet(folder: Path, first: int, count: int) -> str:
    path = folder / f"{first}.parquet"
    numbers = list(range(first, first + count))
    pq.write_table(pa.table({"n": numbers, "tags": [[str(n)] for n in numbers]}), path)
    return str(path)


def load(files: list[str], job: str = "job", create: bigquery.Create | None = None) -> None:
    with pipeline() as graph:
        (
            graph
            | beam.Create(files)
            | bigquery.Load(TABLE, job=job, create=create or bigquery.Create())
        )


def rows(server: Server) -> list[int]:
    return list(server.query("SELECT n FROM data.rows ORDER BY n")["n"].to_pylist())


def test_files_of_a_lake_are_loaded(server: Server, tmp_path: Path) -> None:
    """What ``lake.Write`` has written becomes the rows of a table."""
    batch = Batch(pa.RecordBatch.from_pydict({"n": list(range(100))}))
    with pipeline() as graph:
        written = graph | beam.Create([batch]) | lake.Write(str(tmp_path / "lake"), job="job")
        written.files | bigquery.Load(TABLE, job="job", create=bigquery.Create())
    assert rows(server) == list(range(100))


def test_load_that_is_asked_for_again_changes_nothing(server: Server, tmp_path: Path) -> None:
    """A bundle that is tried again finds its jobs; another pipeline has jobs of its own."""
    files = [parquet(tmp_path, first, 10) for first in (0, 10, 20)]
    for _ in range(3):
        load(files)
    assert rows(server) == list(range(30))
    load(files[:1], job="another")
    assert rows(server) == sorted([*range(30), *range(10)])


@pytest.mark.parametrize("after", [False, True])
def test_lost_answer_is_no_second_load(server: Server, tmp_path: Path, after: bool) -> None:
    """Whether a job was begun when the answer was lost, its id tells."""
    server.faults.add(Fault("UNAVAILABLE", method="jobs.insert", times=2, after=after))
    load([parquet(tmp_path, 0, 10)])
    assert rows(server) == list(range(10))


def test_table_is_made_as_asked(server: Server, tmp_path: Path) -> None:
    """With clustering, and lists as lists."""
    load([parquet(tmp_path, 0, 2)], create=bigquery.Create(cluster_by=("n",)))
    table = open_bigquery(bigquery_endpoint(), PROJECT).get_table(TABLE)
    assert table.clustering_fields == ["n"]
    assert {field.name: field.mode for field in table.schema}["tags"] == "REPEATED"


def test_file_that_is_refused_stops_with_the_reason(server: Server, tmp_path: Path) -> None:
    """A file that is no Parquet loads nothing; the error has BigQuery's words."""
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(PermanentError, match=r"load job headrace-.*data\.rows"):
        load([str(bad)])


def test_missing_table_is_refused_without_create(server: Server, tmp_path: Path) -> None:
    """Nothing is made that was not asked for."""
    loader = Loader(NAME, None, "job")
    with pytest.raises((ConfigError, PermanentError), match="rows"):
        loader.load((parquet(tmp_path, 0, 1),))


def test_run_that_commits_as_a_whole_is_refused(tmp_path: Path) -> None:
    """Its files are not there before the commit."""
    with Run(Limits()) as run:
        graph = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions(run.options()))
        with pytest.raises(ConfigError, match=r"bigquery\.Write"):
            graph | beam.Create(["a"]) | bigquery.Load(TABLE)


def test_id_depends_on_what_is_loaded_and_by_whom() -> None:
    """Not on the order of files."""
    base = job_id("job", NAME, ["a", "b"], 0)
    assert base == job_id("job", NAME, ["b", "a"], 0)
    others = [
        job_id("other", NAME, ["a", "b"], 0), job_id("job", NAME, ["a"], 0),
        job_id("job", TableName("test-project", "data", "other"), ["a", "b"], 0),
        job_id("job", NAME, ["a", "b"], 1), job_id("job", NAME, ["ab"], 0),
    ]  # fmt: skip
    assert len({base, *others}) == 6
    assert len(base) < 100


def test_objects_are_loaded_together_and_files_alone() -> None:
    """An upload takes one file; a job takes ten thousand objects."""
    assert list(loads(["b", "gs://x/2", "a", "gs://x/1"])) == [
        ("gs://x/1", "gs://x/2"),
        ("a",),
        ("b",),
    ]
    many = [f"gs://x/{n:05d}" for n in range(10_001)]
    assert [len(part) for part in loads(many)] == [10_000, 1]
    assert list(loads([])) == []
