"""Tables, queries, loads and reads of the local BigQuery, by Google's own clients."""

import datetime as dt
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from google.cloud import bigquery, storage
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery_local import Fault, Server
from tests.bigquery_clients import PROJECT, Clients, arrow_request, ids, serving
from tests.storage_servers import StorageServer

pytestmark = pytest.mark.integration

Field = bigquery.SchemaField
ROWS = pa.table({"name": ["a", "b"], "id": [1, 2], "tags": [["x"], []]})
COLUMNS = Field("id", "INT64"), Field("NAME", "STRING"), Field("tags", "STRING", "REPEATED")


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[Server, Clients]]:
    """A server in memory for the tests of this file."""
    yield from serving()


@pytest.fixture
def clients(local: tuple[Server, Clients]) -> Clients:
    """Its clients."""
    return local[1]


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


def test_datasets(clients: Clients) -> None:
    """Made once, listed, changed, and dropped with their tables only on request."""
    clients.rest.create_dataset("some")
    with pytest.raises(exceptions.Conflict, match="Already Exists: Dataset"):
        clients.rest.create_dataset("some", retry=None)
    dataset = clients.rest.get_dataset("some")
    dataset.description = "x"
    assert clients.rest.update_dataset(dataset, ["description"]).description == "x"
    clients.rest.create_table(f"{PROJECT}.some.t")
    assert "some" in [item.dataset_id for item in clients.rest.list_datasets()]
    with pytest.raises(exceptions.BadRequest, match="still in use"):
        clients.rest.delete_dataset("some", retry=None)
    clients.rest.delete_dataset("some", delete_contents=True)
    with pytest.raises(exceptions.NotFound):
        clients.rest.get_table(f"{PROJECT}.some.t", retry=None)


def test_table_keeps_its_layout(clients: Clients) -> None:
    """Partitioning, clustering, expiration, key and counts are as they were asked for."""
    expires = dt.datetime(2099, 1, 1, tzinfo=dt.timezone.utc)
    clients.table(
        "layout", Field("id", "INT64", "REQUIRED"), Field("at", "TIMESTAMP"),
        time_partitioning=bigquery.TimePartitioning("HOUR", "at", expiration_ms=3_600_000),
        clustering_fields=["id"], expires=expires, labels={"k": "v"},
        table_constraints=bigquery.table.TableConstraints(
            primary_key=bigquery.table.PrimaryKey(columns=["id"]), foreign_keys=None
        ),
    )  # fmt: skip
    found = clients.rest.get_table("data.layout")
    assert (found.time_partitioning.type_, found.time_partitioning.field) == ("HOUR", "at")
    assert (found.clustering_fields, found.expires, found.num_rows) == (["id"], expires, 0)
    assert found.table_constraints.primary_key.columns == ["id"]
    found.labels = {"k": "w"}
    stale = clients.rest.get_table("data.layout")
    clients.rest.update_table(found, ["labels"])
    with pytest.raises(exceptions.PreconditionFailed):
        clients.rest.update_table(stale, ["labels"], retry=None)


def test_nested_column_added(clients: Clients) -> None:
    """Old rows have NULL in it, new rows are written and read with it, in records and arrays."""
    record = [Field("x", "INT64")]
    arrays = Field("a", "RECORD", "REPEATED", fields=record)
    clients.table("nested", Field("r", "RECORD", fields=record), arrays)
    assert not clients.rest.insert_rows_json("data.nested", [{"r": {"x": 1}, "a": [{"x": 1}]}])
    table = clients.rest.get_table("data.nested")
    wide = [*record, Field("y", "STRING")]
    table.schema = [
        Field("r", "RECORD", fields=wide),
        Field("a", "RECORD", "REPEATED", fields=wide),
        Field("b", "INT64", "REPEATED"),
    ]
    clients.rest.update_table(table, ["schema"])
    row = {"r": {"x": 2, "y": "q"}, "a": [{"y": "w"}], "b": [5]}
    assert not clients.rest.insert_rows_json("data.nested", [row])
    assert [dict(found) for found in clients.rest.list_rows("data.nested")] == [
        {"r": {"x": 1, "y": None}, "a": [{"x": 1, "y": None}], "b": []},
        {"r": {"x": 2, "y": "q"}, "a": [{"x": None, "y": "w"}], "b": [5]},
    ]


def test_insert_all(clients: Clients) -> None:
    """A bad row stops its request; skipInvalidRows lets the others in; an insertId counts once."""
    seven = Field("d", "INT64", default_value_expression="7")
    clients.table("streamed", Field("id", "INT64", "REQUIRED"), seven)
    insert = clients.rest.insert_rows_json
    rows = [{"id": 1}, {"id": "x"}, {}, {"id": 4, "zz": 1}]
    errors = insert("data.streamed", rows, retry=None)
    found = [
        (item["index"], item["errors"][0]["reason"], item["errors"][0]["location"])
        for item in errors
    ]
    assert found == [
        (0, "stopped", ""),
        (1, "invalid", "id"),
        (2, "invalid", "id"),
        (3, "invalid", "zz"),
    ]
    assert clients.rest.get_table("data.streamed").num_rows == 0
    errors = insert("data.streamed", rows, skip_invalid_rows=True, ignore_unknown_values=True)
    assert [item["index"] for item in errors] == [1, 2]
    for _ in range(2):
        assert not insert("data.streamed", [{"id": 9}], row_ids=["same"])
    assert clients.select("SELECT id, d FROM data.streamed ORDER BY id") == [(1, 7), (4, 7), (9, 7)]


