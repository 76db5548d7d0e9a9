"""The main program of a worker process: Beam's SDK harness, which ends with its parent."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from apache_beam.options import pipeline_options

from runners.local.failure import report
from runners.local.internals import beam_fn_api_pb2, sdk_worker, sdk_worker_main
from runners.local.witness import Witness

__all__ = ["main"]


def main() -> None:
    """Serve the runner until it is gone."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    sdk_worker.SdkWorker.do_instruction = _reporting(sdk_worker.SdkWorker.do_instruction)
    # The runner tells what a step raises, once.
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    # It warns that no main session was staged; what is pickled here brings along what it needs.
    logging.getLogger(sdk_worker_main.__name__).setLevel(logging.ERROR)
    # It warns of options that only modules of the main program define.
    logging.getLogger(pipeline_options.__name__).setLevel(logging.ERROR)
    log, harness, _ = sdk_worker_main.create_harness(os.environ)
    harness._bundle_processor_cache.data_sampler = Witness()
    harness.run()
    log.close()  # what steps say when they are torn down is still under way


def _reporting(work: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let the answer to a failing instruction say all that the runner must know of the failure."""

    def do_instruction(worker: Any, request: Any) -> Any:
        try:
            return work(worker, request)
        except Exception as error:  # noqa: BLE001 - user code raises what it likes
            return beam_fn_api_pb2.InstructionResponse(
                instruction_id=request.instruction_id, error=report(error)
            )

    return do_instruction


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open while it lives."""
    # Not sys.stdin: its lock would be held when the interpreter shuts down.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
