"""Topics and subscriptions: create, look up, delete."""

from __future__ import annotations

import datetime as dt
from typing import Any

import grpc
from google.pubsub_v1 import types

from connectors import retry
from connectors.clients import Endpoint, RawStub, open_channel, pubsub_endpoint
from connectors.pubsub import names

__all__ = [
    "create_subscription",
    "create_topic",
    "delete_subscription",
    "get_subscription",
    "subscription_subject",
    "topic_subject",
]

CALL_S = 30.0
CONNECT_BACKOFF = retry.Backoff(patience_s=10.0)
"""How long the first contact is tried: long enough for a broker that is just being started."""
TEMPORARY_TTL = dt.timedelta(days=1)
"""The server's least: when it deletes a temporary subscription of a process that was killed."""


def topic_subject(topic: str, endpoint: Endpoint) -> retry.Subject:
    """Return what errors about a topic say."""
    missing = f"Create it: gcloud pubsub topics create {topic}"
    if endpoint.is_local:
        missing = f"Create it: connectors.pubsub.create_topic({topic!r})"
    return retry.Subject("topic", topic, missing, endpoint.advice)


def subscription_subject(subscription: str, endpoint: Endpoint) -> retry.Subject:
    """Return what errors about a subscription say."""
    missing = f"Create it: gcloud pubsub subscriptions create {subscription} --topic=TOPIC"
    if endpoint.is_local:
        missing = f"Create it: connectors.pubsub.create_subscription({subscription!r}, topic)"
    return retry.Subject("subscription", subscription, missing, endpoint.advice)


def create_topic(topic: str) -> None:
    """Create a topic, unless it exists.

    Raises:
        ConfigError: the name is against the rules, or access is denied.
        TransientError: the server can't be reached.
    """
    names.check_topic("topic", topic)
    endpoint = pubsub_endpoint()
    with open_channel(endpoint) as channel:
        stub = RawStub(channel, "google.pubsub.v1.Publisher", ("name", topic))
        _create(stub, "CreateTopic", types.Topic(name=topic), topic_subject(topic, endpoint))


def create_subscription(subscription: str, topic: str, **settings: Any) -> None:
    """Create a subscription of a topic, unless it exists.

    Args:
        subscription: full name.
        topic: full name of its topic, which must exist.
        **settings: fields of ``google.pubsub_v1.types.Subscription``, such as
            ``ack_deadline_seconds=60``.

    Raises:
        ConfigError: a name is against the rules, the topic is missing, or access is denied.
        TransientError: the server can't be reached.
    """
    names.check_subscription("subscription", subscription)
    names.check_topic("topic", topic)
    endpoint = pubsub_endpoint()
    with open_channel(endpoint) as channel:
        request = types.Subscription(name=subscription, topic=topic, **settings)
        stub = RawStub(channel, "google.pubsub.v1.Subscriber", ("name", subscription))
        _create(stub, "CreateSubscription", request, topic_subject(topic, endpoint))


def temporary_settings() -> dict[str, Any]:
    """Return the settings of a subscription that the server deletes when nobody uses it."""
    return {"expiration_policy": types.ExpirationPolicy(ttl=TEMPORARY_TTL)}


def get_subscription(
    channel: grpc.Channel, subscription: str, subject: retry.Subject
) -> types.Subscription:
    """Return the settings of a subscription.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: the server can't be reached.
    """
    stub = RawStub(channel, "google.pubsub.v1.Subscriber", ("subscription", subscription))
    request = types.GetSubscriptionRequest(subscription=subscription)
    payload = types.GetSubscriptionRequest.serialize(request)
    response = retry.call(
        lambda: stub.call("GetSubscription", payload, CALL_S), subject, CONNECT_BACKOFF
    )
    return types.Subscription.deserialize(response)


def delete_subscription(subscription: str) -> None:
    """Delete a subscription with its backlog.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: the server can't be reached.
    """
    endpoint = pubsub_endpoint()
    with open_channel(endpoint) as channel:
        stub = RawStub(channel, "google.pubsub.v1.Subscriber", ("subscription", subscription))
        request = types.DeleteSubscriptionRequest(subscription=subscription)
        payload = types.DeleteSubscriptionRequest.serialize(request)
        subject = subscription_subject(subscription, endpoint)
        retry.call(
            lambda: stub.call("DeleteSubscription", payload, CALL_S), subject, CONNECT_BACKOFF
        )


def _create(stub: RawStub, method: str, message: Any, subject: retry.Subject) -> None:
    payload = type(message).serialize(message)

    def create() -> None:
        try:
            stub.call(method, payload, CALL_S)
        except grpc.RpcError as error:
            if retry.status(error) is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    retry.call(create, subject, CONNECT_BACKOFF)
