"""Roles and the permissions that they grant."""

import pytest

from connectors.broker.access.roles import PERMISSIONS, ROLES


@pytest.mark.parametrize(("role", "allowed", "denied"), [
    ("roles/pubsub.publisher", "pubsub.topics.publish", "pubsub.topics.get"),
    ("roles/pubsub.subscriber", "pubsub.subscriptions.consume", "pubsub.subscriptions.get"),
    ("roles/pubsub.viewer", "pubsub.topics.list", "pubsub.topics.publish"),
    ("roles/pubsub.editor", "pubsub.topics.publish", "pubsub.topics.setIamPolicy"),
    ("roles/viewer", "pubsub.schemas.get", "pubsub.schemas.commit"),
])  # fmt: skip
def test_role_grants_what_it_says(role: str, allowed: str, denied: str) -> None:
    """And not what the next higher one does."""
    assert allowed in ROLES[role]
    assert denied not in ROLES[role]


def test_admin_may_everything() -> None:
    """Each permission is in one kind, and no role grants what does not exist."""
    everything = frozenset().union(*PERMISSIONS.values())
    assert sum(map(len, PERMISSIONS.values())) == len(everything)
    assert ROLES["roles/pubsub.admin"] == everything
    assert all(granted <= everything for granted in ROLES.values())
