"""The broker as a process of its own, started as its command line says."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms.errors import PermanentError

__all__ = ["broker_process"]

STOP_S = 20.0


@contextlib.contextmanager
def broker_process(data_dir: Path, port: int = 0, options: Sequence[str] = ()) -> Iterator[str]:
    """Run ``python -m connectors.broker`` during the block; yield its address.

    Args:
        data_dir: of its log.
        port: 0 takes any free one.
        options: others of its command line.

    Raises:
        PermanentError: it did not start; its own words are on stderr.
    """
    command = [sys.executable, "-m", "connectors.broker"]
    command += ["--port", str(port), "--data-dir", os.fspath(data_dir), *options]
    # In a session of its own, so that Ctrl-C reaches us first: whoever talks to it ends before it.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        ready = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)", process.stdout.readline())
        try:
            if ready is None:
                raise PermanentError(f"the broker did not start with --data-dir {data_dir}")
            yield ready[1]
        finally:
            process.terminate()
            process.wait(STOP_S)
