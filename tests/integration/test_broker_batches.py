"""The batch extension: one Arrow batch under one lease."""

import datetime as dt
import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.pubsub_v1.types import pubsub

from connectors.broker import Broker
from transforms.message import MESSAGE_SCHEMA

pytestmark = pytest.mark.integration

T = "projects/p/topics/orders"
S = "projects/p/subscriptions/orders"
WAIT_S = 20


class Client:
    """Raw calls, as the pipeline makes them."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])

    def call(self, method: str, request: bytes) -> bytes:
        """Call a method with raw bytes."""
        answer: bytes = self.channel.unary_unary(method)(request, timeout=WAIT_S)
        return answer

    def batches(self, method: str, **request: Any) -> bytes:
        """Call a method of the extension."""
        return self.call(f"/headrace.broker.v1.Batches/{method}", json.dumps(request).encode())

    def lease(self, **request: Any) -> tuple[dict[str, Any], pa.RecordBatch | None]:
        """Lease; return the header and the rows."""
        raw = self.batches("Lease", **{"subscription": S, "wait_s": 0, **request})
        (size,) = struct.unpack("<I", raw[:4])
        body = raw[4 + size :]
        rows = pa.ipc.open_stream(body).read_next_batch() if body else None
        return json.loads(raw[4 : 4 + size]), rows

    def publish(self, *payloads: bytes) -> list[str]:
        """Publish in one request; return the ids."""
        messages = [{"data": each, "attributes": {"k": "v"}} for each in payloads]
        request = pubsub.PublishRequest.serialize({"topic": T, "messages": messages})
        response = self.call("/google.pubsub.v1.Publisher/Publish", request)
        return list(pubsub.PublishResponse.deserialize(response).message_ids)

    def create(self) -> None:
        """Create the topic and the subscription."""
        self.call("/google.pubsub.v1.Publisher/CreateTopic", pubsub.Topic.serialize({"name": T}))
        subscription = pubsub.Subscription.serialize({"name": S, "topic": T})
        self.call("/google.pubsub.v1.Subscriber/CreateSubscription", subscription)

    def pull(self) -> list[bytes]:
        """Return the payloads that the standard API gives, without waiting."""
        request = pubsub.PullRequest.serialize(
            {"subscription": S, "max_messages": 1_000, "return_immediately": True}
        )
        response = self.call("/google.pubsub.v1.Subscriber/Pull", request)
        return [
            each.message.data
            for each in pubsub.PullResponse.deserialize(response).received_messages
        ]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Run a broker with a topic and a subscription."""
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        yield client
        client.channel.close()


def test_lease_gives_rows_with_the_message_schema(client: Client) -> None:
    """The rows of many publishes come as one batch, in order."""
    ids = client.publish(b"a", b"b") + client.publish(b"c")
    header, rows = client.lease()
    assert rows is not None
    published_us = rows.column("publish_time")[0].value
    assert header == {
        "lease": header["lease"], "messages": 3, "backlog": 0, "outstanding": 3,
        "horizon_us": published_us,
    }  # fmt: skip
    assert rows.schema.equals(MESSAGE_SCHEMA)
    assert rows.column("data").to_pylist() == [b"a", b"b", b"c"]
    assert rows.column("message_id").to_pylist() == ids
    assert rows.column("attributes").to_pylist() == [[("k", "v")]] * 3
    assert rows.column("ordering_key").to_pylist() == [""] * 3
    assert rows.column("delivery_attempt").null_count == 3
    age = dt.datetime.now(dt.timezone.utc) - rows.column("publish_time")[0].as_py()
    assert abs(age) < dt.timedelta(minutes=1)


def test_empty_subscription_gives_no_lease(client: Client) -> None:
    """Without messages there is no lease and no Arrow part."""
    header, rows = client.lease()
    expected = {"lease": None, "messages": 0, "backlog": 0, "outstanding": 0}
    assert (header, rows) == ({**expected, "horizon_us": header["horizon_us"]}, None)


def test_horizon_is_the_oldest_unacknowledged_message_or_now(client: Client) -> None:
    """What is leased holds it, whoever has the lease; when all is acknowledged it is the clock."""
    before_us = time.time_ns() // 1_000
    client.publish(b"a")
    first, rows = client.lease()
    client.publish(b"b")
    second, _ = client.lease()
    assert rows is not None
    assert first["horizon_us"] == second["horizon_us"] == rows.column("publish_time")[0].value
    client.batches("Acknowledge", leases=[first["lease"]])
    assert client.lease()[0]["horizon_us"] > first["horizon_us"]
    client.batches("Acknowledge", leases=[second["lease"]])
    empty_us = client.lease()[0]["horizon_us"]
    assert before_us < second["horizon_us"] < empty_us <= time.time_ns() // 1_000


def test_limits_are_kept_and_the_rest_is_told(client: Client) -> None:
    """Messages and bytes limit a lease; a first message beyond the bytes comes alone."""
    client.publish(*[b"x" * 97] * 10)  # and 2 bytes of attributes, 1 of framing to spare
    header, _ = client.lease(max_messages=4)
    assert (header["messages"], header["backlog"], header["outstanding"]) == (4, 6, 4)
    header, _ = client.lease(max_bytes=200)
    assert (header["messages"], header["backlog"], header["outstanding"]) == (2, 4, 6)
    header, _ = client.lease(max_bytes=1)
    assert (header["messages"], header["backlog"], header["outstanding"]) == (1, 3, 7)


