"""Worker processes: what they log is logged here, and nobody waits for one that is gone."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runners.local.instructions import ask
from runners.local.internals import WorkerHandlerManager, beam_fn_api_pb2
from runners.local.processes import HarnessServer, ProcessHandler, _logger_name
from tests.processes import wait_until

LIMIT_S = 60


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (
            "/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py:12",
            "apache_beam.runners.worker.sdk_worker",
        ),
        ("/home/me/flights.py:7", "runners.local.processes.flights"),
        ("flights:run", "runners.local.processes.flights"),
        ("", "runners.local.processes."),
    ],
)
def test_logger_is_that_of_the_source(location: str, name: str) -> None:
    """A level that is set for Beam's loggers counts for Beam's code in workers too."""
    assert _logger_name(location) == name


@pytest.fixture
def handler() -> Iterator[ProcessHandler]:
    """Start a worker process."""
    server = HarnessServer(None, WorkerHandlerManager({}, None))
    started = ProcessHandler(None, server, {})
    started.start_worker()
    yield started
    started.close()
    server.close()


def instruction() -> Any:
    """Return one that is answered at once, with an error: there is no such bundle."""
    return beam_fn_api_pb2.InstructionRequest(
        finalize_bundle=beam_fn_api_pb2.FinalizeBundleRequest(instruction_id="none")
    )


def kill(handler: ProcessHandler) -> None:
    assert handler._process is not None
    os.kill(handler._process.pid, signal.SIGKILL)


def test_dead_process_answers(handler: ProcessHandler) -> None:
    """Asked before and after it was killed, it never lets anybody wait."""
    assert "none" in ask(handler, instruction()).error
    kill(handler)
    wait_until(lambda: handler.failure is not None, LIMIT_S)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(ask, handler, instruction())
        with pytest.raises(RuntimeError, match="ended with -9"):
            asked.result(LIMIT_S)


def test_process_that_dies_answers_all(handler: ProcessHandler) -> None:
    """Whatever is asked while it is killed, from whichever thread, has an answer or an error."""

    def ask_on() -> None:
        while True:
            ask(handler, instruction())

    assert ask(handler, instruction()).error
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask_on) for _ in range(8)]
        kill(handler)
        for asked in asking:
            with pytest.raises(RuntimeError, match="ended with -9"):
                asked.result(LIMIT_S)
