"""The living reader: outages, acknowledging in the background, closing; against a script."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence

import grpc
import pytest

from connectors import retry
from connectors.pubsub import reader as module
from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.reader import Emission, Key, Reader
from connectors.pubsub.reading import Reading
from connectors.pubsub.session import Connection
from connectors.pubsub.watermark import PublishTime
from tests.conftest import message_batch
from tests.fake_grpc import Refusal
from tests.processes import wait_until
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import MESSAGE_ID

DOWN = Refusal(grpc.StatusCode.UNAVAILABLE)
LIMIT_S = 10.0


class Scripted:
    """Plays deliveries and errors; notes what it is told."""

    leases_last = True

    def __init__(self, *script: Delivery | Exception | None) -> None:
        self.script = deque(script)
        self.polls = self.asked = self.answered = 0
        self.failures = 0
        self.acknowledged: list[str] = []
        self.released: list[str] = []
        self.closed = False

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Not used without end."""
        raise NotImplementedError

    def poll(self, messages_max: int, wait_s: float, open_s: float) -> Delivery | None:
        """Play the next line of the script."""
        self.polls += 1
        line = self.script.popleft() if self.script else None
        if isinstance(line, Exception):
            raise line
        return line

    def extend(self, leases: Sequence[str]) -> Sequence[str]:
        """All leases are held."""
        return leases

    def acknowledge(self, leases: Sequence[str]) -> None:
        """Note them, unless it is to fail."""
        if self.failures:
            self.failures -= 1
            raise DOWN
        self.acknowledged += leases

    def release(self, leases: Sequence[str]) -> None:
        """Note them."""
        self.released += leases

    def close(self) -> None:
        """Note it."""
        self.closed = True


def delivery(lease: str, *numbers: int) -> Delivery:
    """Return messages with these ids."""
    batches = [message_batch([b"x"], number) for number in numbers]
    return Delivery(Batch.concat(batches), lease, None, None, horizon_us=1)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be tried for long."""
    monkeypatch.setattr(module, "ACK_OUTAGE", retry.Backoff(patience_s=0.0))
    monkeypatch.setattr(module, "RELEASE_OUTAGE", retry.Backoff(patience_s=0.0))


@contextlib.contextmanager
def reading(subscription: Scripted) -> Iterator[Reader]:
    """Open a reader of a subscription, and close it in the end."""
    subject = retry.Subject("subscription", "projects/p/subscriptions/abc", "create", "start")
    connection = Connection(subscription, subject, 60)
    reader = Reader(connection, PublishTime().tracker(), contextlib.ExitStack())
    try:
        yield reader
    finally:
        reader.close()


def take(reader: Reader, before: Reading) -> tuple[Emission, list[str], Reading]:
    """Make a call: return it, the ids of its new messages and what it leaves."""
    call = reader.begin(before)
    found: list[str] = []
    while (delivered := reader.poll(0.0)) is not None:
        call.accept(delivered)
        found += call.fresh.column(MESSAGE_ID).to_pylist() if call.fresh else []
    return call, found, call.rest()


def test_what_is_committed_is_acknowledged() -> None:
    """In the background, and only then; what is left tells the next call until it is over."""
    subscription = Scripted(delivery("a", 1, 2), delivery("b", 3))
    with reading(subscription) as reader:
        call, found, rest = take(reader, Reading())
        assert (found, len(rest.unsettled)) == (["1", "2", "3"], 1)
        assert (subscription.acknowledged, call.owes) == ([], True)
        call.committed()
        wait_until(lambda: subscription.acknowledged == ["a", "b"], LIMIT_S)
        wait_until(lambda: take(reader, rest)[2] == Reading(), LIMIT_S)


def test_an_acknowledgement_that_failed_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """The next call owes it, and its commit tries again."""
    subscription = Scripted(delivery("a", 1))
    subscription.failures = 1
    with reading(subscription) as reader:
        call, _, rest = take(reader, Reading())
        call.committed()
        wait_until(lambda: take(reader, rest)[0].owes, LIMIT_S)
        assert "a later bundle tries again" in caplog.text
        call, _, _ = take(reader, rest)
        call.committed()
        wait_until(lambda: subscription.acknowledged == ["a"], LIMIT_S)


def test_a_rollback_releases_and_keeps_the_next() -> None:
    """The leases of the epoch that was taken back are released; the next call reads on."""
    subscription = Scripted(delivery("a", 1), None, delivery("b", 1))
    with reading(subscription) as reader:
        _, found, _ = take(reader, Reading())
        assert found == ["1"]
        _, found, rest = take(reader, Reading())
        assert found == ["1"]
        wait_until(lambda: subscription.released == ["a"], LIMIT_S)
        assert [each.leases for each in rest.unsettled] == [("b",)]


def test_an_outage_is_sat_out_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A poll brings nothing meanwhile, and does not ask every time; the log is told once."""
    subscription = Scripted(DOWN, DOWN, delivery("a", 1))
    with reading(subscription) as reader, caplog.at_level(logging.WARNING):
        assert [reader.poll(0.0) for _ in range(5)] == [None] * 5
        assert subscription.polls == 1
        monkeypatch.setattr(module, "RETRY_S", 0.0)
        wait_until(lambda: reader.poll(0.0) is not None, LIMIT_S)
        assert len(caplog.records) == 1
        assert "reading goes on when it is back" in caplog.text


