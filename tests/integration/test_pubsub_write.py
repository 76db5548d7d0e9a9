"""What we publish, Google's own client receives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1

from connectors import memory, pubsub
from connectors.broker import Broker
from tests.pubsub_servers import SUBSCRIPTION, TOPIC, create, publish
from transforms.errors import ConfigError
from transforms.message import MESSAGE_SCHEMA

pytestmark = pytest.mark.integration


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pubsub_v1.SubscriberClient]:
    """Run a broker with the topic and the subscription; connect Google's client."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        with pubsub_v1.SubscriberClient() as client:
            yield client


def receive(client: pubsub_v1.SubscriberClient, count: int) -> list[pubsub_v1.types.PubsubMessage]:
    """Pull and acknowledge so many messages."""
    messages: list[pubsub_v1.types.PubsubMessage] = []
    while len(messages) < count:
        response = client.pull(subscription=SUBSCRIPTION, max_messages=1_000, timeout=10)
        messages += [received.message for received in response.received_messages]
        ids = [received.ack_id for received in response.received_messages]
        client.acknowledge(subscription=SUBSCRIPTION, ack_ids=ids)
    return messages


def test_messages_arrive_whole_and_in_the_order_of_their_key(
    client: pubsub_v1.SubscriberClient,
) -> None:
    """Payload, attributes and key arrive; messages of a key in the order of the rows."""
    count = 5_000
    kind = MESSAGE_SCHEMA.field("attributes").type
    batch = pubsub.as_messages(
        pa.array([b"\x00%d" % number for number in range(count)]),
        pa.array([[("n", str(number)), ("ä", "ö")] for number in range(count)], kind),
        pa.array(["red" if number % 2 else "blue" for number in range(count)]),
    )
    with pubsub.Publisher(TOPIC) as publisher:
        assert publisher.publish(batch).ok == batch
    messages = receive(client, count)
    for odd, key in enumerate(("blue", "red")):
        of_key = [message for message in messages if message.ordering_key == key]
        expected = range(odd, count, 2)
        assert [message.data for message in of_key] == [b"\x00%d" % number for number in expected]
        assert dict(of_key[0].attributes) == {"n": str(odd), "ä": "ö"}


def test_creating_twice_changes_nothing(client: pubsub_v1.SubscriberClient) -> None:
    """Topic and subscription are created unless they exist; the backlog stays."""
    publish(3)
    create()
    assert sorted(message.data for message in receive(client, 3)) == [b"0", b"1", b"2"]


def test_a_deleted_subscription_is_gone(client: pubsub_v1.SubscriberClient) -> None:
    """Deleting works once; then the subscription is missing, with advice."""
    pubsub.delete_subscription(SUBSCRIPTION)
    with pytest.raises(NotFound):
        client.get_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(ConfigError, match=r"does not exist.*create_subscription"):
        pubsub.delete_subscription(SUBSCRIPTION)


def test_subscribing_to_a_missing_topic_says_how_to_create_it(
    client: pubsub_v1.SubscriberClient,
) -> None:
    """The error is about the topic, not about the subscription that was asked for."""
    with pytest.raises(ConfigError, match=r"topic='projects/test-project/topics/missing'.*create"):
        pubsub.create_subscription(SUBSCRIPTION + "2", "projects/test-project/topics/missing")


def test_missing_topic_is_refused_before_anything_starts(
    client: pubsub_v1.SubscriberClient,
) -> None:
    """A pipeline that publishes to one topic looks for it when it is built."""
    missing = "projects/test-project/topics/missing"
    with pytest.raises(ConfigError, match=r"topic='projects/test-project/topics/missing'.*create"):
        beam.Pipeline() | memory.Read([]) | pubsub.Write(missing)


def test_topic_that_is_deleted_in_the_middle(client: pubsub_v1.SubscriberClient) -> None:
    """Rows of a topic that goes away are dead from then on; those of others arrive."""
    pubsub.create_topic(TOPIC + "2")
    rows = pubsub.as_messages(pa.array([str(number).encode() for number in range(100)]))
    names = pa.array([TOPIC, TOPIC + "2"] * 50)
    with pubsub.Publishers(missing=pubsub.Missing.DEAD) as publishers:
        assert publishers.publish_as(rows, rows, names).ok == rows
        with pubsub_v1.PublisherClient() as admin:
            admin.delete_topic(topic=TOPIC + "2")
        published = publishers.publish_as(rows, rows, names)
    assert set(published.dead.column("error_kind").to_pylist()) == {"topic_missing"}
    assert len(published.ok) + len(published.dead) == 100
    wanted = sorted(
        row for number, row in enumerate(rows.column("data").to_pylist()) if not number % 2
    )
    assert sorted(message.data for message in receive(client, 100)) == sorted(wanted * 2)
