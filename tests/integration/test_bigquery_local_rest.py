"""Tables, queries and reads of the local BigQuery, by Google's own clients."""

import datetime as dt
import json
import urllib.error
import urllib.request
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery_local import Server
from tests.bigquery_clients import PROJECT, Clients, arrow_request, ids

pytestmark = pytest.mark.integration

Field = bigquery.SchemaField


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


@pytest.mark.parametrize("query", ["maxResults=x", "startIndex=-1", "pageToken=1.5"])
def test_bad_page(local: tuple[Server, Clients], query: str) -> None:
    """A page that can't be is the client's mistake."""
    server, clients = local
    clients.rest.create_dataset("data", exists_ok=True)
    clients.rest.create_table(f"{PROJECT}.data.paged", exists_ok=True)
    path = f"/bigquery/v2/projects/{PROJECT}/datasets/data/tables/paged/data?{query}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(server.rest_endpoint + path, timeout=20)
    with caught.value as answer:
        assert answer.code == 400
        assert query.partition("=")[0] in json.load(answer)["error"]["message"]
