"""Faults that the local BigQuery is asked for: what a client sees, and what was done."""

from collections.abc import Iterator

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery_local import Fault, Server
from tests.bigquery_clients import Clients, arrow_request, ids, storage_code

pytestmark = pytest.mark.integration


@pytest.fixture
def server(local: tuple[Server, Clients]) -> Iterator[Server]:
    """The server, without the faults of another test."""
    local[0].faults.clear()
    yield local[0]
    local[0].faults.clear()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "ABORTED", "INTERNAL", "RESOURCE_EXHAUSTED"])
@pytest.mark.parametrize("after", [False, True])
def test_injected_end_of_a_connection(
    server: Server, clients: Clients, table: str, code: str, after: bool
) -> None:
    """The call ends with the status; the rows are in only where it struck after them."""
    stream = clients.stream(table)
    server.faults.add(Fault(code, target=stream, skip=1, after=after))
    with pytest.raises(grpc.RpcError) as caught:
        clients.append(
            arrow_request(ids(1), stream, 0), arrow_request(ids(2), offset=1, schema=False)
        )
    assert caught.value.code().name == code  # type: ignore[attr-defined]
    assert len(caught.value.answered) == 1  # type: ignore[attr-defined]
    (again,) = clients.append(arrow_request(ids(2), stream, 1))
    assert storage_code(again.error) == ("OFFSET_ALREADY_EXISTS" if after else "")
    assert clients.count(table) == 2


def test_injected_error_in_a_response(server: Server, clients: Clients, table: str) -> None:
    """The connection goes on."""
    server.faults.add(Fault("ABORTED", target=table, in_response=True))
    stream = f"{table}/streams/_default"
    first, second = clients.append(
        arrow_request(ids(1), stream), arrow_request(ids(1), schema=False)
    )
    assert (first.error.code, second.error.code) == (grpc.StatusCode.ABORTED.value[0], 0)
    assert clients.count(table) == 1


def test_fault_of_another_method(server: Server, clients: Clients, table: str) -> None:
    """Every method can fail; here the commit, whose effect is there although its answer is not."""
    stream = clients.stream(table, "PENDING")
    clients.append(arrow_request(ids(1), stream))
    clients.write.finalize_write_stream(name=stream)
    server.faults.add(Fault("PERMISSION_DENIED", method="BatchCommitWriteStreams", after=True))
    request = api.BatchCommitWriteStreamsRequest(parent=table, write_streams=[stream])
    with pytest.raises(exceptions.PermissionDenied):
        clients.write.batch_commit_write_streams(request)
    again = clients.write.batch_commit_write_streams(request)
    assert [error.code.name for error in again.stream_errors] == ["STREAM_ALREADY_COMMITTED"]
    assert clients.count(table) == 1
