"""The HTTP port: bound at the start, served from the first connection on."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Doorman", "PortInUse", "bind", "check_free", "joined"]

_log = logging.getLogger(__name__)

_BACKLOG = 128


class PortInUse(Exception):  # noqa: N818 - says what is in use
    """The address can't be listened on."""


def joined(host: str, port: int) -> str:
    """Return ``HOST:PORT``, with brackets around an address that has colons itself."""
    name = host.strip("[]")
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def check_free(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    gRPC would say so too, and print lines of its own before.

    Raises:
        PortInUse: it is taken, or the address is not one of this machine.
    """
    for each in bind(host, port):
        each.close()


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets of all addresses that a host name stands for; nothing listens yet.

    Args:
        host: name or address.
        port: 0 takes any free one, the same for all addresses.

    Raises:
        PortInUse: it is taken, or the address is not one of this machine.
    """
    sockets: list[socket.socket] = []
    reason = "it is no address of this machine"
    try:
        for family, address in _addresses(host, port):
            sockets += _bound(family, address, sockets)
    except OSError as error:
        for each in sockets:
            each.close()
        sockets.clear()
        reason = "another process listens there" if error.errno == errno.EADDRINUSE else str(error)
    if not sockets:
        raise PortInUse(f"{joined(host, port)} can't be listened on: {reason}")
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return sorted({(family, address) for family, _, _, _, address in found})


def _bound(family: int, address: Any, earlier: list[socket.socket]) -> list[socket.socket]:
    """Return a socket, or none where a name stands for an address that this machine lacks."""
    if earlier:
        address = (address[0], earlier[0].getsockname()[1], *address[2:])
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return []
        raise
    one.setblocking(False)
    return [one]


class Doorman:
    """Waits for the first connection, then opens; the system keeps those who wait meanwhile.

    Args:
        sockets: bound; they are listened on from here on.
        open_door: begins to serve them; returns what ends it.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        open_door: Callable[[list[socket.socket]], Awaitable[Callable[[], Awaitable[None]]]],
    ) -> None:
        self._sockets, self._open_door = sockets, open_door
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Task[Callable[[], Awaitable[None]] | None] | None = None
        for each in sockets:
            each.listen(_BACKLOG)
            self._loop.add_reader(each, self._knocked)

    async def close(self) -> None:
        """Stop serving."""
        self._stop_waiting()
        end = await self._opening if self._opening else None
        if end:
            await end()
        for each in self._sockets:
            each.close()

    def _knocked(self) -> None:
        self._stop_waiting()
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> Callable[[], Awaitable[None]] | None:
        try:
            return await self._open_door(self._sockets)
        except Exception:  # noqa: BLE001 - gRPC serves on
            _log.exception("the HTTP port can't be served")
            for each in self._sockets:
                each.close()
            return None

    def _stop_waiting(self) -> None:
        for each in self._sockets:
            if each.fileno() >= 0:
                self._loop.remove_reader(each)
