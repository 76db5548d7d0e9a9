"""The HTTP port before anybody has come."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from connectors.broker.http.listening import Doorman, PortInUse, bind, check_free, joined


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1:1"), ("::1", "[::1]:1"), ("[::1]", "[::1]:1"), ("a.b", "a.b:1")],
)
def test_an_address_with_colons_gets_brackets(host: str, address: str) -> None:
    """As in a URL."""
    assert joined(host, 1) == address


def test_a_taken_port_is_refused() -> None:
    """With the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"127\.0\.0\.1:{port} .*another process"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """Nothing can listen there."""
    with pytest.raises(PortInUse, match="can't be listened on"):
        bind(host, 0)


def test_all_addresses_of_a_name_have_one_port() -> None:
    """Such as those of localhost, where there are two."""
    sockets = bind("localhost", 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


def run_doorman(
    open_door: Callable[[list[socket.socket]], Awaitable[object]], *, knock: bool
) -> int:
    """Have a doorman wait, knock or not, and close; return what the port is worth then."""

    async def run() -> int:
        sockets = bind("127.0.0.1", 0)
        port: int = sockets[0].getsockname()[1]
        doorman = Doorman(sockets, open_door)  # type: ignore[arg-type]
        if knock:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await asyncio.sleep(0)
        await doorman.close()
        return port

    return asyncio.run(run())


def test_nothing_is_opened_for_nobody() -> None:
    """Then nothing has to end either, and the port is free."""

    async def open_door(_sockets: list[socket.socket]) -> None:
        raise AssertionError("nobody knocked")

    check_free("127.0.0.1", run_doorman(open_door, knock=False))


def test_the_first_knock_opens_and_close_ends_it() -> None:
    """Once."""
    happened: list[str] = []

    async def end() -> None:
        happened.append("ended")

    async def open_door(_sockets: list[socket.socket]) -> Callable[[], Awaitable[None]]:
        happened.append("opened")
        return end

    run_doorman(open_door, knock=True)
    assert happened == ["opened", "ended"]


def test_a_door_that_does_not_open_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the broker serves on, and the port is given back."""

    async def open_door(_sockets: list[socket.socket]) -> None:
        raise OSError("stuck")

    check_free("127.0.0.1", run_doorman(open_door, knock=True))
    assert "can't be served" in caplog.text
