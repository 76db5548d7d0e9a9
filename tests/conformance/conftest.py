"""The servers under test: our broker, and others that variables name.

PUBSUB_CONFORMANCE_HOST=127.0.0.1:8432 pytest tests/conformance/test_*.py
PUBSUB_CONFORMANCE_PROJECT=my-project pytest tests/conformance/test_*.py -k service

The second is the real service, by the credentials of the environment; it costs a little, and what
a test has made there is deleted after it.
"""

import functools
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport

from connectors.broker import Broker
from tests.conformance.feeds import Feed, Stream

OTHER = os.environ.get("PUBSUB_CONFORMANCE_HOST")
PROJECT = os.environ.get("PUBSUB_CONFORMANCE_PROJECT")
SERVICE = "pubsub.googleapis.com:443"
SERVERS = ["ours", *(["other"] if OTHER else []), *(["service"] if PROJECT else [])]


def is_ours(address: str) -> bool:
    """Tell whether it is our broker, of which more is known than of others."""
    return address not in (OTHER, SERVICE)


@pytest.fixture(scope="module", params=SERVERS)
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of each server under test."""
    if request.param == "other":
        assert OTHER
        yield OTHER
    elif request.param == "service":
        yield SERVICE
    else:
        with Broker(data_dir=tmp_path_factory.mktemp("broker")) as broker:
            yield broker.address


@dataclass(frozen=True)
class Api:
    """The stock clients, and a project that no other test uses."""

    publisher: Any
    subscriber: Any
    schemas: Any
    project: str
    named: list[str] = field(default_factory=list)

    def name(self, kind: str, ident: str = "") -> str:
        """Return the full name of a resource, of a new one unless it is given."""
        name = f"{self.project}/{kind}/{ident or 'new-' + secrets.token_hex(4)}"
        self.named.append(name)
        return name

    def delete_all(self) -> None:
        """Delete what there is of all that was named."""
        deletes = {
            "snapshots": lambda name: self.subscriber.delete_snapshot(snapshot=name),
            "subscriptions": lambda name: self.subscriber.delete_subscription(subscription=name),
            "topics": lambda name: self.publisher.delete_topic(topic=name),
            "schemas": lambda name: self.schemas.delete_schema(name=name),
        }
        for kind, delete in deletes.items():
            for name in {each for each in self.named if each.split("/")[2] == kind}:
                with suppress(exceptions.NotFound):
                    delete(name)

    def topic(self, **fields: Any) -> str:
        """Create a topic; return its name."""
        request = {"name": self.name("topics"), **fields}
        return str(self.publisher.create_topic(request=request).name)

    def subscription(self, topic: str = "", **fields: Any) -> str:
        """Create a subscription; return its name."""
        request = {"name": self.name("subscriptions"), "topic": topic or self.topic(), **fields}
        return str(self.subscriber.create_subscription(request=request).name)

    def snapshot(self, subscription: str = "", **fields: Any) -> str:
        """Create a snapshot; return its name."""
        request = {"name": self.name("snapshots"),
                   "subscription": subscription or self.subscription(), **fields}  # fmt: skip
        return str(self.subscriber.create_snapshot(request=request).name)

    def publish(self, topic: str, *messages: dict[str, Any]) -> list[str]:
        """Publish in one request; return the ids."""
        response = PublisherClient.publish(self.publisher, topic=topic, messages=messages)
        return list(response.message_ids)

    def pull(self, subscription: str, count: int) -> list[bytes]:
        """Pull and acknowledge until there were so many messages; return their data, sorted."""
        data: list[bytes] = []
        while len(data) < count:
            received = self.subscriber.pull(
                subscription=subscription, max_messages=count, timeout=20
            ).received_messages
            ids = [each.ack_id for each in received]
            if ids:
                self.subscriber.acknowledge(subscription=subscription, ack_ids=ids)
            data += [each.message.data for each in received]
        return sorted(data)


@pytest.fixture
def api(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Return the clients of a server under test."""
    if address == SERVICE:
        monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        with publisher, subscriber, pubsub_v1.SchemaServiceClient() as schemas:
            made = Api(publisher, subscriber, schemas, f"projects/{PROJECT}")
            yield made
            made.delete_all()
        return
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    with publisher, subscriber, grpc.insecure_channel(address) as channel:
        schemas = pubsub_v1.SchemaServiceClient(
            transport=SchemaServiceGrpcTransport(channel=channel)
        )
        yield Api(publisher, subscriber, schemas, f"projects/p-{secrets.token_hex(4)}")


@pytest.fixture
def feeds(api: Api) -> Callable[..., Feed]:
    """Return what makes a topic with a subscription, whose fields are given."""

    def make(**fields: Any) -> Feed:
        topic = api.topic()
        subscription = api.subscription(topic, **fields)
        return Feed(api.publisher, api.subscriber, topic, subscription)

    return make


@pytest.fixture
def feed(feeds: Callable[..., Feed]) -> Feed:
    """Return a topic and a plain subscription that nobody else uses."""
    return feeds()


@pytest.fixture
def streams() -> Iterator[Callable[..., Stream]]:
    """Return what opens streams on a feed, which are closed at the end."""
    opened: list[Stream] = []

    def start(feed: Feed, **first: Any) -> Stream:
        opened.append(Stream(feed, **first))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def stream(feed: Feed, streams: Callable[..., Stream]) -> Callable[..., Stream]:
    """Return what opens streams on ``feed``."""
    return functools.partial(streams, feed)
