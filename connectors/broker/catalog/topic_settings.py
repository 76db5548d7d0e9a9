"""A topic of the API to its settings and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.broker import limits, schema
from connectors.broker.catalog import durations, labels, transforms
from connectors.broker.catalog.unsupported import refuse
from connectors.broker.errors import InvalidArgument
from connectors.broker.names import check_resource
from connectors.broker.settings import SchemaSettings, TopicSettings

__all__ = ["DELETED_SCHEMA", "MUTABLE", "read", "show"]

MUTABLE = frozenset({
    "labels", "message_storage_policy", "kms_key_name", "schema_settings",
    "message_retention_duration", "ingestion_data_source_settings", "message_transforms",
})  # fmt: skip
"""What an update may change."""

DELETED_SCHEMA = "_deleted-schema_"
"""What a topic shows as its schema once that was deleted."""

_REFUSED = {
    "message_storage_policy": "all messages are stored in the directory of this broker",
    "kms_key_name": "this broker does not encrypt",
    "ingestion_data_source_settings": "nothing is read from other services; publish to the topic",
    "tags": "there is no Resource Manager to bind them",
}


def read(topic: Any) -> TopicSettings:
    """Return the settings for a ``Topic``; what only the server sets is ignored, as in the API.

    Raises:
        InvalidArgument: a rule is broken.
        Unsupported: this broker can't do what a field asks for.
    """
    check_resource("name", topic.name, "topics")
    refuse(topic, _REFUSED)
    retention_s = None
    if topic.HasField("message_retention_duration"):
        retention_s = durations.checked_s(
            "message_retention_duration", topic.message_retention_duration,
            limits.RETENTION_S_MIN, limits.RETENTION_S_MAX,
        )  # fmt: skip
    return TopicSettings(
        topic.name,
        labels.checked(topic.labels),
        retention_s,
        _read_schema(topic.schema_settings) if topic.HasField("schema_settings") else None,
        transforms.read(topic.message_transforms),
    )


def show(settings: TopicSettings, schema_exists: Callable[[str], bool]) -> Any:
    """Return the ``Topic`` that clients see."""
    shown = schema.message("Topic")(name=settings.name, labels=settings.labels, state=schema.ACTIVE)
    if settings.retention_s is not None:
        durations.show(shown.message_retention_duration, settings.retention_s)
    if settings.schema:
        _show_schema(shown.schema_settings, settings.schema, schema_exists)
    transforms.show(shown.message_transforms, settings.transforms)
    return shown


def _read_schema(wanted: Any) -> SchemaSettings:
    check_resource("schema_settings.schema", wanted.schema, "schemas")
    encoding = schema.enum_name("Encoding", wanted.encoding)
    if encoding not in ("JSON", "BINARY"):
        raise InvalidArgument("schema_settings.encoding", encoding, "must be JSON or BINARY")
    return SchemaSettings(
        wanted.schema, encoding, wanted.first_revision_id, wanted.last_revision_id
    )


def _show_schema(
    shown: Any, settings: SchemaSettings, schema_exists: Callable[[str], bool]
) -> None:
    shown.schema = settings.schema if schema_exists(settings.schema) else DELETED_SCHEMA
    shown.encoding = schema.enum_number("Encoding", settings.encoding)
    shown.first_revision_id = settings.first_revision_id
    shown.last_revision_id = settings.last_revision_id
