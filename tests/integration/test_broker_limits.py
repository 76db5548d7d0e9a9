"""What a client may not do to the broker: too much, too large, too slow."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from connectors.broker import Broker, limits, schema

pytestmark = pytest.mark.integration

WAIT_S = 30.0
TOPIC, SUBSCRIPTION = "projects/p/topics/top", "projects/p/subscriptions/sub"
STREAMING_PULL = "/google.pubsub.v1.Subscriber/StreamingPull"


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[grpc.Channel]:
    """Return a channel to a broker with a topic and a subscription."""
    options = [("grpc.max_send_message_length", -1)]
    with (
        Broker(data_dir=tmp_path / "data") as broker,
        grpc.insecure_channel(broker.address, options=options) as opened,
    ):
        call(opened, "Publisher/CreateTopic", "Topic", name=TOPIC)
        fields = {"name": SUBSCRIPTION, "topic": TOPIC}
        call(opened, "Subscriber/CreateSubscription", "Subscription", **fields)
        yield opened


def call(channel: grpc.Channel, method: str, kind: str, **fields: Any) -> bytes:
    """Call a unary method."""
    request = schema.message(kind)(**fields).SerializeToString()
    return channel.unary_unary(f"/google.pubsub.v1.{method}")(request, timeout=WAIT_S)


@pytest.fixture
def open_stream(channel: grpc.Channel) -> Iterator[Callable[[], Any]]:
    """Return what opens a stream that is not read yet."""
    over = threading.Event()
    first = schema.message("StreamingPullRequest")(
        subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60
    )

    def requests() -> Iterator[bytes]:
        yield first.SerializeToString()
        over.wait(WAIT_S)  # until then its side of the stream is open

    yield lambda: channel.stream_stream(STREAMING_PULL)(requests())
    over.set()


def test_streams_are_bounded(
    channel: grpc.Channel, open_stream: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than the limit is refused; when one ends, another is served."""
    monkeypatch.setattr(limits, "STREAMS_MAX", 3)
    call(channel, "Publisher/Publish", "PublishRequest", topic=TOPIC, messages=[{"data": b"x"}])
    streams = [open_stream() for _ in range(3)]
    next(iter(streams[0]))
    with pytest.raises(grpc.RpcError) as refusal:
        next(iter(open_stream()))
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_reader_that_does_not_read_takes_no_memory(
    channel: grpc.Channel, open_stream: Callable[[], Any]
) -> None:
    """What gRPC does not accept stays in the backlog, for others."""
    data = b"x" * 1_000_000
    for _ in range(30):
        messages = [{"data": data}] * 4
        call(channel, "Publisher/Publish", "PublishRequest", topic=TOPIC, messages=messages)
    slow = open_stream()
    next(iter(slow))
    received = 0
    while received < 20:  # the slow one has not leased all of it
        response = call(channel, "Subscriber/Pull", "PullRequest",
                        subscription=SUBSCRIPTION, max_messages=10)  # fmt: skip
        found = schema.message("PullResponse").FromString(response).received_messages
        assert found
        received += len(found)
    slow.cancel()


def test_large_headers_are_refused(channel: grpc.Channel) -> None:
    """By gRPC, before the broker sees them; the broker serves on."""
    request = schema.message("GetTopicRequest")(topic=TOPIC).SerializeToString()
    get = channel.unary_unary("/google.pubsub.v1.Publisher/GetTopic")
    with pytest.raises(grpc.RpcError) as refusal:
        get(request, timeout=WAIT_S, metadata=[("x-large", "y" * 100_000)])
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert get(request, timeout=WAIT_S)


@pytest.mark.parametrize("size", [limits.PUBLISH_BYTES_MAX + 1, limits.RECEIVE_BYTES_MAX + 1])
def test_large_requests_are_refused(channel: grpc.Channel, size: int) -> None:
    """By the rule of the API, and far beyond it by gRPC."""
    with pytest.raises(grpc.RpcError) as refusal:
        call(channel, "Publisher/Publish", "PublishRequest",
             topic=TOPIC, messages=[{"data": b"x" * size}])  # fmt: skip
    expected = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert refusal.value.code() in expected
