"""The broker as a server: in process as a context manager, or in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import grpc
import grpc.aio

from connectors.broker import limits
from connectors.broker.engine import Engine
from connectors.broker.errors import BadCertificate
from connectors.broker.http.listening import Doorman, PortInUse, bind, check_free, joined
from connectors.broker.service import Router
from connectors.broker.store import Durability

if TYPE_CHECKING:
    from connectors.broker.access.authority import Authority
    from connectors.broker.declared.applying import Plan

__all__ = ["Addresses", "Broker", "Serving", "serve"]

_STOP_GRACE_S = 0.5
_OPTIONS = [
    ("grpc.max_receive_message_length", limits.RECEIVE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # Clients of long-lived streams ping; the default would disconnect them for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class Tls(NamedTuple):
    """A certificate and its key, files in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Serving:
    """What is served, and where.

    Args:
        directory: of the log, made if it is missing; None keeps everything in memory.
        host: address to listen on.
        port: of gRPC; 0 takes any free one.
        http_port: 0 takes any free one, None serves no HTTP.
        allowed_hosts: names, in lower case, under which a browser may know the broker.
        config: file that declares resources, made or updated before anything is served.
        reset: called with the directory when nothing is left that could fail before.
        auth: file that says who may do what (``access/authority.py``); None asks nobody.
        tls: certificate of both ports; None serves plain text.
        durability: of the log on disk.
    """

    directory: Path | None
    host: str = "127.0.0.1"
    port: int = 0
    http_port: int | None = None
    allowed_hosts: frozenset[str] = frozenset()
    config: Path | None = None
    reset: Callable[[Path], None] | None = None
    auth: Path | None = None
    tls: Tls | None = None
    durability: Durability = Durability.ALWAYS


class Addresses(NamedTuple):
    """Where a server answers, each as ``HOST:PORT``."""

    grpc: str
    http: str
    """Empty if there is no HTTP."""


async def serve(serving: Serving, ready: Callable[[Addresses], None], stop: asyncio.Event) -> None:
    """Serve a data directory until ``stop`` is set.

    Args:
        serving: what, and where.
        ready: called with the addresses once the server answers.
        stop: ends it.

    Raises:
        PortInUse: an address can't be listened on.
        DataDirInUse: another broker has the directory open.
        CorruptLog: the log was damaged.
        BadFile: the file of declarations breaks a rule; nothing was changed.
        BadCertificate: the files for TLS are none.
        OSError: the directory can't be made or written, a file can't be read.
    """
    authority = _authority(serving.auth) if serving.auth else None
    encrypted = _context(serving.tls) if serving.tls else None
    plan = _plan(serving.config) if serving.config else None
    if serving.port:
        check_free(serving.host, serving.port)
    sockets = [] if serving.http_port is None else bind(serving.host, serving.http_port)
    try:
        if serving.reset and serving.directory:
            if plan:
                await plan.rehearse()
            serving.reset(serving.directory)
        engine = Engine(serving.directory, serving.durability)
        try:
            router = Router(engine, authority)
            if plan:
                await plan.rehearse(engine.state.checkpoint())
                await plan.carry_out(router.call_as_owner)
            http = _http(sockets, serving, engine, router, encrypted)
            async with _grpc(serving, router) as address, http:
                port = sockets[0].getsockname()[1] if sockets else 0
                ready(Addresses(address, joined(serving.host, port) if sockets else ""))
                await stop.wait()
        finally:
            await engine.close()
    finally:
        for each in sockets:
            each.close()


def _authority(auth: Path) -> Authority:
    from connectors.broker.access.authority import authority_in  # noqa: PLC0415 - it imports PyYAML

    return authority_in(auth)


def _context(tls: Tls) -> ssl.SSLContext:
    """Return how HTTP is encrypted; gRPC would not say what is wrong with the files."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        made.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        raise BadCertificate(
            f"{tls.certificate} and {tls.key} are no certificate and its key in PEM: {error}"
        ) from None
    return made


def _plan(config: Path) -> Plan:
    from connectors.broker.declared.applying import Plan  # noqa: PLC0415 - it imports PyYAML

    return Plan(config)


@asynccontextmanager
async def _grpc(serving: Serving, router: Router) -> AsyncIterator[str]:
    """Answer gRPC during the block; give its address."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((router,))
    address = joined(serving.host, serving.port)
    try:
        bound = _bound(server, address, serving.tls)
    except RuntimeError as error:
        raise PortInUse(f"{address} can't be listened on: {error}") from None
    await server.start()
    try:
        yield joined(serving.host, bound)
    finally:
        await server.stop(_STOP_GRACE_S)


def _bound(server: grpc.aio.Server, address: str, tls: Tls | None) -> int:
    """Listen on an address; return the port."""
    if tls is None:
        return int(server.add_insecure_port(address))
    pair = tls.key.read_bytes(), tls.certificate.read_bytes()
    return int(server.add_secure_port(address, grpc.ssl_server_credentials([pair])))


@asynccontextmanager
async def _http(
    sockets: list[socket.socket],
    serving: Serving,
    engine: Engine,
    router: Router,
    encrypted: ssl.SSLContext | None,
) -> AsyncIterator[None]:
    """Answer HTTP during the block."""

    async def open_door(listening: list[socket.socket]) -> Callable[[], Awaitable[None]]:
        site = await asyncio.to_thread(_import_site)
        hosts = serving.allowed_hosts | {serving.host.lower()}
        return await site(listening, engine, router, hosts, encrypted)

    doorman = Doorman(sockets, open_door)
    try:
        yield
    finally:
        await doorman.close()


def _import_site() -> Callable[..., Awaitable[Callable[[], Awaitable[None]]]]:
    from connectors.broker.http.site import open_site  # noqa: PLC0415 - aiohttp takes 0.2 s

    return open_site


class Broker:
    """A broker in this process, on a thread of its own.

        with Broker(data_dir=path) as broker:
            os.environ["PUBSUB_EMULATOR_HOST"] = broker.address

    Args:
        data_dir: directory of the log, made if it is missing; None keeps everything in memory.
        port: to listen on; 0 takes any free one.
        host: address to listen on.
        http_port: of REST, metrics and the status page; 0 takes any free one, None serves none.
        config: file that declares topics, subscriptions and schemas.
        durability: of the log on disk: ``always`` or ``interval``, see ``store.Durability``.
    """

    def __init__(
        self,
        data_dir: str | Path | None,
        port: int = 0,
        host: str = "127.0.0.1",
        http_port: int | None = None,
        config: str | Path | None = None,
        *,
        durability: str = "always",
    ) -> None:
        self._serving = Serving(
            None if data_dir is None else Path(data_dir),
            host,
            port,
            http_port,
            config=Path(config) if config else None,
            durability=Durability(durability),
        )
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._addresses = Addresses("", "")

    @property
    def address(self) -> str:
        """``HOST:PORT``, the value for ``PUBSUB_EMULATOR_HOST``."""
        return self._addresses.grpc

    @property
    def http_address(self) -> str:
        """``http://HOST:PORT`` of the REST API; empty if there is no HTTP."""
        return f"http://{self._addresses.http}" if self._addresses.http else ""

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
        await serve(self._serving, self._ready, self._stop)

    def _ready(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._started.set()