def test_lease_waits_for_the_first_message(client: Client) -> None:
    """It answers as soon as there is one, not when the wait is over."""
    timer = threading.Timer(0.2, lambda: client.publish(b"late"))
    timer.start()
    _, rows = client.lease(wait_s=WAIT_S)
    assert rows is not None
    assert rows.column("data").to_pylist() == [b"late"]
    timer.join()


def test_acknowledged_lease_is_gone(client: Client) -> None:
    """All its messages are, for the standard API too."""
    client.publish(b"a", b"b")
    lease = client.lease()[0]["lease"]
    client.publish(b"c")
    assert client.batches("Acknowledge", leases=[lease]) == b"{}"
    assert client.batches("Acknowledge", leases=[lease]) == b"{}"
    assert json.loads(client.batches("Extend", leases=[lease])) == {"expired": [lease]}
    assert client.pull() == [b"c"]


def test_released_lease_is_available_at_once(client: Client) -> None:
    """And the old lease can't release the messages again once others have them."""
    client.publish(b"a", b"b")
    first = client.lease()[0]["lease"]
    assert client.batches("Release", leases=[first]) == b"{}"
    second = client.lease()[0]
    assert second["messages"] == 2
    client.batches("Release", leases=[first])
    assert client.pull() == []
    assert json.loads(client.batches("Extend", leases=[first, second["lease"]])) == {
        "expired": [first]
    }


def test_expired_lease_is_delivered_again_and_still_acknowledged(client: Client) -> None:
    """A lease that was too short costs a second delivery, and its ack counts all the same."""
    client.publish(b"a")
    first = client.lease(ack_deadline_s=1)[0]["lease"]
    second = client.lease(wait_s=WAIT_S)[0]
    assert second["messages"] == 1
    assert json.loads(client.batches("Extend", leases=[first])) == {"expired": [first]}
    client.batches("Acknowledge", leases=[first])
    assert json.loads(client.batches("Extend", leases=[second["lease"]])) == {
        "expired": [second["lease"]]
    }


def test_extended_lease_is_held(client: Client) -> None:
    """The new deadline replaces the old one."""
    client.publish(b"a")
    lease = client.lease(ack_deadline_s=1)[0]["lease"]
    assert json.loads(client.batches("Extend", leases=[lease])) == {"expired": []}
    assert client.lease(wait_s=1.5)[0]["messages"] == 0


def test_lease_of_scattered_messages_is_acknowledged_exactly(client: Client) -> None:
    """A lease may hold what others left between their own."""
    client.publish(*(b"%d" % number for number in range(6)))
    leases = [client.lease(max_messages=1)[0]["lease"] for _ in range(6)]
    client.batches("Release", leases=leases[0::2])
    header, rows = client.lease()
    assert rows is not None
    assert rows.column("data").to_pylist() == [b"0", b"2", b"4"]
    client.batches("Acknowledge", leases=[header["lease"]])
    client.batches("Release", leases=leases)
    assert client.pull() == [b"1", b"3", b"5"]


def test_lease_is_acknowledged_after_a_restart(tmp_path: Path) -> None:
    """Leases end with the broker, their ids don't."""
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        client.publish(b"a", b"b")
        lease = client.lease(max_messages=1)[0]["lease"]
        client.channel.close()
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        assert json.loads(client.batches("Extend", leases=[lease])) == {"expired": [lease]}
        client.batches("Acknowledge", leases=[lease])
        assert client.pull() == [b"b"]
        client.channel.close()


@pytest.mark.parametrize(("method", "request_", "code", "sentence"), [
    ("Lease", {"subscription": S + "2"}, grpc.StatusCode.NOT_FOUND, S + "2"),
    ("Lease", {"subscription": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "subscription"),
    ("Lease", {}, grpc.StatusCode.INVALID_ARGUMENT, "subscription"),
    ("Lease", {"subscription": S, "max_messages": 0}, grpc.StatusCode.INVALID_ARGUMENT,
     "max_messages (0): must be positive"),
    ("Lease", {"subscription": S, "ack_deadline_s": 601}, grpc.StatusCode.INVALID_ARGUMENT,
     "ack_deadline_s (601.0): must be 1 to 600"),
    ("Lease", {"subscription": S, "typo": 1}, grpc.StatusCode.INVALID_ARGUMENT, "typo"),
    ("Extend", {"leases": ["x"]}, grpc.StatusCode.INVALID_ARGUMENT, "leases"),
    ("Acknowledge", {"leases": ["x"]}, grpc.StatusCode.INVALID_ARGUMENT, "leases"),
    ("Release", {"leases": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "leases"),
    ("Unknown", {}, grpc.StatusCode.UNIMPLEMENTED, ""),
])  # fmt: skip
def test_refusal_has_a_code_and_a_sentence(
    client: Client, method: str, request_: dict[str, Any], code: Any, sentence: str
) -> None:
    """Errors are told as in the standard API."""
    with pytest.raises(grpc.RpcError) as error:
        client.batches(method, **request_)
    assert error.value.code() == code
    assert sentence in error.value.details()
