"""Every method of the API over REST, called by the stock clients."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.pubsub_v1.services.schema_service import SchemaServiceClient
from google.pubsub_v1.types import pubsub, schema

from connectors.broker import Broker

pytestmark = pytest.mark.integration

PROJECT = "projects/p"
T, S = PROJECT + "/topics/orders", PROJECT + "/subscriptions/orders"
N, C = PROJECT + "/snapshots/before", PROJECT + "/schemas/order"
AVRO = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
MORE = {**AVRO, "fields": [*AVRO["fields"], {"name": "n", "type": "int", "default": 0}]}
WAIT_S = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker of our own for one test, with HTTP."""
    with Broker(data_dir=tmp_path, http_port=0) as broker:
        yield broker


def client(kind: Any, broker: Broker) -> Any:
    return kind(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": broker.http_address},
    )


@pytest.fixture
def publisher(broker: Broker) -> Any:
    """Return the stock publisher, over REST, with a topic."""
    publisher = client(pubsub_v1.PublisherClient, broker)
    publisher.create_topic(name=T)
    return publisher


@pytest.fixture
def subscriber(broker: Broker, publisher: Any) -> Any:
    """Return the stock subscriber, over REST, with a subscription."""
    subscriber = client(pubsub_v1.SubscriberClient, broker)
    subscriber.create_subscription(name=S, topic=T)
    return subscriber


@pytest.fixture
def schemas(broker: Broker) -> Any:
    """Return the stock schema client, over REST."""
    return client(SchemaServiceClient, broker)


def mask(*paths: str) -> field_mask_pb2.FieldMask:
    return field_mask_pb2.FieldMask(paths=paths)


def pulled(subscriber: Any) -> list[bytes]:
    request = {"subscription": S, "max_messages": 10, "return_immediately": True}
    received = subscriber.pull(request=request).received_messages
    if received:
        subscriber.acknowledge(subscription=S, ack_ids=[each.ack_id for each in received])
    return [each.message.data for each in received]


def test_topics_and_subscriptions_are_updated(publisher: Any, subscriber: Any) -> None:
    """By mask, with durations and nested policies; a mask is needed."""
    topic = pubsub.Topic(
        name=T, labels={"a": "b"}, message_retention_duration=duration_pb2.Duration(seconds=86_400)
    )
    paths = mask("labels", "message_retention_duration")
    updated = publisher.update_topic(topic=topic, update_mask=paths)
    assert (dict(updated.labels), updated.message_retention_duration.days) == ({"a": "b"}, 1)
    dead = publisher.create_topic(name=T + "-dead").name
    subscription = pubsub.Subscription(
        name=S,
        ack_deadline_seconds=60,
        dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 7},
        retry_policy={"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 9}},
    )
    paths = mask("ack_deadline_seconds", "dead_letter_policy", "retry_policy")
    updated = subscriber.update_subscription(subscription=subscription, update_mask=paths)
    assert updated.ack_deadline_seconds == 60
    assert updated.dead_letter_policy.max_delivery_attempts == 7
    assert updated.retry_policy.maximum_backoff.seconds == 9
    assert subscriber.get_subscription(subscription=S).retry_policy == updated.retry_policy
    with pytest.raises(exceptions.BadRequest, match="update_mask"):
        subscriber.update_subscription(subscription=subscription, update_mask=mask())


def test_push_settings_are_changed_and_subscriptions_detached(
    publisher: Any, subscriber: Any
) -> None:
    """ModifyPushConfig, DetachSubscription."""
    endpoint = "http://127.0.0.1:1/push"
    subscriber.modify_push_config(subscription=S, push_config={"push_endpoint": endpoint})
    assert subscriber.get_subscription(subscription=S).push_config.push_endpoint == endpoint
    subscriber.modify_push_config(subscription=S, push_config={})
    publisher.detach_subscription(request={"subscription": S})
    assert subscriber.get_subscription(subscription=S).detached
    with pytest.raises(exceptions.BadRequest, match="detached"):
        subscriber.pull(subscription=S, max_messages=1)


