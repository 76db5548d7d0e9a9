"""Topics and subscriptions: create, look up, delete."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
from google.pubsub_v1 import types

from connectors import retry
from connectors.clients import Endpoint, RawStub, open_channel, pubsub_endpoint
from connectors.pubsub import names
from transforms.errors import ConfigError, PermanentError

__all__ = [
    "CONNECT_BACKOFF",
    "check_exists",
    "create_subscription",
    "create_topic",
    "delete_subscription",
    "get_subscription",
    "refuse_circle",
    "refuse_missing",
    "subscription_subject",
    "topic_subject",
]

PUBLISHER = "google.pubsub.v1.Publisher"
SUBSCRIBER = "google.pubsub.v1.Subscriber"

CALL_S = 30.0
CONNECT_BACKOFF = retry.Backoff(patience_s=10.0)
"""How long the first contact is tried: long enough for a broker that is just being started."""


def topic_subject(topic: str, endpoint: Endpoint) -> retry.Subject:
    """Return what errors about a topic say."""
    missing = f"Create it: gcloud pubsub topics create {topic}"
    if endpoint.is_local:
        missing = f"Create it: {_python(f'create_topic({topic!r})')}"
    return retry.Subject("topic", topic, missing, endpoint.advice)


def subscription_subject(subscription: str, endpoint: Endpoint) -> retry.Subject:
    """Return what errors about a subscription say."""
    missing = f"Create it: gcloud pubsub subscriptions create {subscription} --topic=TOPIC"
    if endpoint.is_local:
        new = f"create_subscription({subscription!r}, 'projects/PROJECT/topics/TOPIC')"
        missing = f"Create it: {_python(new)}"
    return retry.Subject("subscription", subscription, missing, endpoint.advice)


def _python(call: str) -> str:
    """Return a command for a shell: against a local server there is no gcloud."""
    return f'python -c "from connectors import pubsub; pubsub.{call}"'


def create_topic(topic: str) -> None:
    """Create a topic, unless it exists.

    Raises:
        ConfigError: the name is against the rules, or access is denied.
        TransientError: the server can't be reached.
    """
    names.check_topic("topic", topic)
    request = types.Topic(name=topic)
    with _connection() as (channel, endpoint), _unless_it_exists():
        _call(channel, f"{PUBLISHER}/CreateTopic", request, topic_subject(topic, endpoint))


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
    request = types.Subscription(name=subscription, topic=topic, **settings)
    with _connection() as (channel, endpoint), _unless_it_exists():
        subject = topic_subject(topic, endpoint)
        _call(channel, f"{SUBSCRIBER}/CreateSubscription", request, subject)


def delete_subscription(subscription: str) -> None:
    """Delete a subscription with its backlog.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: the server can't be reached.
    """
    request = types.DeleteSubscriptionRequest(subscription=subscription)
    with _connection() as (channel, endpoint):
        subject = subscription_subject(subscription, endpoint)
        _call(channel, f"{SUBSCRIBER}/DeleteSubscription", request, subject)


def get_subscription(
    channel: grpc.Channel,
    subscription: str,
    subject: retry.Subject,
    backoff: retry.Backoff = CONNECT_BACKOFF,
) -> types.Subscription:
    """Return the settings of a subscription.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: the server can't be reached.
    """
    request = types.GetSubscriptionRequest(subscription=subscription)
    return types.Subscription.deserialize(
        _call(channel, f"{SUBSCRIBER}/GetSubscription", request, subject, backoff)
    )


def check_exists(*, subscription: str | None = None, topic: str | None = None) -> None:
    """Look the given one up, to fail before anything is started.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: the server can't be reached.
    """
    with _connection() as (channel, endpoint):
        if subscription is not None:
            get_subscription(channel, subscription, subscription_subject(subscription, endpoint))
        if topic is not None:
            request = types.GetTopicRequest(topic=topic)
            _call(channel, f"{PUBLISHER}/GetTopic", request, topic_subject(topic, endpoint))


def refuse_missing(topic: str) -> None:
    """Look a topic up that is to be published to.

    An account that may publish need not be allowed to look: whether it may is seen when it does.

    Raises:
        ConfigError: there is none of this name.
        TransientError: the server can't be reached.
    """
    try:
        check_exists(topic=topic)
    except (ConfigError, PermanentError) as error:
        if retry.status(error.__cause__) is grpc.StatusCode.NOT_FOUND:
            raise


def refuse_circle(
    parameter: str, topic: str, subscription: str, backoff: retry.Backoff = CONNECT_BACKOFF
) -> None:
    """Refuse to publish to the topic that a subscription reads: nothing would ever end.

    A subscription that is missing, or that this account may not look at, is left to the reader.

    Args:
        parameter: that names the topic.
        topic: that is published to.
        subscription: that is read.
        backoff: how long a server is tried that does not answer.

    Raises:
        ConfigError: it is that topic; the error names ``parameter``.
        TransientError: the server can't be reached.
    """
    with _connection() as (channel, endpoint):
        subject = subscription_subject(subscription, endpoint)
        try:
            read = get_subscription(channel, subscription, subject, backoff).topic
        except (ConfigError, PermanentError):
            return
    if read == topic:
        raise ConfigError(
            parameter, topic, f"is the topic that {subscription} reads: nothing would ever end",
            "Choose another topic",
        )  # fmt: skip


@contextlib.contextmanager
def _connection() -> Iterator[tuple[grpc.Channel, Endpoint]]:
    endpoint = pubsub_endpoint()
    with open_channel(endpoint) as channel:
        yield channel, endpoint


@contextlib.contextmanager
def _unless_it_exists() -> Iterator[None]:
    try:
        yield
    except PermanentError as error:
        if retry.status(error.__cause__) is not grpc.StatusCode.ALREADY_EXISTS:
            raise


def _call(
    channel: grpc.Channel,
    path: str,
    request: Any,
    subject: retry.Subject,
    backoff: retry.Backoff = CONNECT_BACKOFF,
) -> bytes:
    """Call a method by its full name, patiently; return the serialized answer."""
    service, _, method = path.partition("/")
    stub = RawStub(channel, service, (subject.parameter, subject.value))
    payload = type(request).serialize(request)
    return retry.call(lambda: stub.call(method, payload, CALL_S), subject, backoff)
