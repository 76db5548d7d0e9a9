"""The Storage Write protocol of the local BigQuery, by raw requests of Google's own types."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types as api
from google.rpc import status_pb2

from connectors import bigquery_local
from connectors.bigquery_local import limits
from tests.bigquery_clients import ID, Clients, arrow_request, ids, storage_code

pytestmark = pytest.mark.integration


def codes(responses: list[Any]) -> list[int]:
    """Return the gRPC code of each response; 0 is success."""
    return [response.error.code for response in responses]


def test_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands there."""
    text = (Path(bigquery_local.__file__).parent / "README.md").read_text()
    exec(text.partition("```python\n")[2].partition("```")[0], {})
    assert "one: int32" in capsys.readouterr().out


def test_pipelined_requests_are_answered_in_order(clients: Clients, table: str) -> None:
    """Offsets, repetitions and gaps on one connection, which goes on after each refusal."""
    stream = clients.stream(table)
    responses = clients.append(
        arrow_request(ids(1, 2, 3), stream, 0),
        arrow_request(ids(4), offset=3, schema=False),
        arrow_request(ids(1, 2, 3), offset=0, schema=False),
        arrow_request(ids(9), offset=9, schema=False),
        arrow_request(ids(5), schema=False),
    )
    ok, exists, beyond = 0, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.OUT_OF_RANGE
    assert codes(responses) == [ok, ok, exists.value[0], beyond.value[0], ok]
    offsets = [response.append_result.offset.value for response in responses]
    assert [offsets[0], offsets[1], offsets[4]] == [0, 3, 4]
    assert storage_code(responses[2].error) == "OFFSET_ALREADY_EXISTS"
    assert "expected offset 4, received 0" in responses[2].error.message
    assert storage_code(responses[3].error) == "OFFSET_OUT_OF_RANGE"
    assert {response.write_stream for response in responses} == {stream}
    assert clients.count(table) == 5


def test_answers_come_while_requests_do(clients: Clients, table: str) -> None:
    """The stream is bidirectional: the first answer does not wait for the last request."""
    stream, go_on = clients.stream(table), threading.Event()

    def requests() -> Iterator[Any]:
        yield arrow_request(ids(1), stream)
        assert go_on.wait(20)
        yield arrow_request(ids(2), schema=False)

    answers = clients.write.append_rows(requests())
    assert next(iter(answers)).append_result.offset == 0
    go_on.set()
    assert next(iter(answers)).append_result.offset == 1


def test_finalized_stream(clients: Clients, table: str) -> None:
    """It tells its rows, again and again, and takes no more."""
    stream = clients.stream(table)
    clients.append(arrow_request(ids(1, 2), stream))
    for _ in range(2):
        assert clients.write.finalize_write_stream(name=stream).row_count == 2
    (response,) = clients.append(arrow_request(ids(3), stream, 2))
    assert response.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert storage_code(response.error) == "STREAM_FINALIZED"


def test_pending_streams_commit_together(clients: Clients, table: str) -> None:
    """Nothing is visible before; then all is; a second commit says that it was done."""
    streams = [clients.stream(table, "PENDING") for _ in range(2)]
    for number, stream in enumerate(streams):
        clients.append(
            arrow_request(ids(number), stream, 0),
            arrow_request(ids(number), offset=1, schema=False),
        )
    clients.write.finalize_write_stream(name=streams[0])

    def commit() -> Any:
        return clients.write.batch_commit_write_streams(
            api.BatchCommitWriteStreamsRequest(parent=table, write_streams=streams)
        )

    refused = commit()
    assert [error.code.name for error in refused.stream_errors] == ["INVALID_STREAM_STATE"]
    assert refused.stream_errors[0].entity == streams[1]
    assert not refused.commit_time
    assert clients.count(table) == 0
    clients.write.finalize_write_stream(name=streams[1])
    assert commit().commit_time
    assert sorted(clients.select("SELECT id FROM `data." + table.rpartition("/")[2] + "`")) == [
        (0,), (0,), (1,), (1,),
    ]  # fmt: skip
    assert [e.code.name for e in commit().stream_errors] == ["STREAM_ALREADY_COMMITTED"] * 2
    assert clients.count(table) == 4


def test_buffered_stream_is_flushed_by_rows(clients: Clients, table: str) -> None:
    """The offset is inclusive, cuts through requests, and may be repeated."""
    stream = clients.stream(table, "BUFFERED")
    clients.append(arrow_request(ids(0, 1, 2), stream), arrow_request(ids(3, 4), schema=False))
    assert clients.count(table) == 0
    for offset, flushed, visible in ((0, 0, 1), (3, 3, 4), (3, 3, 4), (1, 3, 4), (4, 4, 5)):
        request = api.FlushRowsRequest(write_stream=stream, offset=offset)
        assert clients.write.flush_rows(request).offset == flushed
        assert clients.count(table) == visible
    with pytest.raises(exceptions.OutOfRange):
        clients.write.flush_rows(api.FlushRowsRequest(write_stream=stream, offset=5))


def test_default_stream_changes_tables(clients: Clients, table: str) -> None:
    """One connection writes to two tables when each switch brings its schema; no offsets."""
    other = clients.table("the_other", bigquery.SchemaField("x", "STRING"))
    names = pa.RecordBatch.from_pydict({"x": ["a"]})
    responses = clients.append(
        arrow_request(ids(1), f"{table}/streams/_default"),
        arrow_request(names, f"{other}/streams/_default"),
        arrow_request(ids(2), f"{table}/streams/_default"),
        arrow_request(names, f"{other}/streams/_default", schema=False),
        arrow_request(ids(2), f"{table}/_default", 0),
    )
    invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert codes(responses) == [0, 0, 0, invalid, invalid]
    assert "writer_schema" in responses[3].error.message
    assert "Offset must not be set" in responses[4].error.message
    assert not responses[0].append_result.HasField("offset")
    assert (clients.count(table), clients.count(other)) == (2, 1)


