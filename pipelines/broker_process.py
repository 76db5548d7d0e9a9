"""The broker as a process of its own, started as its command line says."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms.errors import ConfigError, HeadraceError, PermanentError

__all__ = ["broker_process"]

STOP_S = 20.0
UNUSABLE = 2
"""Exit code of a broker whose flags, or what they name, can't be used."""


@contextlib.contextmanager
def broker_process(data_dir: Path, port: int = 0, options: Sequence[str] = ()) -> Iterator[str]:
    """Run ``python -m connectors.broker`` during the block; yield its address.

    It ends with this process, also if that is killed.

    Args:
        data_dir: of its log.
        port: 0 takes any free one.
        options: others of its command line.

    Raises:
        ConfigError: the port or the folder can't be used; its own words are on stderr.
        PermanentError: it did not start for another reason.
    """
    command = [sys.executable, "-m", "connectors.broker"]
    command += ["--port", str(port), "--data-dir", os.fspath(data_dir), *options]
    command.append("--until-stdin-ends")
    # In a session of its own, so that Ctrl-C reaches us first: whoever talks to it ends before it.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        ready = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)", process.stdout.readline())
        try:
            if ready is None:
                raise _not_started(process.wait(STOP_S), data_dir)
            yield ready[1]
        finally:
            process.terminate()
            process.wait(STOP_S)


def _not_started(code: int, data_dir: Path) -> HeadraceError:
    if code == UNUSABLE:
        return ConfigError(
            "broker", os.fspath(data_dir), "did not start, for the reason above",
            "Give another folder or port, or end the process that uses it",
        )  # fmt: skip
    return PermanentError(f"the broker did not start with --data-dir {data_dir}")
