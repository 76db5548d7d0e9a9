"""The server: gRPC and HTTP on two ports, in this process as a context manager."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import pyarrow as pa

from connectors.bigquery_local import dialect, limits
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.errors import PortInUse
from connectors.bigquery_local.faults import Faults
from connectors.bigquery_local.files import Objects
from connectors.bigquery_local.jobs import Jobs
from connectors.bigquery_local.load import Loads
from connectors.bigquery_local.read_service import read_handler
from connectors.bigquery_local.reading import Reading
from connectors.bigquery_local.rest import HttpServer, Route
from connectors.bigquery_local.rest_catalog import catalog_routes
from connectors.bigquery_local.rest_faults import fault_routes
from connectors.bigquery_local.rest_jobs import job_routes
from connectors.bigquery_local.rest_rows import row_routes
from connectors.bigquery_local.sessions import Sessions
from connectors.bigquery_local.state import State
from connectors.bigquery_local.store import Store
from connectors.bigquery_local.write_service import write_handler
from connectors.bigquery_local.writes import Writes

__all__ = ["Server"]

_STOP_GRACE_S = 0.5
_STOP_POLL_S = 0.05
"""How often the REST API looks whether it is to end; the library's 0.5 s would delay each stop."""
_OPTIONS = [
    ("grpc.max_receive_message_length", limits.RECEIVE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # Clients of long-lived streams ping; the default would disconnect them for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class Server:
    """A BigQuery of this process.

        with Server(data_dir=path) as server:
            channel = grpc.insecure_channel(server.grpc_endpoint)
            client = bigquery.Client("p", credentials=AnonymousCredentials(),
                                     client_options={"api_endpoint": server.rest_endpoint})

    Guarantees:
        Append, flush, commit and every change over REST are in the file (DuckDB's commit, which
        syncs) before they are answered: ``kill -9`` loses nothing that was answered. Without a
        data directory everything is lost at the end.

    Args:
        data_dir: of the DuckDB file; None keeps everything in memory.
        project: whose datasets have schemas of their own name in DuckDB.
        port: of gRPC; 0 takes any free one.
        rest_port: of HTTP; 0 takes any free one.
        host: address to listen on.
        storage_endpoint: ``http://HOST:PORT`` of a Cloud Storage emulator that load jobs read
            ``gs://`` from; by default the value of ``STORAGE_EMULATOR_HOST``.

    Raises:
        MissingExtra: the extra ``local`` is not installed.
        OtherProject: the data directory is of another project.
        PortInUse: an address can't be listened on.
        StoreInUse: another process has the data directory.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        *,
        project: str = "test-project",
        port: int = 0,
        rest_port: int = 0,
        host: str = "127.0.0.1",
        storage_endpoint: str | None = None,
    ) -> None:
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._project, self._host = project, host
        self._port, self._rest_port = port, rest_port
        if storage_endpoint is None:
            storage_endpoint = os.environ.get("STORAGE_EMULATOR_HOST", "")
        self._storage_endpoint = storage_endpoint
        self.faults = Faults()
        """What goes wrong next, for tests."""
        self.grpc_endpoint = ""
        """``HOST:PORT`` of the Storage APIs."""
        self.rest_endpoint = ""
        """``http://HOST:PORT`` of the REST API."""

    def __enter__(self) -> Server:
        dialect.require()
        self._store = Store(self._data_dir, self._project)
        try:
            self._start(State(self._store))
        except BaseException:
            self._store.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._grpc.stop(_STOP_GRACE_S).wait()
        self._pool.shutdown(wait=True)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._store.close()

    def query(self, sql: str) -> pa.Table:
        """Return the result of a statement in DuckDB's own SQL.

        Args:
            sql: names a table as ``dataset.table``, or ``"project.dataset".table`` for a project
                other than the server's.
        """
        cursor = self._store.cursor()
        try:
            return cursor.sql(sql).to_arrow_table()
        finally:
            cursor.close()

    def _start(self, state: State) -> None:
        catalog = Catalog(state)
        reading = Reading(state, catalog)
        loads = Loads(state, catalog, Objects(self._storage_endpoint))
        routes: list[Route] = [
            *catalog_routes(catalog, self.faults),
            *row_routes(state, catalog, reading, self.faults),
            *job_routes(Jobs(state, reading, loads), self.faults),
            *fault_routes(self.faults),
        ]
        self._http = HttpServer(self._host, self._rest_port, routes)
        self.rest_endpoint = f"http://{self._host}:{self._http.server_address[1]}"
        try:
            self._start_grpc(
                write_handler(Writes(state, catalog), self.faults),
                read_handler(Sessions(state, catalog, reading), self.faults),
            )
        except BaseException:
            self._http.server_close()
            raise
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            args=(_STOP_POLL_S,),
            name="bigquery_local",
            daemon=True,
        )
        self._thread.start()

    def _start_grpc(self, *handlers: Any) -> None:
        self._pool = ThreadPoolExecutor(limits.CONNECTIONS_MAX, "bigquery_local")
        self._grpc = grpc.server(self._pool, options=_OPTIONS)
        self._grpc.add_generic_rpc_handlers(handlers)
        try:
            bound = self._grpc.add_insecure_port(f"{self._host}:{self._port}")
        except RuntimeError as error:
            raise PortInUse(f"{self._host}:{self._port} can't be listened on: {error}") from None
        self._grpc.start()
        self.grpc_endpoint = f"{self._host}:{bound}"
