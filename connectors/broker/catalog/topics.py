"""The methods of Publisher that are about topics as resources."""

from __future__ import annotations

from typing import Any

from google.protobuf.empty_pb2 import Empty

from connectors.broker import schema
from connectors.broker.catalog import masks, topic_settings, transforms
from connectors.broker.catalog.lookup import Catalog, new_uid, of_project
from connectors.broker.errors import NotFound
from connectors.broker.events import TopicCreated, TopicDeleted, TopicUpdated
from connectors.broker.pages import page
from connectors.broker.schemas.registry import Registry
from connectors.broker.schemas.validation import Validator
from connectors.broker.settings import SchemaSettings, TopicSettings

__all__ = ["Topics"]


class Topics:
    """Each method takes the protocol buffer of its request and returns that of its response."""

    def __init__(self, catalog: Catalog, schemas: Registry, validator: Validator) -> None:
        self._catalog, self._engine = catalog, catalog.engine
        self._schemas, self._validator = schemas, validator

    async def create(self, request: Any) -> Any:
        """Create a topic."""
        settings = topic_settings.read(request)
        await self._engine.transforming.check(settings.transforms)
        async with self._catalog.changing:
            self._engine.state.check_topic_is_new(settings.name)
            self._check_schema(settings.schema)
            await self._engine.commit(TopicCreated(new_uid(), settings))
        return self._shown(settings)

    async def get(self, request: Any) -> Any:
        """Return a topic."""
        return self._shown(self._catalog.topic(request.topic).settings)

    async def update(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        if "message_transforms" in request.update_mask.paths:
            await self._engine.transforming.check(transforms.read(request.topic.message_transforms))
        async with self._catalog.changing:
            topic = self._catalog.topic(request.topic.name, "topic.name")
            before = topic_settings.show(topic.settings, lambda _: True)
            wanted = masks.updated(
                before, request.topic, request.update_mask, topic_settings.MUTABLE
            )
            settings = topic_settings.read(wanted)
            if settings.schema != topic.settings.schema:
                self._check_schema(settings.schema)
            if not await self._engine.commit(TopicUpdated(topic.uid, settings)):
                raise NotFound(f"Topic {settings.name} was deleted meanwhile.")
        return self._shown(settings)

    async def list(self, request: Any) -> Any:
        """List the topics of a project by name."""
        topics = self._engine.state.topics
        names, token = page(of_project(topics, request.project), request)
        shown = [self._shown(topics[name].settings) for name in names]
        return schema.message("ListTopicsResponse")(topics=shown, next_page_token=token)

    async def list_subscriptions(self, request: Any) -> Any:
        """List the names of the subscriptions that are attached to a topic."""
        attached = self._catalog.topic(request.topic).subscriptions.values()
        names, token = page((each.settings.name for each in attached), request)
        response = schema.message("ListTopicSubscriptionsResponse")
        return response(subscriptions=names, next_page_token=token)

    async def list_snapshots(self, request: Any) -> Any:
        """List the names of the snapshots of a topic."""
        snapshots = self._catalog.topic(request.topic).snapshots.values()
        names, token = page((each.settings.name for each in snapshots), request)
        return schema.message("ListTopicSnapshotsResponse")(snapshots=names, next_page_token=token)

    async def delete(self, request: Any) -> Any:
        """Delete a topic; its subscriptions keep what they have."""
        async with self._catalog.changing:
            await self._engine.commit(TopicDeleted(self._catalog.topic(request.topic).uid))
        return Empty()

    def _check_schema(self, settings: SchemaSettings | None) -> None:
        if settings:
            self._validator.check_settings(settings)

    def _shown(self, settings: TopicSettings) -> Any:
        return topic_settings.show(settings, lambda name: self._schemas.find(name) is not None)
