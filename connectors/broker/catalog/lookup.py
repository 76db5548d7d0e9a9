"""Topics and subscriptions as resources: create, get, list, delete."""

from __future__ import annotations

import asyncio
import secrets
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from connectors.broker import limits, schema
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidArgument, Unsupported
from connectors.broker.events import (
    SubscriptionCreated,
    SubscriptionDeleted,
    TopicCreated,
    TopicDeleted,
)
from connectors.broker.names import check_project, check_resource
from connectors.broker.rules import check_lease_s
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.state import Subscription, Topic

__all__ = ["Catalog"]

_TOPIC_FIELDS = {"name", "labels", "state", "satisfies_pzs"}
_SUBSCRIPTION_FIELDS = {
    "name", "topic", "ack_deadline_seconds", "message_retention_duration", "labels", "state",
    "detached", "topic_message_retention_duration",
}  # fmt: skip


class Catalog:
    """The methods of Publisher and Subscriber that are about resources.

    Each takes the protocol buffer of its request and returns that of its response.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._state = engine.state
        # A name is checked before and entered after the commit, so only one at a time may change.
        self._changing = asyncio.Lock()

    def topic(self, name: str) -> Topic:
        """Return a topic by its name.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such topic.
        """
        if name not in self._state.topics:
            check_resource("topic", name, "topics")
        return self._state.topic(name)

    def subscription(self, name: str) -> Subscription:
        """Return a subscription by its name.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such subscription.
        """
        if name not in self._state.subscriptions:
            check_resource("subscription", name, "subscriptions")
        return self._state.subscription(name)

    async def create_topic(self, request: Any) -> Any:
        """Create a topic."""
        check_resource("name", request.name, "topics")
        _refuse_unsupported(request, _TOPIC_FIELDS)
        async with self._changing:
            self._state.check_topic_is_new(request.name)
            settings = TopicSettings(request.name, dict(request.labels))
            await self._engine.commit(TopicCreated(_new_uid(), settings))
        return _shown_topic(settings)

    async def get_topic(self, request: Any) -> Any:
        """Return a topic."""
        return _shown_topic(self.topic(request.topic).settings)

    async def list_topics(self, request: Any) -> Any:
        """List the topics of a project by name."""
        names, token = _page(_of_project(self._state.topics, request.project), request)
        topics = [_shown_topic(self._state.topics[name].settings) for name in names]
        return schema.message("ListTopicsResponse")(topics=topics, next_page_token=token)

    async def list_topic_subscriptions(self, request: Any) -> Any:
        """List the names of a topic's subscriptions."""
        attached = self.topic(request.topic).subscriptions.values()
        names, token = _page([each.settings.name for each in attached], request)
        response = schema.message("ListTopicSubscriptionsResponse")
        return response(subscriptions=names, next_page_token=token)

    async def delete_topic(self, request: Any) -> Any:
        """Delete a topic; its subscriptions keep what they have."""
        async with self._changing:
            await self._engine.commit(TopicDeleted(self.topic(request.topic).uid))
        return Empty()

    async def create_subscription(self, request: Any) -> Any:
        """Create a subscription, under a random name if the request gives none."""
        name = request.name or _random_name(request.topic)
        check_resource("name", name, "subscriptions")
        _refuse_unsupported(request, _SUBSCRIPTION_FIELDS)
        ack_deadline_s, retention_s = _ack_deadline_s(request), _retention_s(request)
        async with self._changing:
            self._state.check_subscription_is_new(name)
            topic = self.topic(request.topic)
            settings = SubscriptionSettings(
                name, request.topic, ack_deadline_s, retention_s, dict(request.labels)
            )
            await self._engine.commit(SubscriptionCreated(_new_uid(), topic.uid, settings))
        return _shown(self._state.subscription(name))

    async def get_subscription(self, request: Any) -> Any:
        """Return a subscription."""
        return _shown(self.subscription(request.subscription))

    async def list_subscriptions(self, request: Any) -> Any:
        """List the subscriptions of a project by name."""
        names, token = _page(_of_project(self._state.subscriptions, request.project), request)
        shown = [_shown(self._state.subscriptions[name]) for name in names]
        return schema.message("ListSubscriptionsResponse")(
            subscriptions=shown, next_page_token=token
        )

    async def delete_subscription(self, request: Any) -> Any:
        """Delete a subscription and its backlog."""
        async with self._changing:
            subscription = self.subscription(request.subscription)
            await self._engine.commit(SubscriptionDeleted(subscription.uid))
        return Empty()


def _new_uid() -> int:
    return secrets.randbits(63)


def _random_name(topic: str) -> str:
    check_resource("topic", topic, "topics")
    return f"projects/{topic.split('/')[1]}/subscriptions/auto-{secrets.token_hex(8)}"


def _refuse_unsupported(resource: Any, supported: set[str]) -> None:
    """Refuse what would be stored and never act: silence would be worse."""
    for field, value in resource.ListFields():
        # An empty push_config says pull, an expiration_policy without ttl says never: both hold.
        vacuous = field.name in ("push_config", "expiration_policy") and not value.ByteSize()
        if field.name not in supported and not vacuous:
            raise Unsupported(
                f"{field.name} is not supported by this broker yet; create {resource.name}"
                " without it."
            )


def _ack_deadline_s(request: Any) -> int:
    seconds = request.ack_deadline_seconds or limits.ACK_DEADLINE_S_DEFAULT
    check_lease_s("ack_deadline_seconds", seconds)
    return int(seconds)


def _retention_s(request: Any) -> int:
    if not request.HasField("message_retention_duration"):
        return limits.RETENTION_S_DEFAULT
    seconds = request.message_retention_duration.seconds
    if not limits.RETENTION_S_MIN <= seconds <= limits.RETENTION_S_MAX:
        raise InvalidArgument(
            "message_retention_duration", f"{seconds} s",
            f"must be {limits.RETENTION_S_MIN} to {limits.RETENTION_S_MAX} s",
        )  # fmt: skip
    return int(seconds)


def _of_project(names: Iterable[str], project: str) -> list[str]:
    check_project("project", project)
    return [name for name in names if name.startswith(project + "/")]


def _page(names: list[str], request: Any) -> tuple[list[str], str]:
    """Return the names of a page, sorted, and the token of the next: the last name of this."""
    if request.page_size < 0:
        raise InvalidArgument("page_size", request.page_size, "must not be negative")
    size = min(request.page_size or limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX)
    names = sorted(names)
    start = bisect_right(names, request.page_token)
    page = names[start : start + size]
    return page, page[-1] if start + size < len(names) else ""


def _shown_topic(settings: TopicSettings) -> Any:
    return schema.message("Topic")(name=settings.name, labels=settings.labels, state=schema.ACTIVE)


def _shown(subscription: Subscription) -> Any:
    settings = subscription.settings
    shown = schema.message("Subscription")(
        name=settings.name,
        topic=subscription.topic.shown_name,
        ack_deadline_seconds=settings.ack_deadline_s,
        labels=settings.labels,
        state=schema.ACTIVE,
    )
    shown.message_retention_duration.seconds = int(settings.retention_s)
    shown.push_config.SetInParent()  # pull
    shown.expiration_policy.SetInParent()  # never
    return shown
