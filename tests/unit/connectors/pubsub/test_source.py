"""What a run takes from a subscription: each message once, leases kept until the end."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence

import grpc
import pyarrow as pa
import pytest

from connectors import retry
from connectors.identity import IDENTITY_SCHEMA
from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.source import Intake, PubsubSource
from tests.conftest import message_batch
from tests.fake_grpc import Refusal
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import TransientError
from transforms.message import MESSAGE_ID, PUBLISH_TIME

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


def committed(*numbers: int) -> pa.Table:
    """Return the identities of the messages with these ids."""
    batches = [message_batch([b"x"], number).rows for number in numbers]
    return pa.Table.from_batches(batches).select(IDENTITY_SCHEMA.names)


def published_later(messages: Batch) -> Batch:
    """Return messages with the same ids from a server that has started anew."""
    later = [
        time + dt.timedelta(microseconds=1) for time in messages.column(PUBLISH_TIME).to_pylist()
    ]
    return messages.with_column(PUBLISH_TIME, pa.array(later, IDENTITY_SCHEMA.field(1).type))


def ids(messages: Batch | pa.Table) -> list[str]:
    """Return the ids of the messages."""
    return messages.column(MESSAGE_ID).to_pylist()


def source(subscription: Scripted, backoff: retry.Backoff = BRIEF) -> PubsubSource:
    """Return a source whose leases would last a minute."""
    return PubsubSource(
        "projects/p/subscriptions/abc", subscription, SUBJECT,
        ack_deadline_s=60, committed=NO_MESSAGES, backoff=backoff,
    )  # fmt: skip


@pytest.fixture
def counted() -> Iterator[dict[str, int]]:
    """Count what the metrics are told."""
    counts: dict[str, int] = {}

    def watcher(metric: metrics.Metric, amount: int) -> None:
        counts[metric.name] = counts.get(metric.name, 0) + amount

    metrics.watch(watcher)
    yield counts
    metrics.unwatch(watcher)


def test_each_message_enters_once(counted: dict[str, int]) -> None:
    """What was delivered before, or twice in one batch, is dropped and counted apart."""
    intake = Intake(NO_MESSAGES)
    first = intake.admit(delivery("a", 1, 2, 2).messages)
    second = intake.admit(delivery("b", 2, 3, 1).messages)
    assert ids(first) == ["1", "2"]
    assert ids(second) == ["3"]
    assert intake.held == 3
    assert intake.messages() == committed(1, 2, 3)
    assert counted == {"messages_read": 3, "messages_redelivered": 3}


def test_committed_messages_are_held_but_do_not_enter(counted: dict[str, int]) -> None:
    """A message that an earlier run has committed is ours to acknowledge, not to process."""
    intake = Intake(committed(1, 9))
    assert ids(intake.admit(delivery("a", 1, 2).messages)) == ["2"]
    assert len(intake.admit(delivery("b", 1, 2).messages)) == 0
    assert intake.held == 2
    assert intake.messages() == committed(2)
    assert counted == {"messages_read": 1, "messages_redelivered": 3}


def test_an_id_that_a_new_server_gives_out_again_is_a_new_message(
    counted: dict[str, int],
) -> None:
    """The same id at another publish time enters, whatever this run or an earlier one has seen."""
    intake = Intake(committed(1, 2))
    old = delivery("a", 1, 2, 3).messages
    assert ids(intake.admit(old)) == ["3"]
    new = published_later(old)
    assert intake.admit(new) == new
    assert len(intake.admit(Batch.concat([new, old]))) == 0
    assert intake.held == 6
    assert ids(intake.messages()) == ["3", "1", "2", "3"]
    assert counted == {"messages_read": 4, "messages_redelivered": 8}


def test_an_intake_of_nothing_has_no_messages() -> None:
    """Before the first delivery and after empty ones there are none, of the right types."""
    intake = Intake(NO_MESSAGES)
    assert intake.messages() == NO_MESSAGES
    intake.admit(NOTHING)
    assert intake.messages() == NO_MESSAGES


def test_identities_do_not_keep_payloads_alive() -> None:
    """Messages are remembered to the end of the run, and the responses they came in are not."""
    sink = pa.BufferOutputStream()
    rows = message_batch([b"x" * 100_000] * 3).rows
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    response = sink.getvalue()
    intake = Intake(NO_MESSAGES)
    intake.admit(Batch(pa.ipc.open_stream(response).read_next_batch()))
    inside = range(response.address, response.address + response.size)
    buffers = [
        buffer
        for column in intake.messages().columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer
    ]
    assert buffers
    assert not any(buffer.address in inside for buffer in buffers)


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
