"""Load jobs of the local BigQuery, by Google's own clients."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from google.cloud import bigquery, storage

from connectors.bigquery_local import Fault, Server
from tests.bigquery_clients import PROJECT, Clients, serving
from tests.storage_servers import StorageServer

pytestmark = pytest.mark.integration

Field = bigquery.SchemaField
ROWS = pa.table({"name": ["a", "b"], "id": [1, 2], "tags": [["x"], []]})
COLUMNS = Field("id", "INT64"), Field("NAME", "STRING"), Field("tags", "STRING", "REPEATED")


def parquet(table: pa.Table = ROWS) -> bytes:
    """Return a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def parquet_job(**options: Any) -> bigquery.LoadJobConfig:
    """Return the configuration of a load of Parquet files."""
    job = bigquery.LoadJobConfig(source_format="PARQUET", **options)
    job.parquet_options = bigquery.ParquetOptions.from_api_repr({"enableListInference": True})
    return job


def load(clients: Clients, table: str, job_id: str, **options: Any) -> Any:
    """Load the rows under a job id; return the finished job."""
    data = options.pop("data", parquet())
    size = options.pop("size", None)
    job = clients.rest.load_table_from_file(
        io.BytesIO(data), f"data.{table}", job_id=job_id, size=size, num_retries=0,
        job_config=options.pop("job_config", None) or parquet_job(**options),
    )  # fmt: skip
    return job.result(retry=None)


@pytest.mark.parametrize("size", [None, len(parquet())])
def test_load_matches_columns_by_name(clients: Clients, size: int | None) -> None:
    """In whatever order and case the file has them; by one upload or a resumable one."""
    name = f"by_name_{size}"
    clients.table(name, *COLUMNS)
    job = load(clients, name, f"job-{size}", size=size)
    assert (job.state, job.output_rows, job.input_files) == ("DONE", 2, 1)
    assert [dict(row) for row in clients.rest.list_rows(f"data.{name}")] == [
        {"id": 1, "NAME": "a", "tags": ["x"]},
        {"id": 2, "NAME": "b", "tags": []},
    ]


def test_job_id_is_used_once(clients: Clients) -> None:
    """The repetition of a load is refused, and tells how the first one went."""
    clients.table("once", *COLUMNS)
    load(clients, "once", "load-once")
    with pytest.raises(exceptions.Conflict, match="Already Exists: Job"):
        load(clients, "once", "load-once")
    assert clients.rest.get_job("load-once").output_rows == 2
    assert clients.rest.get_table("data.once").num_rows == 2
    clients.rest.query("SELECT 1", job_id="query-once", job_retry=None).result()
    with pytest.raises(exceptions.Conflict):
        clients.rest.query("SELECT 1", job_id="query-once", retry=None, job_retry=None).result()


@pytest.mark.parametrize("size", [None, len(parquet())])
def test_load_whose_answer_is_lost(local: tuple[Server, Clients], size: int | None) -> None:
    """Its repetition under the same id finds it done: the rows are in once."""
    server, clients = local
    name = f"lost_{size}"
    clients.table(name, *COLUMNS)
    server.faults.add(Fault("INTERNAL", target=f"load-{name}", method="jobs.insert", after=True))
    with pytest.raises(exceptions.GoogleAPICallError):
        load(clients, name, f"load-{name}", size=size)
    with pytest.raises(exceptions.Conflict):
        load(clients, name, f"load-{name}", size=size)
    assert clients.rest.get_job(f"load-{name}").output_rows == 2
    assert clients.rest.get_table(f"data.{name}").num_rows == 2


def test_load_of_rows_that_do_not_fit(clients: Clients) -> None:
    """The job fails and none of its rows is in; its id is used up."""
    clients.table("strict", Field("id", "INT64", "REQUIRED"), Field("name", "STRING", max_length=1))
    bad = pa.table({"id": [1, None], "name": ["a", "b"]})
    with pytest.raises(exceptions.BadRequest, match="row 2: Field id is REQUIRED"):
        load(clients, "strict", "bad-1", data=parquet(bad))
    extra = pa.table({"id": [1], "other": [1]})
    with pytest.raises(exceptions.BadRequest, match="extra fields: 'other'"):
        load(clients, "strict", "bad-2", data=parquet(extra))
    with pytest.raises(exceptions.Conflict):
        load(clients, "strict", "bad-2")
    assert clients.rest.get_table("data.strict").num_rows == 0


def test_dispositions_and_new_columns(clients: Clients) -> None:
    """A missing table is made, an old one added to, emptied, or refused; columns may join."""
    clients.rest.create_dataset("data", exists_ok=True)
    with pytest.raises(exceptions.NotFound):
        load(clients, "fresh", "d-0", create_disposition="CREATE_NEVER")
    load(clients, "fresh", "d-1", clustering_fields=["id"])
    assert clients.rest.get_table("data.fresh").clustering_fields == ["id"]
    load(clients, "fresh", "d-2")
    assert clients.rest.get_table("data.fresh").num_rows == 4
    with pytest.raises(exceptions.Conflict):
        load(clients, "fresh", "d-3", write_disposition="WRITE_EMPTY")
    load(clients, "fresh", "d-4", write_disposition="WRITE_TRUNCATE")
    assert clients.rest.get_table("data.fresh").num_rows == 2
    wide = parquet(pa.table({"id": [3], "more": [1.5]}))
    load(clients, "fresh", "d-5", data=wide, schema_update_options=["ALLOW_FIELD_ADDITION"])
    assert clients.select("SELECT id, more FROM data.fresh ORDER BY id") == [
        (1, None), (2, None), (3, 1.5),
    ]  # fmt: skip


def test_load_of_json_lines(clients: Clients) -> None:
    """A JSON column takes an object as it is; a bad line fails the job."""
    clients.table("lines", Field("id", "INT64"), Field("j", "JSON"))
    job = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
    load(clients, "lines", "l-1", data=b'{"id": 1, "j": {"a": 2}}\n\n{"id": "2"}\n', job_config=job)
    with pytest.raises(exceptions.BadRequest, match="Row: 2; field: id"):
        load(clients, "lines", "l-2", data=b'{"id": 1}\n{"id": "x"}\n', job_config=job)
    assert clients.select("SELECT id, j FROM data.lines ORDER BY id") == [(1, {"a": 2}), (2, None)]


def test_load_from_cloud_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object or all that match, from the emulator that STORAGE_EMULATOR_HOST names."""
    with StorageServer(tmp_path / "objects") as objects:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", objects.url)
        bucket = storage.Client(project=PROJECT).create_bucket("loads")
        for name in ("a/1.parquet", "a/2 x.parquet", "a/3.json", "b.parquet"):
            bucket.blob(name).upload_from_string(parquet())
        for server, clients in serving():
            assert server
            clients.table("stored", *COLUMNS)

            def load_uri(uri: str, clients: Clients = clients) -> Any:
                job = clients.rest.load_table_from_uri(uri, "data.stored", job_config=parquet_job())
                return job.result(retry=None)

            assert load_uri("gs://loads/a/*.parquet").input_files == 2
            assert load_uri("gs://loads/b.parquet").output_rows == 2
            with pytest.raises(exceptions.NotFound):
                load_uri("gs://loads/none.parquet")
            assert clients.rest.get_table("data.stored").num_rows == 6
