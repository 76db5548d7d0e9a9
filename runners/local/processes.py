"""SDK harnesses in processes of their own, spoken to on the loopback interface.

Beam's own server for harnesses listens on all interfaces, and its subprocesses outlive a parent
that is killed. Here they end with it: their standard input closes. Asked to end by a parent that
lives, they tear down their steps before.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import grpc
from google.protobuf import text_format

from runners.local.internals import (
    LOGENTRY_TO_LOG_LEVEL_MAP,
    BeamFnControlServicer,
    BeamFnDataServicer,
    GrpcWorkerHandler,
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    thread_pool_executor,
)
from runners.local.state_server import StateServer

__all__ = ["HarnessServer", "ProcessHandler"]

_log = logging.getLogger(__name__)

END_S = 10.0
"""How long processes may take to tear down their steps before they are killed."""
KILL_S = 1.0
"""How long a process may take to notice that nobody holds its standard input open."""
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
        self.control_handler = _Control(manager)
        self.data_plane_handler = BeamFnDataServicer(_FLUSH_MS)
        api = beam_fn_api_pb2_grpc
        api.add_BeamFnControlServicer_to_server(self.control_handler, self._server)
        api.add_BeamFnDataServicer_to_server(self.data_plane_handler, self._server)
        self.state_server = StateServer(state)
        api.add_BeamFnStateServicer_to_server(self.state_server, self._server)
        api.add_BeamFnLoggingServicer_to_server(_Logging(), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.control_port = self.data_port = self.state_port = self.logging_port = port
        self._server.start()

    def close(self) -> None:
        """End all connections."""
        self.control_handler.done()
        self._server.stop(END_S).wait()


class _Control(BeamFnControlServicer):
    """Gives harnesses their instructions, and remembers which ones have come for them.

    Attributes:
        connected: their ids.
    """

    def __init__(self, manager: Any) -> None:
        super().__init__(manager)
        self.connected: set[str] = set()

    def Control(self, responses: Iterable[Any], context: Any) -> Iterator[Any]:  # noqa: N802
        self.connected.add(dict(context.invocation_metadata())["worker_id"])
        yield from super().Control(responses, context)


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
            self._abort(self.failure)

    def _abort(self, failure: RuntimeError) -> None:
        """Answer what was asked. Who asks later looks whether there is somebody to answer."""
        answered = False
        while not answered:
            with contextlib.suppress(RuntimeError):  # asked meanwhile: Beam has no lock there
                self.control_conn.abort(failure)
                answered = True

    def serving(self, instruction: str) -> AbstractContextManager[None]:
        """Answer requests for state of a bundle during the block, and none behind it."""
        return self._grpc_server.state_server.serving(instruction)

    def dismiss(self) -> None:
        """Let the harness come to its end, without waiting for it."""
        self._stopped = True
        self.control_conn.close()
        self.data_conn.close()

    def end(self, until_s: float) -> None:
        """Wait for a harness that was dismissed, and kill it if it takes too long.

        Args:
            until_s: of ``time.monotonic``, how long it may tear down its steps.
        """
        process = self._process
        if process is None or process.stdin is None:
            return
        # One that has never asked for work has nothing to tear down, and may have long to go.
        if self.worker_id in self.control_handler.connected and not _ends(process, until_s):
            _log.warning("%s takes too long to tear down its steps: killed", self.worker_id)
        process.stdin.close()
        if not _ends(process, time.monotonic() + KILL_S):
            process.kill()
            process.wait()
        self.control_handler.connected.discard(self.worker_id)

    def close(self) -> None:
        """End the process."""
        self.dismiss()
        self.end(time.monotonic() + END_S)

    def host_from_worker(self) -> str:
        """Return where the server is."""
        return "127.0.0.1"


def _ends(process: subprocess.Popen[bytes], until_s: float) -> bool:
    try:
        process.wait(max(0.0, until_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True
