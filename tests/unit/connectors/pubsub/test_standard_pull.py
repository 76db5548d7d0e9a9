"""Several Pulls at once against a scripted server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from google.pubsub_v1 import types

from connectors.clients import Endpoint, open_channel
from connectors.pubsub.standard_pull import StandardPull
from tests.fake_grpc import serve
from tests.processes import wait_until

SUBSCRIPTION = "projects/p/subscriptions/abc"


class Backlog:
    """Hands out numbered messages, at most ``per_pull`` at once; an empty one answers at once."""

    def __init__(self) -> None:
        self.left = 0
        self.per_pull = 1_000
        self.failures = 0
        self.asked: list[int] = []
        self.acknowledged: list[str] = []
        self.modified: list[tuple[int, list[str]]] = []
        self._sent = 0
        self._guard = threading.Lock()

    def pull(self, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve a Pull."""
        request = types.PullRequest.deserialize(payload)
        with self._guard:
            self.asked.append(request.max_messages)
            if self.failures:
                self.failures -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            count = min(self.left, self.per_pull, request.max_messages)
            numbers = range(self._sent, self._sent + count)
            self._sent += count
            self.left -= count
        received = [
            types.ReceivedMessage(
                ack_id=f"ack-{number}",
                message=types.PubsubMessage(data=b"x", message_id=str(number)),
            )
            for number in numbers
        ]
        return types.PullResponse.serialize(types.PullResponse(received_messages=received))

    def acknowledge(self, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve an Acknowledge."""
        self.acknowledged += types.AcknowledgeRequest.deserialize(payload).ack_ids
        return b""

    def modify(self, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve a ModifyAckDeadline."""
        request = types.ModifyAckDeadlineRequest.deserialize(payload)
        self.modified.append((request.ack_deadline_seconds, list(request.ack_ids)))
        return b""


@pytest.fixture
def backlog() -> Backlog:
    """Return an empty backlog."""
    return Backlog()


@pytest.fixture
def subscription(backlog: Backlog) -> Iterator[StandardPull]:
    """Connect to a server of the backlog."""
    methods = {
        "Pull": backlog.pull,
        "Acknowledge": backlog.acknowledge,
        "ModifyAckDeadline": backlog.modify,
    }
    with serve(methods) as address, open_channel(Endpoint(address, "test")) as channel:
        yield StandardPull(channel, SUBSCRIPTION, 17)


def test_small_responses_are_joined(
    backlog: Backlog, subscription: StandardPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers 100 at a time still makes batches of thousands."""
    monkeypatch.setattr("connectors.pubsub.standard_pull.GATHER_S", 60.0)  # on any machine
    backlog.left, backlog.per_pull = 5_000, 100
    delivery = subscription.pull(1_000_000, 10.0)
    assert 4_096 <= len(delivery.messages) < 4_196
    assert len(delivery.lease) == len(delivery.messages)
    assert (delivery.backlog, delivery.unacknowledged) == (None, None)


def test_everything_arrives_once(backlog: Backlog, subscription: StandardPull) -> None:
    """However the Pulls overlap, each message is returned by one call, with its own ack id."""
    backlog.left = 10_000
    ids: list[str] = []
    acks: list[str] = []
    while len(ids) < 10_000:
        delivery = subscription.pull(1_000_000, 10.0)
        ids += delivery.messages.column("message_id").to_pylist()
        acks += delivery.lease.to_pylist()
    assert sorted(map(int, ids)) == list(range(10_000))
    assert acks == [f"ack-{message_id}" for message_id in ids]


def test_no_more_is_asked_for_than_wanted(backlog: Backlog, subscription: StandardPull) -> None:
    """All Pulls together stay within the limit, however small the responses are."""
    backlog.left, backlog.per_pull = 10_000, 7
    taken = 0
    while taken < 1_500:
        taken += len(subscription.pull(1_500 - taken, 10.0).messages)
    subscription.close()
    assert taken == 1_500
    assert backlog.left == 8_500
    assert max(backlog.asked) <= 1_000


def test_nothing_there_is_an_empty_delivery(subscription: StandardPull) -> None:
    """A server that answers empty at once is not asked in a tight loop."""
    delivery = subscription.pull(1_000, 5.0)
    assert len(delivery.messages) == 0
    assert delivery.lease is None


def test_a_poll_takes_what_is_there(backlog: Backlog, subscription: StandardPull) -> None:
    """Everything comes once; a Pull that nobody has looked at counts as open."""
    backlog.left = 10_000
    ids: list[str] = []
    while len(ids) < 10_000:
        delivery = subscription.poll(4_000, 1.0, 60.0)
        assert delivery is not None
        ids += delivery.messages.column("message_id").to_pylist()
        assert subscription.answered <= subscription.asked
    assert sorted(map(int, ids)) == list(range(10_000))


def test_a_poll_of_nothing_returns_in_its_time(
    backlog: Backlog, subscription: StandardPull
) -> None:
    """It waits no longer than it is told, and says that there is nothing."""
    started_s = time.monotonic()
    delivery = subscription.poll(1_000, 0.0, 60.0)
    assert time.monotonic() - started_s < 1.0
    assert delivery is not None
    assert (len(delivery.messages), delivery.lease) == (0, None)
    assert subscription.answered < subscription.asked


def test_an_error_is_raised_and_the_next_pull_goes_on(
    backlog: Backlog, subscription: StandardPull
) -> None:
    """An outage raises; afterwards nothing is missing."""
    backlog.left, backlog.failures = 3_000, 1_000
    with pytest.raises(grpc.RpcError):
        subscription.pull(3_000, 10.0)
    backlog.failures = 0
    taken = 0
    while taken < 3_000:
        with contextlib.suppress(grpc.RpcError):  # answers from before
            taken += len(subscription.pull(3_000 - taken, 10.0).messages)
    assert taken == 3_000


def test_what_was_answered_and_not_taken_is_given_back(
    backlog: Backlog, subscription: StandardPull
) -> None:
    """Closing returns the messages that have arrived, whatever became of the other Pulls."""
    backlog.left = 20_000
    taken = len(subscription.pull(1_000_000, 10.0).messages)
    wait_until(lambda: subscription._answered.qsize() > 0, 10.0)
    subscription.close()
    given_back = sum(len(ids) for deadline_s, ids in backlog.modified if deadline_s == 0)
    assert 0 < given_back <= 20_000 - backlog.left - taken
    assert backlog.acknowledged == []


def test_leases_are_extended_released_and_acknowledged(
    backlog: Backlog, subscription: StandardPull
) -> None:
    """Every id of every lease is in the requests; no lease, no request."""
    backlog.left = 10
    subscription.extend([])
    subscription.release([])
    subscription.acknowledge([])
    lease = subscription.pull(10, 10.0).lease
    ids = lease.to_pylist()
    assert subscription.extend([lease.slice(0, 4), lease.slice(4)]) == [lease[:4], lease[4:]]
    subscription.release([lease])
    subscription.acknowledge([lease.slice(4), lease.slice(0, 4)])
    assert backlog.modified == [(17, ids[:4]), (17, ids[4:]), (0, ids)]
    assert backlog.acknowledged == ids[4:] + ids[:4]
