"""The broker as a server: in process as a context manager, or in a process of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import grpc
import grpc.aio

from connectors.broker import limits
from connectors.broker.engine import Engine
from connectors.broker.service import Router

__all__ = ["Broker", "PortInUse", "serve"]

_STOP_GRACE_S = 0.5
_OPTIONS = [
    ("grpc.max_receive_message_length", limits.RECEIVE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # Clients of long-lived streams ping; the default would disconnect them for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class PortInUse(Exception):  # noqa: N818 - says what is in use
    """The address can't be listened on."""


async def serve(
    directory: Path, host: str, port: int, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve a data directory until ``stop`` is set.

    Args:
        directory: of the log; made if it is missing.
        host: address to listen on.
        port: to listen on; 0 takes any free one.
        ready: called with ``HOST:PORT`` once the server answers.
        stop: ends it.

    Raises:
        PortInUse: the address can't be listened on.
        DataDirInUse: another broker has the directory open.
        CorruptLog: the log was damaged.
        OSError: the directory can't be made or written.
    """
    engine = Engine(directory)
    try:
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((Router(engine),))
        try:
            bound = server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise PortInUse(f"{host}:{port} can't be listened on: {error}") from None
        await server.start()
        ready(f"{host}:{bound}")
        await stop.wait()
        await server.stop(_STOP_GRACE_S)
    finally:
        await engine.close()


class Broker:
    """A broker in this process, on a thread of its own.

        with Broker(data_dir=path) as broker:
            os.environ["PUBSUB_EMULATOR_HOST"] = broker.address

    Args:
        data_dir: directory of the log; made if it is missing.
        port: to listen on; 0 takes any free one.
        host: address to listen on.
    """

    def __init__(self, data_dir: str | Path, port: int = 0, host: str = "127.0.0.1") -> None:
        self._data_dir, self._port, self._host = Path(data_dir), port, host
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """``HOST:PORT``, the value for ``PUBSUB_EMULATOR_HOST``."""
        return self._address

    def __enter__(self) -> Broker:
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure and not error:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in __enter__ or __exit__
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._data_dir, self._host, self._port, self._ready, self._stop)

    def _ready(self, address: str) -> None:
        self._address = address
        self._started.set()
