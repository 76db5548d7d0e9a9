"""SDK harnesses in processes of their own, spoken to on the loopback interface.

Beam's own server for harnesses listens on all interfaces, and its subprocesses outlive a parent
that is killed. Here they end with it: their standard input closes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf import text_format

from runners.local.internals import (
    LOGENTRY_TO_LOG_LEVEL_MAP,
    BeamFnControlServicer,
    BeamFnDataServicer,
    GrpcStateServicer,
    GrpcWorkerHandler,
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    thread_pool_executor,
)

__all__ = ["HarnessServer", "ProcessHandler"]

END_S = 10.0
"""How long a process may take to end before it is killed."""
_FLUSH_MS = 1_000


class HarnessServer:
    """Serves control, data, state and logging to harnesses on one port of 127.0.0.1.

    Args:
        state: the state service.
        manager: knows the descriptors of stages.
    """

    def __init__(self, state: Any, manager: Any) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(
            thread_pool_executor.shared_unbounded_instance(), options=options
        )
        self.control_handler = BeamFnControlServicer(manager)
        self.data_plane_handler = BeamFnDataServicer(_FLUSH_MS)
        api = beam_fn_api_pb2_grpc
        api.add_BeamFnControlServicer_to_server(self.control_handler, self._server)
        api.add_BeamFnDataServicer_to_server(self.data_plane_handler, self._server)
        api.add_BeamFnStateServicer_to_server(GrpcStateServicer(state), self._server)
        api.add_BeamFnLoggingServicer_to_server(_Logging(), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.control_port = self.data_port = self.state_port = self.logging_port = port
        self._server.start()

    def close(self) -> None:
        """End all connections."""
        self.control_handler.done()
        self._server.stop(END_S).wait()


class _Logging(beam_fn_api_pb2_grpc.BeamFnLoggingServicer):
    """Passes on what worker processes log, as if it had been logged here."""

    def Logging(self, lists: Iterable[Any], context: Any) -> Iterator[Any]:  # noqa: N802, ARG002
        yield beam_fn_api_pb2.LogControl()
        for entries in lists:
            for entry in entries.log_entries:
                logger = logging.getLogger(_logger_name(entry.log_location))
                logger.log(LOGENTRY_TO_LOG_LEVEL_MAP[entry.severity], "%s", entry.message)


def _logger_name(location: str) -> str:
    """Return the logger of a source file, so that levels set for Beam count for its workers."""
    parts = location.rpartition(":")[0].removesuffix(".py").split(os.sep)
    if "apache_beam" in parts:
        return ".".join(parts[parts.index("apache_beam") :])
    return f"{__name__}.{parts[-1]}"


class ProcessHandler(GrpcWorkerHandler):
    """One harness process.

    Args:
        state: the state service.
        server: what it connects to.
        options: of the pipeline, as far as JSON can say them.

    Attributes:
        failure: why the process is gone, while nobody has stopped it; else None.
    """

    def __init__(self, state: Any, server: HarnessServer, options: Mapping[str, Any]) -> None:
        super().__init__(state, None, server)
        # To measure a value for its cache of state Beam walks through all modules that are loaded:
        # several milliseconds, for what the cache would save a fraction of one.
        self._options = {"max_cache_memory_usage_mb": 0, **options}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.failure: RuntimeError | None = None

    def start_worker(self) -> None:
        """Start the process; it connects by itself."""
        endpoint = text_format.MessageToString(self.control_api_service_descriptor())
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "WORKER_ID": self.worker_id,
            "CONTROL_API_SERVICE_DESCRIPTOR": endpoint,
            "LOGGING_API_SERVICE_DESCRIPTOR": endpoint,
            "PIPELINE_OPTIONS": json.dumps({"options": self._options}),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runners.local.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the runner to answer
        )
        threading.Thread(target=self._watch, name=self.worker_id, daemon=True).start()

    def _watch(self) -> None:
        assert self._process is not None  # noqa: S101 - for the type checker
        status = self._process.wait()
        if not self._stopped:
            self.failure = RuntimeError(f"worker process {self.worker_id} ended with {status}")
            self.control_conn.abort(self.failure)

    def stop_worker(self) -> None:
        """End the process."""
        self._stopped = True
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def host_from_worker(self) -> str:
        """Return where the server is."""
        return "127.0.0.1"
