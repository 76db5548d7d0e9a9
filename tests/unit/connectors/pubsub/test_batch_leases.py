"""The broker's batch extension, against a scripted server."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator

import grpc
import pyarrow as pa
import pytest

from connectors.clients import Endpoint, open_channel
from connectors.pubsub.batch_leases import BATCH_ROWS_MAX, BatchLeases
from tests.conftest import message_batch
from tests.fake_grpc import Method, serve
from transforms.message import MESSAGE_SCHEMA

SUBSCRIPTION = "projects/p/subscriptions/abc"


class Batches:
    """Leases ``per_lease`` messages a time of a backlog; notes every request."""

    def __init__(self) -> None:
        self.backlog = 0
        self.per_lease = 10
        self.leased = 0
        self.requests: dict[str, list[dict[str, object]]] = {}

    def methods(self) -> dict[str, Method]:
        """Return the service."""
        return {
            "Lease": self.lease,
            "Extend": lambda payload, _: self._note("Extend", payload, {"expired": ["gone"]}),
            "Acknowledge": lambda payload, _: self._note("Acknowledge", payload, {}),
            "Release": lambda payload, _: self._note("Release", payload, {}),
        }

    def lease(self, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve a Lease."""
        self._note("Lease", payload, {})
        wanted = self.requests["Lease"][-1]["max_messages"]
        assert isinstance(wanted, int)
        count = min(self.backlog, self.per_lease, wanted)
        self.backlog -= count
        self.leased += count
        name = f"lease-{len(self.requests['Lease'])}" if count else None
        header = json.dumps(
            {"lease": name, "messages": count, "backlog": self.backlog, "outstanding": self.leased}
        ).encode()
        sink = pa.BufferOutputStream()
        if count:
            with pa.ipc.new_stream(sink, MESSAGE_SCHEMA) as writer:
                writer.write_batch(message_batch([b"x"] * count, self.leased - count + 1).rows)
        return struct.pack("<I", len(header)) + header + sink.getvalue().to_pybytes()

    def _note(self, method: str, payload: bytes, answer: object) -> bytes:
        self.requests.setdefault(method, []).append(json.loads(payload))
        return json.dumps(answer).encode()


@pytest.fixture
def batches() -> Batches:
    """Return an empty backlog."""
    return Batches()


@pytest.fixture
def subscription(batches: Batches) -> Iterator[BatchLeases]:
    """Connect to a server of the backlog."""
    with serve(batches.methods()) as address, open_channel(Endpoint(address, "test")) as channel:
        yield BatchLeases(channel, SUBSCRIPTION, 17)


def test_a_delivery_has_messages_lease_and_counts(
    batches: Batches, subscription: BatchLeases
) -> None:
    """What the header says and what the stream holds come together."""
    batches.backlog = 25
    delivery = subscription.pull(10, 1.5)
    assert delivery.messages == message_batch([b"x"] * 10)
    assert (delivery.lease, delivery.backlog, delivery.unacknowledged) == ("lease-1", 15, 25)
    assert batches.requests["Lease"] == [
        {
            "subscription": SUBSCRIPTION, "max_messages": 10, "max_bytes": 16_000_000,
            "ack_deadline_s": 17, "wait_s": 1.5,
        }
    ]  # fmt: skip


def test_nothing_there_has_no_lease(subscription: BatchLeases) -> None:
    """An answer without messages has no stream and no lease."""
    delivery = subscription.pull(10, 0.0)
    assert len(delivery.messages) == 0
    assert (delivery.lease, delivery.backlog, delivery.unacknowledged) == (None, 0, 0)


def test_the_next_batch_is_asked_for_ahead_within_the_limit(
    batches: Batches, subscription: BatchLeases
) -> None:
    """While messages wait, the next lease is under way, but never for more than is wanted."""
    batches.backlog = 100
    taken = 0
    while taken < 24:
        taken += len(subscription.pull(24 - taken, 1.0).messages)
    subscription.close()
    assert (taken, batches.leased) == (24, 24)
    assert [request["max_messages"] for request in batches.requests["Lease"]] == [24, 14, 4]
    assert "Release" not in batches.requests