def test_snapshots_and_seeks(broker: Broker, publisher: Any, subscriber: Any) -> None:
    """A snapshot brings back what was acked since; a time discards what was before it."""
    created = subscriber.create_snapshot(name=N, subscription=S)
    assert created.topic == T
    assert [each.name for each in subscriber.list_snapshots(project=PROJECT)] == [N]
    assert list(publisher.list_topic_snapshots(topic=T)) == [N]
    updated = subscriber.update_snapshot(
        snapshot=pubsub.Snapshot(name=N, labels={"a": "b"}), update_mask=mask("labels")
    )
    assert dict(subscriber.get_snapshot(snapshot=N).labels) == dict(updated.labels) == {"a": "b"}
    publisher.publish(T, b"one").result(WAIT_S)
    assert pulled(subscriber) == [b"one"]
    subscriber.seek(request={"subscription": S, "snapshot": N})
    assert pulled(subscriber) == [b"one"]
    publisher.publish(T, b"two").result(WAIT_S)
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    subscriber.seek(request={"subscription": S, "time": now})
    assert pulled(subscriber) == []
    subscriber.delete_snapshot(snapshot=N)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_snapshot(snapshot=N)


def test_schemas_and_their_revisions(schemas: Any) -> None:
    """Created, listed, committed, rolled back, validated, deleted."""
    avro = schema.Schema(type_=schema.Schema.Type.AVRO, definition=json.dumps(AVRO))
    schemas.validate_schema(parent=PROJECT, schema=avro)
    created = schemas.create_schema(parent=PROJECT, schema=avro, schema_id="order")
    assert created.name == C
    assert json.loads(schemas.get_schema(name=C).definition) == AVRO
    (listed,) = schemas.list_schemas(request={"parent": PROJECT, "view": "BASIC"})
    assert (listed.name, listed.definition) == (C, "")
    more = schema.Schema(name=C, type_=avro.type_, definition=json.dumps(MORE))
    committed = schemas.commit_schema(name=C, schema=more)
    assert committed.revision_id != created.revision_id
    rolled = schemas.rollback_schema(name=C, revision_id=created.revision_id)
    assert json.loads(rolled.definition) == AVRO
    assert len(list(schemas.list_schema_revisions(name=C))) == 3
    schemas.delete_schema_revision(name=f"{C}@{committed.revision_id}")
    assert len(list(schemas.list_schema_revisions(name=C))) == 2
    request = {"parent": PROJECT, "name": C, "message": b'{"id": "a"}', "encoding": "JSON"}
    schemas.validate_message(request=request)
    with pytest.raises(exceptions.BadRequest):
        schemas.validate_message(request={**request, "message": b'{"id": 1}'})
    schemas.delete_schema(name=C)
    with pytest.raises(exceptions.NotFound):
        schemas.get_schema(name=C)


def test_policies(broker: Broker, publisher: Any, subscriber: Any) -> None:
    """Set and got on a topic; what is asked for is tested."""
    policy = publisher.get_iam_policy(iam_policy_pb2.GetIamPolicyRequest(resource=T))
    assert policy.etag == b"\x00 \x01"
    binding = policy_pb2.Binding(role="roles/pubsub.viewer", members=["user:a@example.com"])
    request = iam_policy_pb2.SetIamPolicyRequest(
        resource=T, policy=policy_pb2.Policy(bindings=[binding])
    )
    assert publisher.set_iam_policy(request).bindings == [binding]
    answer = requests.get(f"{broker.http_address}/v1/{T}:getIamPolicy", timeout=WAIT_S).json()
    assert answer["bindings"] == [{"role": binding.role, "members": list(binding.members)}]
    asked = iam_policy_pb2.TestIamPermissionsRequest(
        resource=S, permissions=["pubsub.subscriptions.consume"]
    )
    assert list(subscriber.test_iam_permissions(asked).permissions) == list(asked.permissions)


def test_a_stale_ack_of_exactly_once_delivery_says_so(broker: Broker, publisher: Any) -> None:
    """Its details name the ack id, as on gRPC, so that a client knows not to try again."""
    url = f"{broker.http_address}/v1/{S}"
    body = {"topic": T, "enableExactlyOnceDelivery": True}
    assert requests.put(url, json=body, timeout=WAIT_S).status_code == 200
    publisher.publish(T, b"one").result(WAIT_S)
    pull = requests.post(url + ":pull", json={"maxMessages": 1}, timeout=WAIT_S).json()
    ack_id = pull["receivedMessages"][0]["ackId"]
    again = [
        requests.post(url + ":acknowledge", json={"ackIds": [ack_id]}, timeout=WAIT_S)
        for _ in range(2)
    ]
    assert again[0].json() == {}
    (detail,) = again[1].json()["error"]["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["metadata"][ack_id].startswith("PERMANENT_FAILURE")
