"""Topics of a real broker as tests see them: what is published, and what has arrived."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from google.cloud import pubsub_v1

from connectors import pubsub
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

PROJECT = "projects/demo"


class Sent(NamedTuple):
    """What a publisher sets."""

    data: bytes
    attributes: dict[str, str]
    ordering_key: str = ""


def topic(name: str) -> str:
    """Return the full name of a topic."""
    return f"{PROJECT}/topics/{name}"


def subscription(name: str) -> str:
    """Return the full name of a subscription; each topic of ``create`` has one of its name."""
    return f"{PROJECT}/subscriptions/{name}"


def create(*names: str, **settings: Any) -> None:
    """Create topics, each with a subscription."""
    for name in names:
        pubsub.create_topic(topic(name))
        pubsub.create_subscription(subscription(name), topic(name), **settings)


def publish(name: str, messages: Sequence[Sent]) -> None:
    """Publish messages."""
    rows = pubsub.as_messages(
        pa.array([message.data for message in messages], pa.binary()),
        pa.array(
            [list(message.attributes.items()) for message in messages],
            MESSAGE_SCHEMA.field("attributes").type,
        ),
        pa.array([message.ordering_key for message in messages], pa.string()),
    )
    publish_batch(name, rows)


def publish_batch(name: str, rows: Batch) -> None:
    """Publish a batch."""
    with pubsub.Publisher(topic(name)) as publisher:
        published = publisher.publish(rows)
    assert len(published.ok) == len(rows), published.dead


def publish_payloads(name: str, payloads: Sequence[bytes]) -> Batch:
    """Publish messages with these payloads; return them."""
    rows = message_batch(payloads)
    publish_batch(name, rows)
    return rows


def take(name: str) -> list[Sent]:
    """Return everything that waits in a topic's subscription, and acknowledge it."""
    found: list[Sent] = []
    with warnings.catch_warnings(), pubsub_v1.SubscriberClient() as client:
        # Deprecated, but there is no other way to ask what waits now.
        warnings.filterwarnings("ignore", "The return_immediately flag", DeprecationWarning)
        while True:
            response = client.pull(
                subscription=subscription(name), max_messages=1_000, return_immediately=True,
                timeout=20,
            )  # fmt: skip
            if not response.received_messages:
                return found
            ids = [received.ack_id for received in response.received_messages]
            found += [
                Sent(each.message.data, dict(each.message.attributes), each.message.ordering_key)
                for each in response.received_messages
            ]
            client.acknowledge(subscription=subscription(name), ack_ids=ids)