def test_closing_gives_back_what_was_asked_for_ahead(
    batches: Batches, subscription: BatchLeases
) -> None:
    """A batch that is under way is released, and nothing else."""
    batches.backlog = 100
    subscription.pull(1_000_000, 1.0)
    subscription.close()
    assert batches.requests["Release"] == [{"leases": ["lease-2"]}]
    assert {request["max_messages"] for request in batches.requests["Lease"]} == {BATCH_ROWS_MAX}
    subscription.close()
    assert len(batches.requests["Release"]) == 1


def test_a_poll_leaves_a_request_open(batches: Batches, subscription: BatchLeases) -> None:
    """Each answer is taken when it is there, and the next request is under way by then."""
    batches.backlog = 25
    taken = []
    while sum(taken) < 25:
        delivery = subscription.poll(10, 5.0, 2.5)
        assert delivery is not None
        taken.append(len(delivery.messages))
        assert subscription.asked == subscription.answered + 1
    assert taken == [10, 10, 5]
    assert {request["wait_s"] for request in batches.requests["Lease"]} == {2.5}
    empty = subscription.poll(10, 5.0, 2.5)
    assert empty is not None
    assert (len(empty.messages), empty.lease, empty.horizon_us) == (0, None, None)


def test_a_poll_does_not_wait_for_messages() -> None:
    """What has not been answered is None, and the request stays open."""
    answer = threading.Event()

    def lease(payload: bytes, context: grpc.ServicerContext) -> bytes:
        answer.wait(10)
        return Batches().lease(payload, context)

    with (
        serve({"Lease": lease}) as address,
        open_channel(Endpoint(address, "test")) as channel,
    ):
        subscription = BatchLeases(channel, SUBSCRIPTION, 17)
        for _ in range(3):
            assert subscription.poll(10, 0.01, 1.0) is None
        assert (subscription.asked, subscription.answered) == (1, 0)
        answer.set()
        assert subscription.poll(10, 5.0, 1.0) is not None


def test_a_poll_that_failed_is_asked_anew(batches: Batches) -> None:
    """The error is raised once; then the next request is sent."""
    failures = [True]

    def lease(payload: bytes, context: grpc.ServicerContext) -> bytes:
        if failures:
            failures.clear()
            context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        return batches.lease(payload, context)

    batches.backlog = 5
    with (
        serve({**batches.methods(), "Lease": lease}) as address,
        open_channel(Endpoint(address, "test")) as channel,
    ):
        subscription = BatchLeases(channel, SUBSCRIPTION, 17)
        with pytest.raises(grpc.RpcError):
            subscription.poll(10, 5.0, 1.0)
        assert subscription.asked == subscription.answered == 1
        delivery = subscription.poll(10, 5.0, 1.0)
        assert delivery is not None
        assert len(delivery.messages) == 5


def test_closing_does_not_wait_for_messages() -> None:
    """A request that is still waiting on the server is abandoned."""
    with (
        serve({"Lease": lambda payload, context: time.sleep(2) or b""}) as address,
        open_channel(Endpoint(address, "test")) as channel,
    ):
        subscription = BatchLeases(channel, SUBSCRIPTION, 17)
        assert subscription.poll(10, 0.0, 60.0) is None
        started_s = time.monotonic()
        subscription.close()
        assert time.monotonic() - started_s < 1.5


def test_expired_leases_are_not_held(batches: Batches, subscription: BatchLeases) -> None:
    """Extending returns the leases that the server did not call expired."""
    assert subscription.extend(["a", "gone", "b"]) == ["a", "b"]
    assert batches.requests["Extend"] == [{"leases": ["a", "gone", "b"], "ack_deadline_s": 17}]


def test_the_server_is_asked_whether_it_offers_leases(subscription: BatchLeases) -> None:
    """UNIMPLEMENTED is a no; any other error is one."""
    assert subscription.is_offered()
    with serve({}) as address, open_channel(Endpoint(address, "test")) as channel:
        assert not BatchLeases(channel, SUBSCRIPTION, 17).is_offered()
    with open_channel(Endpoint("127.0.0.1:1", "test")) as channel:
        unreachable = BatchLeases(channel, SUBSCRIPTION, 17)
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            unreachable.is_offered()
