"""Google's own clients on a local BigQuery, and its server as a process that can be killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient, BigQueryWriteClient
from google.cloud.bigquery_storage_v1 import types as api
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from tests.processes import ServerProcess, await_line, free_port, python

PROJECT = "test-project"
DATASET = "data"
WAIT_S = 30.0
ID = bigquery.SchemaField("id", "INT64", "REQUIRED")
NAME = bigquery.SchemaField("name", "STRING")
Request = api.AppendRowsRequest.pb()
StorageError = api.StorageError.pb()
_APPEND = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"


class Clients:
    """The stock clients of one server, without retries that would hide what happens."""

    def __init__(self, grpc_endpoint: str, rest_endpoint: str) -> None:
        self.channel = grpc.insecure_channel(grpc_endpoint)
        self.write = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=self.channel))
        self.read = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=self.channel))
        self.rest = bigquery.Client(
            PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": rest_endpoint},
        )

    def close(self) -> None:
        """Close the connections."""
        self.channel.close()
        self.rest.close()

    def table(self, name: str, *fields: bigquery.SchemaField, **about: Any) -> str:
        """Make a table and return its name in the Storage API."""
        self.rest.create_dataset(DATASET, exists_ok=True)
        table = bigquery.Table(f"{PROJECT}.{DATASET}.{name}", fields)
        for key, value in about.items():
            setattr(table, key, value)
        self.rest.create_table(table)
        return f"projects/{PROJECT}/datasets/{DATASET}/tables/{name}"

    def stream(self, table: str, kind: str = "COMMITTED") -> str:
        """Make a stream and return its name."""
        made = self.write.create_write_stream(
            parent=table, write_stream=api.WriteStream(type_=kind), retry=None
        )
        return str(made.name)

    def append(self, *requests: Any) -> list[Any]:
        """Send requests on one connection without waiting; return the responses.

        Raises:
            grpc.RpcError: the connection ended with an error; its ``answered`` are the responses
                before.
        """
        call = self.channel.stream_stream(
            _APPEND,
            request_serializer=Request.SerializeToString,
            response_deserializer=api.AppendRowsResponse.pb().FromString,
        )(iter(requests), timeout=WAIT_S)
        answered: list[Any] = []
        try:
            answered.extend(call)
        except grpc.RpcError as error:
            error.answered = answered  # type: ignore[attr-defined]
            raise
        return answered

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query in BigQuery's SQL."""
        rows = self.rest.query_and_wait(sql, retry=None, job_retry=None)
        return [tuple(row.values()) for row in rows]

    def count(self, table: str) -> int:
        """Return the number of rows of a table, by its name in the Storage API."""
        name = table.rpartition("/")[2]
        return int(self.select(f"SELECT COUNT(*) FROM `{PROJECT}.{DATASET}.{name}`")[0][0])


def arrow_request(
    rows: pa.RecordBatch, stream: str = "", offset: int | None = None, *, schema: bool = True
) -> Any:
    """Return an AppendRows request with Arrow rows."""
    request = Request(write_stream=stream)
    if offset is not None:
        request.offset.value = offset
    if schema:
        request.arrow_rows.writer_schema.serialized_schema = rows.schema.serialize().to_pybytes()
    request.arrow_rows.rows.serialized_record_batch = rows.serialize().to_pybytes()
    return request


def ids(*numbers: int) -> pa.RecordBatch:
    """Return rows of one column ``id``."""
    return pa.RecordBatch.from_pydict({"id": pa.array(numbers, pa.int64())})


def storage_code(status: Any) -> str:
    """Return the code of the StorageError in a ``google.rpc.Status``, or nothing."""
    for detail in status.details:
        error = StorageError()
        if detail.Unpack(error):
            return str(api.StorageError.StorageErrorCode(error.code).name)
    return ""


class LocalBigQuery(ServerProcess):
    """``python -m connectors.bigquery_local`` on fixed ports; whoever enters it starts it."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        super().__init__()
        self._environment = environment
        self.port, self.rest_port = free_port(), free_port()
        self._arguments: Sequence[str] = (
            "--port", str(self.port), "--rest_port", str(self.rest_port),
            "--data_dir", str(data_dir), "--project", PROJECT,
        )  # fmt: skip

    def start(self) -> Clients:
        """Start it, wait until it is ready, and return clients of it."""
        super().start()
        return Clients(f"127.0.0.1:{self.port}", f"http://127.0.0.1:{self.rest_port}")

    def _launch(self) -> subprocess.Popen[str]:
        return python(
            "-m",
            "connectors.bigquery_local",
            *self._arguments,
            environment=self._environment,
            stdout=subprocess.PIPE,
        )

    def _await(self, process: subprocess.Popen[str]) -> None:
        await_line(process, r"ready: grpc .*, rest http")

    def __enter__(self) -> LocalBigQuery:
        return self


def serving(data_dir: Path | None = None) -> Iterator[tuple[Any, Clients]]:
    """Yield a server of this process and its clients: the body of a fixture."""
    from connectors.bigquery_local import Server  # noqa: PLC0415 - gRPC only for those who serve

    with Server(data_dir, project=PROJECT) as server:
        clients = Clients(server.grpc_endpoint, server.rest_endpoint)
        yield server, clients
        clients.close()
