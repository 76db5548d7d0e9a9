"""The permissions that each method needs, and on what.

Source: https://cloud.google.com/pubsub/docs/access-control#required_permissions, unverified for
DetachSubscription and ValidateMessage. ``IAMPolicy`` is not in the table: what it needs depends on
the kind of the resource (``iam_need``). The service methods of the batch extension need what
Pull needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["NEEDS", "Need", "iam_need", "resource_of"]


class Need(NamedTuple):
    """A permission on the resource that a field of the request names."""

    permission: str
    field: str
    """Path of the field, such as ``topic.name``."""
    scope: str = "itself"
    """``itself``; ``project``: the one that the name belongs to; ``topic``: of the subscription."""


def _consume(field: str = "subscription") -> tuple[Need, ...]:
    return (Need("pubsub.subscriptions.consume", field),)


def _one(permission: str, field: str, scope: str = "itself") -> tuple[Need, ...]:
    return (Need(f"pubsub.{permission}", field, scope),)


_PUBLISHER = {
    "CreateTopic": _one("topics.create", "name", "project")
    + _one("schemas.attach", "schema_settings.schema"),
    "UpdateTopic": _one("topics.update", "topic.name")
    + _one("schemas.attach", "topic.schema_settings.schema"),
    "Publish": _one("topics.publish", "topic"),
    "GetTopic": _one("topics.get", "topic"),
    "ListTopics": _one("topics.list", "project", "project"),
    "ListTopicSubscriptions": _one("topics.get", "topic"),
    "ListTopicSnapshots": _one("topics.get", "topic"),
    "DeleteTopic": _one("topics.delete", "topic"),
    "DetachSubscription": _one("topics.detachSubscription", "subscription", "topic"),
}
_SUBSCRIBER = {
    "CreateSubscription": _one("subscriptions.create", "name", "project")
    + _one("topics.attachSubscription", "topic"),
    "GetSubscription": _one("subscriptions.get", "subscription"),
    "UpdateSubscription": _one("subscriptions.update", "subscription.name"),
    "ListSubscriptions": _one("subscriptions.list", "project", "project"),
    "DeleteSubscription": _one("subscriptions.delete", "subscription"),
    "ModifyAckDeadline": _consume(),
    "Acknowledge": _consume(),
    "Pull": _consume(),
    "StreamingPull": _consume(),
    "ModifyPushConfig": _one("subscriptions.update", "subscription"),
    "GetSnapshot": _one("snapshots.get", "snapshot"),
    "ListSnapshots": _one("snapshots.list", "project", "project"),
    "CreateSnapshot": _one("snapshots.create", "name", "project") + _consume(),
    "UpdateSnapshot": _one("snapshots.update", "snapshot.name"),
    "DeleteSnapshot": _one("snapshots.delete", "snapshot"),
    "Seek": _consume() + _one("snapshots.seek", "snapshot"),
}
_SCHEMAS = {
    "CreateSchema": _one("schemas.create", "parent", "project"),
    "GetSchema": _one("schemas.get", "name"),
    "ListSchemas": _one("schemas.list", "parent", "project"),
    "ListSchemaRevisions": _one("schemas.listRevisions", "name"),
    "CommitSchema": _one("schemas.commit", "name"),
    "RollbackSchema": _one("schemas.rollback", "name"),
    "DeleteSchemaRevision": _one("schemas.delete", "name"),
    "DeleteSchema": _one("schemas.delete", "name"),
    "ValidateSchema": _one("schemas.validate", "parent", "project"),
    "ValidateMessage": _one("schemas.validate", "parent", "project"),
}
NEEDS: dict[str, tuple[Need, ...]] = {
    f"/google.pubsub.v1.{service}/{method}": needs
    for service, table in (
        ("Publisher", _PUBLISHER), ("Subscriber", _SUBSCRIBER), ("SchemaService", _SCHEMAS),
    )
    for method, needs in table.items()
}  # fmt: skip
"""By the full name of the method. A field that is empty names nothing, and needs nothing."""


def iam_need(method: str, resource: str) -> Need | None:
    """Return what a method of IAMPolicy needs; None where anybody may ask, or nothing is named.

    Args:
        method: its short name, such as ``SetIamPolicy``.
        resource: full name of the resource.
    """
    if method == "TestIamPermissions" or "/" not in resource:
        return None  # a name that is none is refused by the method
    kind = resource.split("/")[-2]
    return Need(f"pubsub.{kind}.{method[0].lower()}{method[1:]}", "resource")


def resource_of(need: Need, request: Any) -> str:
    """Return the name of the resource, or of the project, that a need is about; may be empty.

    Args:
        need: of scope ``itself`` or ``project``; of ``topic`` it is the subscription's name.
        request: protocol buffer.
    """
    value = request
    for part in need.field.split("."):
        value = getattr(value, part)
    return "/".join(value.split("/")[:2]) if need.scope == "project" else str(value)
