"""State for harnesses in other processes: only bundles that run are served."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runners.local.errors import StoreFull
from runners.local.internals import beam_fn_api_pb2
from runners.local.state import StateService
from runners.local.state_server import StateServer
from runners.local.store import Store

KEY = beam_fn_api_pb2.StateKey(
    bag_user_state=beam_fn_api_pb2.StateKey.BagUserState(
        transform_id="step", user_state_id="bag", window=b"", key=b"k"
    )
)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    opened.begin()
    yield opened
    opened.close()


@pytest.fixture
def server(store: Store) -> StateServer:
    return StateServer(StateService(store, threading.RLock(), {}))


def asked(server: StateServer, instruction: str, **request: Any) -> Any:
    """Return the answer to one request."""
    message = beam_fn_api_pb2.StateRequest(
        id="7", instruction_id=instruction, state_key=KEY, **request
    )
    (answer,) = server.State([message], None)
    assert answer.id == "7"
    return answer


def append(server: StateServer, instruction: str, data: bytes) -> Any:
    return asked(server, instruction, append=beam_fn_api_pb2.StateAppendRequest(data=data))


def read(server: StateServer, instruction: str) -> bytes:
    found = asked(server, instruction, get=beam_fn_api_pb2.StateGetRequest())
    assert not found.error
    return bytes(found.get.data)


def fail(server: StateServer, instruction: str, error: Exception) -> None:
    """Run a bundle that writes, and fails."""
    with server.serving(instruction):
        append(server, instruction, b"taken back")
        raise error


def test_a_bundle_that_runs_is_served(server: StateServer) -> None:
    """It reads what it wrote, and what others did before it."""
    with server.serving("one"), server.serving("two"):
        assert append(server, "one", b"a").WhichOneof("response") == "append"
        assert read(server, "two") == b"a"
        cleared = asked(server, "two", clear=beam_fn_api_pb2.StateClearRequest())
        assert cleared.WhichOneof("response") == "clear"
        assert read(server, "one") == b""


def test_late_requests_are_refused(server: StateServer, store: Store) -> None:
    """What a bundle that has failed still sends does not reach the next attempt."""
    with pytest.raises(ValueError, match="user code"):
        fail(server, "first", ValueError("user code"))
    store.rollback()
    store.begin()
    with server.serving("second"):
        append(server, "second", b"a")
        assert "first does not run" in append(server, "first", b"late").error
        assert asked(server, "first", clear=beam_fn_api_pb2.StateClearRequest()).error
        assert asked(server, "first", get=beam_fn_api_pb2.StateGetRequest()).error
        assert "no bundle" in append(server, "", b"late").error
        assert read(server, "second") == b"a"


def test_state_that_can_not_be_used_is_the_cause(
    server: StateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: that, and not the step which met it, is what has failed."""

    def refuse(*_: object) -> None:
        raise StoreFull("/state", "the disk is full", "Free space")

    monkeypatch.setattr(Store, "append", refuse)
    with server.serving("one"):
        error = append(server, "one", b"a").error
    assert error == "StoreFull: /state: the disk is full. Free space"
    with pytest.raises(StoreFull, match="Free space"):
        fail(server, "two", RuntimeError(error))


def test_unknown_requests_are_answered(server: StateServer) -> None:
    """They fail, and the next ones don't."""
    with server.serving("one"):
        assert "NotImplementedError" in asked(server, "one").error
        assert read(server, "one") == b""
