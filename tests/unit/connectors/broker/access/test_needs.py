"""The permissions that each method needs."""

from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.access.needs import NEEDS, Need, iam_need, resource_of
from connectors.broker.access.roles import PERMISSIONS

METHODS = {
    f"/{name}/{method.name}": method.input_type
    for name in ("google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber",
                 "google.pubsub.v1.SchemaService")
    for method in schema.service(name).methods
}  # fmt: skip


def test_every_method_needs_something() -> None:
    """A method that is missing here would be open to all."""
    assert set(NEEDS) == set(METHODS)
    assert all(NEEDS.values())


@pytest.mark.parametrize("method", METHODS)
def test_needs_are_of_fields_and_permissions_that_there_are(method: str) -> None:
    """A mistyped one would never be met, or never be asked for."""
    for need in NEEDS[method]:
        assert any(need.permission in known for known in PERMISSIONS.values())
        kind: Any = METHODS[method]
        for name in need.field.split("."):
            field = kind.fields_by_name[name]
            kind = field.message_type
        assert field.type == field.TYPE_STRING


def test_resource_is_what_the_request_names() -> None:
    """Itself, or its project; nothing where the field is empty."""
    topic = schema.message("UpdateTopicRequest")(topic={"name": "projects/p/topics/t"})
    project = schema.message("ListTopicsRequest")(project="projects/p")
    assert resource_of(Need("x", "topic.name"), topic) == "projects/p/topics/t"
    assert resource_of(Need("x", "topic.name", "project"), topic) == "projects/p"
    assert resource_of(Need("x", "project", "project"), project) == "projects/p"
    assert resource_of(Need("x", "topic.name"), schema.message("UpdateTopicRequest")()) == ""


def test_policies_need_what_their_kind_says() -> None:
    """Anybody may ask what it may."""
    assert iam_need("SetIamPolicy", "projects/p/topics/t") == Need(
        "pubsub.topics.setIamPolicy", "resource"
    )
    assert iam_need("GetIamPolicy", "projects/p/schemas/s") == Need(
        "pubsub.schemas.getIamPolicy", "resource"
    )
    assert iam_need("TestIamPermissions", "projects/p/topics/t") is None
    assert iam_need("GetIamPolicy", "") is iam_need("SetIamPolicy", "t") is None