def test_queries(clients: Clients) -> None:
    """BigQuery's SQL, with parameters, pages and types; errors in the words of the engine."""
    table = clients.table("numbers", Field("id", "INT64"))
    clients.append(arrow_request(ids(*range(2_500)), f"{table}/streams/_default"))
    job = clients.rest.query(f"SELECT id FROM `{PROJECT}.data.numbers` ORDER BY id")
    assert [row.id for row in job.result(page_size=1_000)] == list(range(2_500))
    parameters = [
        bigquery.ScalarQueryParameter("low", "INT64", 3),
        bigquery.ArrayQueryParameter("some", "INT64", [1, 2, 3, 4]),
    ]
    found = clients.rest.query_and_wait(
        """SELECT COUNT(*) AS n, SUM(id) AS s, SAFE_CAST("x" AS INT64) AS nothing,
                  ARRAY_AGG(id ORDER BY id DESC) AS top, STRUCT(1 AS a, "b" AS b) AS r,
                  CAST("1.123456789" AS NUMERIC) AS d
           FROM data.numbers WHERE id >= @low AND id IN UNNEST(@some)""",
        job_config=bigquery.QueryJobConfig(query_parameters=parameters),
        retry=None,
    )
    (row,) = [dict(row) for row in found]
    assert (row["n"], row["s"], row["nothing"], row["top"]) == (2, 7, None, [4, 3])
    assert row["r"] == {"a": 1, "b": "b"}
    assert str(row["d"]) == "1.123456789"


@pytest.mark.parametrize(("sql", "error"), [
    ("SELECT FROM", exceptions.BadRequest),
    ("SELECT nothing FROM data.numbers", exceptions.BadRequest),
    ("SELECT * FROM data.nowhere", exceptions.NotFound),
    ("SELECT * FROM nowhere", exceptions.BadRequest),
    ("DROP TABLE data.numbers", exceptions.MethodNotImplemented),
    ("SELECT 1; SELECT 2", exceptions.MethodNotImplemented),
    ("SELECT * FROM read_csv('/etc/passwd')", exceptions.BadRequest),
])  # fmt: skip
def test_refused_queries(clients: Clients, sql: str, error: type[Exception]) -> None:
    """Only SELECT, and only of tables."""
    clients.rest.create_dataset("data", exists_ok=True)
    if not any(item.table_id == "numbers" for item in clients.rest.list_tables("data")):
        clients.table("numbers", Field("id", "INT64"))
    with pytest.raises(error):
        clients.rest.query(sql, retry=None, job_retry=None).result(retry=None, job_retry=None)


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


def test_storage_read(clients: Clients) -> None:
    """A snapshot in several streams, with some columns and a condition, from any offset."""
    record = [Field("x", "INT64"), Field("y", "BIGNUMERIC")]
    table = clients.table("read", Field("id", "INT64"), Field("r", "RECORD", fields=record))
    rows = [{"id": number, "r": {"x": number, "y": "1.5"}} for number in range(25_000)]
    assert not clients.rest.insert_rows_json("data.read", rows)
    options = api.ReadSession.TableReadOptions(
        selected_fields=["r.x", "id"], row_restriction="id >= 100"
    )
    session = clients.read.create_read_session(
        parent=f"projects/{PROJECT}",
        read_session=api.ReadSession(table=table, data_format="ARROW", read_options=options),
        max_stream_count=3,
    )
    assert not clients.rest.insert_rows_json("data.read", [{"id": 10**6}])
    tables = [clients.read.read_rows(stream.name).to_arrow() for stream in session.streams]
    assert len(tables) == 3
    found = pa.concat_tables(tables)
    assert found.column("id").to_pylist() == list(range(100, 25_000))
    assert found.schema.field("r").type == pa.struct([("x", pa.int64())])
    some = clients.read.read_rows(session.streams[0].name, offset=8_000).to_arrow()
    assert some.column("id")[0].as_py() == 8_100
    with pytest.raises(exceptions.InvalidArgument, match="nothing"):
        clients.read.create_read_session(
            parent=f"projects/{PROJECT}",
            read_session=api.ReadSession(
                table=table, data_format="ARROW", read_options={"selected_fields": ["nothing"]}
            ),
        )


def test_faults_over_http(local: tuple[Server, Clients]) -> None:
    """Added, counted and cleared; a load can fail after it was done."""
    server, clients = local

    def send(method: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(server.rest_endpoint + "/faults", data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["left"]

    assert send("POST", {"code": "ABORTED", "times": 3}) == 3
    assert send("GET") == 3
    assert send("DELETE") == 0
    clients.table("faulty", Field("id", "INT64"))
    send("POST", {"code": "UNAVAILABLE", "method": "insertAll", "target": "faulty", "after": True})
    with pytest.raises(exceptions.ServiceUnavailable):
        clients.rest.insert_rows_json("data.faulty", [{"id": 1}], row_ids=["r"], retry=None)
    assert not clients.rest.insert_rows_json("data.faulty", [{"id": 1}], row_ids=["r"])
    assert clients.rest.get_table("data.faulty").num_rows == 1
