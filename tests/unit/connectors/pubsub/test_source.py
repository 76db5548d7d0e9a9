"""What a run takes from a subscription: each message once, leases kept until the end."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence

import grpc
import pytest

from connectors import retry
from connectors.identity import IDENTITY_SCHEMA
from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.source import PubsubSource
from tests.conftest import message_batch
from tests.fake_grpc import Refusal
from transforms.batch import Batch
from transforms.errors import TransientError

SUBJECT = retry.Subject("subscription", "projects/p/subscriptions/abc", "create", "start")
NO_MESSAGES = IDENTITY_SCHEMA.empty_table()
DOWN = Refusal(grpc.StatusCode.UNAVAILABLE)
BRIEF = retry.Backoff(first_s=0.001, patience_s=0.05)


class Scripted:
    """A subscription that hands over what it is told to; errors are raised."""

    def __init__(self, *script: Delivery | Exception) -> None:
        self.script = deque(script)
        self.acknowledged: list[str] = []
        self.released: list[str] = []

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Play the next line of the script."""
        line = self.script.popleft() if self.script else Delivery(NOTHING, None, 0, 0)
        if isinstance(line, Exception):
            raise line
        return line

    def extend(self, leases: Sequence[str]) -> Sequence[str]:
        """All leases are held."""
        return leases

    def acknowledge(self, leases: Sequence[str]) -> None:
        """Note them."""
        self.acknowledged += leases

    def release(self, leases: Sequence[str]) -> None:
        """Note them."""
        self.released += leases

    def close(self) -> None:
        """Nothing was asked for ahead."""


def delivery(lease: str, *numbers: int) -> Delivery:
    """Return messages with these ids."""
    batches = [message_batch([b"x"], number) for number in numbers]
    return Delivery(Batch.concat(batches), lease, None, None)


def source(subscription: Scripted, backoff: retry.Backoff = BRIEF) -> PubsubSource:
    """Return a source whose leases would last a minute."""
    return PubsubSource(
        "projects/p/subscriptions/abc", subscription, SUBJECT,
        ack_deadline_s=60, committed=NO_MESSAGES, backoff=backoff,
    )  # fmt: skip


def test_acknowledge_covers_every_lease() -> None:
    """All leases are acknowledged, also those that brought only redelivered messages."""
    subscription = Scripted(delivery("a", 1), delivery("b", 1), Delivery(NOTHING, None, 0, 2))
    reading = source(subscription)
    for _ in range(3):
        reading.intake.admit(reading.pull(10, 0.0).messages)
    assert subscription.acknowledged == []
    reading.acknowledge()
    assert subscription.acknowledged == ["a", "b"]
    assert subscription.released == []


def test_release_gives_back_every_lease() -> None:
    """A run that failed acknowledges nothing."""
    subscription = Scripted(delivery("a", 1), delivery("b", 2))
    reading = source(subscription)
    reading.pull(10, 0.0)
    reading.pull(10, 0.0)
    reading.release()
    assert (subscription.acknowledged, subscription.released) == ([], ["a", "b"])


def test_short_outage_is_sat_out() -> None:
    """A server that comes back in time is not noticed."""
    reading = source(Scripted(DOWN, DOWN, delivery("a", 1)))
    assert len(reading.pull(10, 0.0).messages) == 1
    reading.release()


def test_long_outage_is_an_error() -> None:
    """A server that stays away is a TransientError that says what to do."""
    reading = source(Scripted(*[DOWN] * 1_000))
    with pytest.raises(TransientError, match="UNAVAILABLE"):
        reading.pull(10, 0.0)
    reading.release()


def test_resources_are_freed_with_the_source() -> None:
    """Channel and temporary subscription end with acknowledge or release, also if these fail."""

    class Broken(Scripted):
        def acknowledge(self, leases: Sequence[str]) -> None:
            raise Refusal(grpc.StatusCode.NOT_FOUND)

    for end in ("acknowledge", "release"):
        freed: list[str] = []
        with contextlib.ExitStack() as closing:
            closing.callback(freed.append, end)
            reading = source(Broken())
            reading.owns(closing.pop_all())
        assert freed == []
        with contextlib.suppress(Exception):
            getattr(reading, end)()
        assert freed == [end]