def test_connection_of_a_stream_keeps_to_it(clients: Clients, table: str) -> None:
    """Only default streams share a connection."""
    first, second = clients.stream(table), clients.stream(table)
    with pytest.raises(grpc.RpcError, match="can't change"):
        clients.append(arrow_request(ids(1), first), arrow_request(ids(2), second))
    assert clients.count(table) == 1


@pytest.mark.parametrize("name", ["streams/none", "none"])
def test_unknown_stream_ends_the_connection(clients: Clients, table: str, name: str) -> None:
    """The status carries the StorageError."""
    with pytest.raises(grpc.RpcError) as caught:
        clients.append(arrow_request(ids(1), f"{table}/{name}"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    trailing = dict(caught.value.trailing_metadata())  # type: ignore[attr-defined]
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert storage_code(status) == "STREAM_NOT_FOUND"


def test_dropped_table(clients: Clients, table: str) -> None:
    """Its streams go with it, also when a table of the same name comes."""
    stream = clients.stream(table)
    clients.append(arrow_request(ids(1), stream))
    name = table.rpartition("/")[2]
    clients.rest.delete_table(f"data.{name}")
    with pytest.raises(exceptions.NotFound) as caught:
        clients.write.create_write_stream(parent=table, write_stream=api.WriteStream(type_=1))
    assert caught.value.details
    clients.table(name, ID)
    with pytest.raises(grpc.RpcError):
        clients.append(arrow_request(ids(1), stream, 1))
    assert clients.count(table) == 0


def test_first_request_names_the_stream(clients: Clients) -> None:
    """Without it there is nothing to append to."""
    with pytest.raises(grpc.RpcError, match="write_stream"):
        clients.append(arrow_request(ids(1)))


def test_bad_rows_are_named_and_none_is_appended(clients: Clients, table: str) -> None:
    """The good rows of the same request can be sent again at the same offset."""
    stream = clients.stream(table)
    rows = pa.RecordBatch.from_pydict({"id": pa.array([1, None, 3, None], pa.int64())})
    bad, good = clients.append(
        arrow_request(rows, stream, 0), arrow_request(ids(1, 3), offset=0, schema=False)
    )
    assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [(error.index, error.code) for error in bad.row_errors] == [(1, 1), (3, 1)]
    assert "REQUIRED" in bad.row_errors[0].message
    assert good.append_result.offset.value == 0
    assert clients.count(table) == 2


def test_request_of_20_mb_is_too_large(clients: Clients, table: str) -> None:
    """One byte less than the limit is taken."""
    fits = arrow_request(ids(1), f"{table}/streams/_default")
    framing = 5  # of the field that pads
    fits.trace_id = "x" * (limits.APPEND_BYTES_MAX - 1 - framing - fits.ByteSize())
    large = arrow_request(ids(1), f"{table}/streams/_default")
    large.trace_id = fits.trace_id + "x"
    assert (fits.ByteSize(), large.ByteSize()) == (19_999_999, 20_000_000)
    assert codes(clients.append(fits, large)) == [0, grpc.StatusCode.INVALID_ARGUMENT.value[0]]
    assert clients.count(table) == 1


def test_changed_schema_is_reported_once(clients: Clients, table: str) -> None:
    """An open connection learns of a new column with its next answer, and can then use it."""
    stream, changed = f"{table}/streams/_default", threading.Event()
    wide = pa.RecordBatch.from_pydict({"id": [2], "extra": ["x"]})

    def requests() -> Iterator[Any]:
        yield arrow_request(wide, stream)
        yield arrow_request(ids(1))
        assert changed.wait(20)
        yield arrow_request(ids(1), schema=False)
        yield arrow_request(wide)

    answers = iter(clients.write.append_rows(requests()))
    early = next(answers)
    assert storage_code(api.AppendRowsResponse.pb(early).error) == "SCHEMA_MISMATCH_EXTRA_FIELDS"
    assert not next(answers).updated_schema.fields
    resource = clients.rest.get_table("data." + table.rpartition("/")[2])
    resource.schema = [*resource.schema, bigquery.SchemaField("extra", "STRING")]
    clients.rest.update_table(resource, ["schema"])
    changed.set()
    names = [field.name for field in next(answers).updated_schema.fields]
    assert names == ["id", "name", "extra"]
    last = next(answers)
    assert (last.error.code, list(last.updated_schema.fields)) == (0, [])
    assert clients.count(table) == 3


def test_get_write_stream(clients: Clients, table: str) -> None:
    """The full view has the schema; the default stream is there without being made."""
    full = clients.write.get_write_stream(
        api.GetWriteStreamRequest(name=f"{table}/streams/_default", view="FULL")
    )
    assert full.type_.name == "COMMITTED"
    assert [(field.name, field.mode.name) for field in full.table_schema.fields] == [
        ("id", "REQUIRED"),
        ("name", "NULLABLE"),
    ]
    basic = clients.write.get_write_stream(name=clients.stream(table, "PENDING"))
    assert basic.type_.name == "PENDING"
    assert not basic.table_schema.fields
