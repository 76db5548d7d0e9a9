"""Servers of Pub/Sub as tests see them: topics, payloads, and one without our extension."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import pyarrow as pa

from connectors import pubsub
from connectors.clients import Endpoint, open_channel
from connectors.pubsub.batch_leases import BatchLeases
from connectors.pubsub.delivery import Delivery
from tests.fake_grpc import Method, serve

TOPIC = "projects/test-project/topics/events"
SUBSCRIPTION = "projects/test-project/subscriptions/events"

STANDARD = {
    "Publisher": ["CreateTopic", "Publish"],
    "Subscriber": [
        "CreateSubscription", "GetSubscription", "Pull", "Acknowledge", "ModifyAckDeadline",
    ],
}  # fmt: skip
"""What a server without our extension offers, as far as these tests need it."""


def create(**settings: object) -> None:
    """Create the topic and the subscription of the tests."""
    pubsub.create_topic(TOPIC)
    pubsub.create_subscription(SUBSCRIPTION, TOPIC, **settings)


def publish(count: int, first: int = 0) -> None:
    """Publish messages whose data are consecutive numbers."""
    with pubsub.Publisher(TOPIC) as publisher:
        data = pa.array([str(number).encode() for number in range(first, first + count)])
        assert len(publisher.publish(pubsub.as_messages(data)).ok) == count


def unacknowledged(address: str) -> int:
    """Return how many messages the broker still has to deliver or to see acknowledged."""
    return _state(address).unacknowledged or 0


def waiting(address: str) -> int:
    """Return how many messages could be delivered now."""
    state = _state(address)
    return (state.backlog or 0) + len(state.messages)


def _state(address: str) -> Delivery:
    """Take a message, give it back, and return what the broker told by the way."""
    with open_channel(Endpoint(address, "test")) as channel:
        subscription = BatchLeases(channel, SUBSCRIPTION, 10)
        state = subscription.pull(1, 0.0)
        if state.lease is not None:
            subscription.release([state.lease])
        return state


@contextlib.contextmanager
def without_extension(address: str) -> Iterator[str]:
    """Serve only the standard API of the server at ``address``; yield the new address."""
    with open_channel(Endpoint(address, "test")) as channel:
        methods = {
            name: forward(channel, f"/google.pubsub.v1.{service}/{name}")
            for service, names in STANDARD.items()
            for name in names
        }
        with serve(methods) as standard:
            yield standard


def forward(channel: grpc.Channel, path: str) -> Method:
    """Return a method that another server answers, by its full name there."""
    call = channel.unary_unary(path)

    def method(request: bytes, context: grpc.ServicerContext) -> bytes:
        future = call.future(request)
        context.add_callback(future.cancel)
        try:
            return future.result()
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    return method
