"""The main program of a worker process: Beam's SDK harness, which ends with its parent."""

from __future__ import annotations

import logging
import os
import threading

from apache_beam.options import pipeline_options

from runners.local.failure import reporting
from runners.local.internals import sdk_worker, sdk_worker_main
from runners.local.witness import Witness

__all__ = ["main"]


def main() -> None:
    """Serve the runner until it is gone."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    # Exceptions cross to the runner as text: what it must know of them has to be in there.
    sdk_worker.SdkWorker.do_instruction = reporting(sdk_worker.SdkWorker.do_instruction)
    # It warns that no main session was staged; what is pickled here brings along what it needs.
    logging.getLogger(sdk_worker_main.__name__).setLevel(logging.ERROR)
    # It warns of options that only modules of the main program define.
    logging.getLogger(pipeline_options.__name__).setLevel(logging.ERROR)
    _, harness, _ = sdk_worker_main.create_harness(os.environ)
    harness._bundle_processor_cache.data_sampler = Witness()
    harness.run()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open while it lives."""
    # Not sys.stdin: its lock would be held when the interpreter shuts down.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
