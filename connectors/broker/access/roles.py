"""Permissions, and which of them a role grants.

Source: https://cloud.google.com/pubsub/docs/access-control#roles. The basic roles ``roles/owner``,
``roles/editor`` and ``roles/viewer`` grant here what the Pub/Sub role of the same rank grants.
"""

from __future__ import annotations

__all__ = ["PERMISSIONS", "ROLES"]


def _all(kind: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"pubsub.{kind}.{verb}" for verb in verbs)


PERMISSIONS = {
    "topics": _all(
        "topics", "attachSubscription", "create", "delete", "detachSubscription", "get",
        "getIamPolicy", "list", "publish", "setIamPolicy", "update", "updateTag",
    ),
    "subscriptions": _all(
        "subscriptions", "consume", "create", "delete", "get", "getIamPolicy", "list",
        "setIamPolicy", "update",
    ),
    "snapshots": _all(
        "snapshots", "create", "delete", "get", "getIamPolicy", "list", "seek", "setIamPolicy",
        "update",
    ),
    "schemas": _all(
        "schemas", "attach", "commit", "create", "delete", "get", "getIamPolicy", "list",
        "listRevisions", "rollback", "setIamPolicy", "validate",
    ),
}  # fmt: skip
"""Every permission, by the kind of resource that it is about."""

_ADMIN = frozenset().union(*PERMISSIONS.values())
_EDITOR = frozenset(each for each in _ADMIN if not each.endswith("IamPolicy"))
_VIEWER = (
    _all("schemas", "get", "list", "listRevisions", "validate")
    | _all("snapshots", "get", "list")
    | _all("subscriptions", "get", "list")
    | _all("topics", "get", "list")
)

ROLES: dict[str, frozenset[str]] = {
    "roles/pubsub.admin": _ADMIN,
    "roles/pubsub.editor": _EDITOR,
    "roles/pubsub.publisher": _all("topics", "publish"),
    "roles/pubsub.subscriber": _all("snapshots", "seek")
    | _all("subscriptions", "consume")
    | _all("topics", "attachSubscription"),
    "roles/pubsub.viewer": _VIEWER,
    "roles/owner": _ADMIN,
    "roles/editor": _EDITOR,
    "roles/viewer": _VIEWER,
}
"""What each role that can be granted allows."""
