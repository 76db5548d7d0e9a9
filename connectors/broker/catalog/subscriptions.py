"""The methods of Publisher and Subscriber that are about subscriptions as resources."""

from __future__ import annotations

from typing import Any

from google.protobuf.empty_pb2 import Empty

from connectors.broker import schema
from connectors.broker.catalog import masks, push, subscription_settings, transforms
from connectors.broker.catalog.lookup import Catalog, new_uid, of_project, random_name
from connectors.broker.catalog.times import read_us
from connectors.broker.errors import InvalidArgument, NotFound
from connectors.broker.events import (
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionUpdated,
)
from connectors.broker.names import check_resource
from connectors.broker.pages import page
from connectors.broker.settings import DeadLetterPolicy, SubscriptionSettings
from connectors.broker.state import Subscription

__all__ = ["Subscriptions"]


class Subscriptions:
    """Each method takes the protocol buffer of its request and returns that of its response."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._engine = catalog, catalog.engine

    async def create(self, request: Any) -> Any:
        """Create a subscription, under a random name if the request gives none."""
        if not request.name:
            check_resource("topic", request.topic, "topics")
            request.name = random_name(request.topic, "subscriptions")
        settings = subscription_settings.read(request)
        await self._engine.transforming.check(settings.transforms)
        async with self._catalog.changing:
            self._engine.state.check_subscription_is_new(settings.name)
            topic = self._catalog.topic(settings.topic)
            self._check_dead_letter(settings.dead_letter)
            await self._engine.commit(SubscriptionCreated(new_uid(), topic.uid, settings))
        return subscription_settings.show(self._catalog.subscription(settings.name))

    async def get(self, request: Any) -> Any:
        """Return a subscription."""
        return subscription_settings.show(self._catalog.subscription(request.subscription))

    async def update(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        if "message_transforms" in request.update_mask.paths:
            wanted = transforms.read(request.subscription.message_transforms)
            await self._engine.transforming.check(wanted)
        async with self._catalog.changing:
            subscription = self._catalog.subscription(request.subscription.name)
            before = subscription_settings.show(subscription)
            before.topic = subscription.settings.topic  # also where that was deleted
            wanted = masks.updated(
                before, request.subscription, request.update_mask, subscription_settings.MUTABLE
            )
            if "dead_letter_policy.dead_letter_topic" in request.update_mask.paths:
                _drop_empty_dead_letter_policy(wanted)
            settings = subscription_settings.read(wanted, subscription.settings.push)
            if settings.dead_letter != subscription.settings.dead_letter:
                self._check_dead_letter(settings.dead_letter)
            await self._change(subscription, settings)
        shown = subscription_settings.show(subscription)
        push.show_version(shown.push_config)
        return shown

    async def modify_push_config(self, request: Any) -> Any:
        """Push to another endpoint, or, with an empty configuration, let clients pull."""
        async with self._catalog.changing:
            subscription = self._catalog.subscription(request.subscription)
            wanted = subscription_settings.show(subscription)
            wanted.topic = subscription.settings.topic
            wanted.push_config.CopyFrom(request.push_config)
            settings = subscription_settings.read(wanted, subscription.settings.push)
            await self._change(subscription, settings)
        return Empty()

    async def list(self, request: Any) -> Any:
        """List the subscriptions of a project by name."""
        subscriptions = self._engine.state.subscriptions
        names, token = page(of_project(subscriptions, request.project), request)
        shown = [subscription_settings.show(subscriptions[name]) for name in names]
        response = schema.message("ListSubscriptionsResponse")
        return response(subscriptions=shown, next_page_token=token)

    async def delete(self, request: Any) -> Any:
        """Delete a subscription and its backlog."""
        async with self._catalog.changing:
            subscription = self._catalog.subscription(request.subscription)
            await self._engine.commit(SubscriptionDeleted(subscription.uid))
        return Empty()

    async def detach(self, request: Any) -> Any:
        """Drop the backlog of a subscription and give it nothing any more."""
        await self._engine.lifecycle.detach(self._catalog.subscription(request.subscription))
        return schema.message("DetachSubscriptionResponse")()

    async def seek(self, request: Any) -> Any:
        """Go to a time or to a snapshot."""
        subscription = self._catalog.subscription(request.subscription)
        match request.WhichOneof("target"):
            case "time":
                time_us = read_us("time", request.time)
                await self._engine.lifecycle.seek_to_time(subscription, time_us)
            case "snapshot":
                snapshot = self._catalog.snapshot(request.snapshot)
                await self._engine.lifecycle.seek_to_snapshot(subscription, snapshot)
            case _:
                raise InvalidArgument("target", "none", "time or snapshot must be set")
        return schema.message("SeekResponse")()

    async def _change(self, subscription: Subscription, settings: SubscriptionSettings) -> None:
        if not await self._engine.commit(SubscriptionUpdated(subscription.uid, settings)):
            raise NotFound(f"Subscription {settings.name} was deleted meanwhile.")

    def _check_dead_letter(self, policy: DeadLetterPolicy | None) -> None:
        if policy:
            self._catalog.topic(policy.topic, "dead_letter_policy.dead_letter_topic")


def _drop_empty_dead_letter_policy(subscription: Any) -> None:
    """Let the policy go with its topic: so do updates of the service, by Google's own samples."""
    if not subscription.dead_letter_policy.dead_letter_topic:
        subscription.ClearField("dead_letter_policy")