def test_what_does_not_pass_is_an_error() -> None:
    """A subscription that is gone won't come back."""
    with (
        reading(Scripted(Refusal(grpc.StatusCode.NOT_FOUND))) as reader,
        pytest.raises(ConfigError, match="does not exist"),
    ):
        reader.poll(0.0)


def test_a_delivery_that_was_put_back_comes_first() -> None:
    """And as long as it waits, nothing is over: it may hold what was acknowledged meanwhile."""
    subscription = Scripted(delivery("a", 1), None, delivery("b", 2))
    with reading(subscription) as reader:
        call, _, rest = take(reader, Reading())
        call.committed()
        wait_until(lambda: take(reader, rest)[2] == Reading(), LIMIT_S)
        waiting = delivery("c", 1)
        call = reader.begin(rest)
        reader.put_back(waiting)
        assert call.rest().unsettled == rest.unsettled
        assert reader.poll(0.0) is waiting


def test_closing_gives_back_what_is_not_acknowledged() -> None:
    """An open bundle, a delivery that waits, and the request that is open on the server."""
    subscription = Scripted(delivery("a", 1), None, delivery("b", 2))
    with reading(subscription) as reader:
        call, _, rest = take(reader, Reading())
        call.committed()
        take(reader, rest)
        reader.put_back(delivery("c", 3))
    assert subscription.acknowledged == ["a"]
    assert subscription.released == ["b", "c"]
    assert subscription.closed


def test_the_last_user_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances of a step share its reader; another step has another."""
    opened: list[Scripted] = []

    def connect(name: str, closing: contextlib.ExitStack) -> Connection:
        opened.append(Scripted())
        return Connection(opened[-1], retry.Subject("subscription", name, "", ""), 60)

    monkeypatch.setattr(module, "connect", connect)
    key = Key("step", "projects/p/subscriptions/abc")
    first, second = (module.acquire(key, PublishTime()) for _ in range(2))
    other = module.acquire(key._replace(step="other"), PublishTime())
    assert first is second is not other
    module.give_back(key)
    assert [subscription.closed for subscription in opened] == [False, False]
    module.give_back(key)
    module.give_back(key._replace(step="other"))
    assert [subscription.closed for subscription in opened] == [True, True]
    assert module.acquire(key, PublishTime()) is not first
    module.give_back(key)


def test_an_answer_of_no_messages_moves_the_watermark() -> None:
    """It enters no bundle, but tells how far the server is."""
    subscription = Scripted(Delivery(NOTHING, None, 0, 0, horizon_us=77))
    with reading(subscription) as reader:
        call, found, rest = take(reader, Reading())
        assert (found, rest, call.owes) == ([], Reading(), False)
        assert reader.tracker.watermark_us() == 77
