"""Policies: never set, set, changed by two at once, gone with their resource."""

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import Schema

from tests.conformance.conftest import Api

pytestmark = pytest.mark.integration

VIEWER, PUBLISHER = "roles/pubsub.viewer", "roles/pubsub.publisher"


def schema(api: Api) -> str:
    """Create a schema."""
    definition = Schema(type_=Schema.Type.AVRO, definition='"string"')
    request = {"parent": api.project, "schema": definition, "schema_id": "words"}
    return str(api.schemas.create_schema(request=request).name)


CREATED: dict[str, Callable[[Api], str]] = {
    "topics": Api.topic, "subscriptions": Api.subscription, "snapshots": Api.snapshot,
    "schemas": schema,
}  # fmt: skip


def get(api: Api, resource: str) -> Any:
    """Return a policy."""
    return api.publisher.get_iam_policy(request={"resource": resource})


def put(api: Api, resource: str, *bindings: tuple[str, list[str]], **fields: Any) -> Any:
    """Set a policy."""
    policy = {"bindings": [{"role": r, "members": m} for r, m in bindings], **fields}
    return api.publisher.set_iam_policy(request={"resource": resource, "policy": policy})


@pytest.mark.parametrize("kind", CREATED)
def test_policy_is_read_as_it_was_set(api: Api, kind: str) -> None:
    """Of each kind of resource; one that was never set has only an etag."""
    resource = CREATED[kind](api)
    never = get(api, resource)
    assert (never.etag, len(never.bindings)) == (b"\x00\x20\x01", 0)
    members = ["user:anna@example.com", "domain:google.com", "group:cloud-logs@google.com"]
    stored = put(api, resource, (VIEWER, members), (PUBLISHER, ["allUsers"]), etag=never.etag)
    assert {b.role: list(b.members) for b in stored.bindings} == {
        VIEWER: members, PUBLISHER: ["allUsers"]
    }  # fmt: skip
    assert stored.etag not in (b"", never.etag)
    assert get(api, resource) == stored


def test_change_of_an_older_policy_is_aborted(api: Api) -> None:
    """Who read before the other wrote must read again; without an etag the last one wins."""
    resource = api.topic()
    first = put(api, resource, (VIEWER, ["allUsers"]))
    second = put(api, resource, (VIEWER, ["allUsers"]), etag=first.etag)
    assert second.etag != first.etag
    with pytest.raises(exceptions.Aborted):
        put(api, resource, (PUBLISHER, ["allUsers"]), etag=first.etag)
    assert get(api, resource) == second
    assert put(api, resource).bindings == []


def test_policy_goes_with_its_resource(api: Api) -> None:
    """A later resource of the name starts without one."""
    resource = api.topic()
    put(api, resource, (VIEWER, ["allUsers"]))
    api.publisher.delete_topic(topic=resource)
    with pytest.raises(exceptions.NotFound):
        get(api, resource)
    api.topic(name=resource)
    assert len(get(api, resource).bindings) == 0


def test_missing_resource_is_not_found(api: Api) -> None:
    """But nobody has a permission on it."""
    resource = api.name("subscriptions")
    with pytest.raises(exceptions.NotFound):
        get(api, resource)
    with pytest.raises(exceptions.NotFound):
        put(api, resource, (VIEWER, ["allUsers"]))
    request = {"resource": resource, "permissions": ["pubsub.subscriptions.get"]}
    assert api.publisher.test_iam_permissions(request=request).permissions == []


@pytest.mark.parametrize(("binding", "fields"), [
    (("roles/nonsense", ["allUsers"]), {}), ((VIEWER, ["anna"]), {}), ((VIEWER, ["allUsers"]),
                                                                      {"version": 2}),
])  # fmt: skip
def test_bad_policies_are_refused(
    api: Api, binding: tuple[str, list[str]], fields: dict[str, Any]
) -> None:
    """And nothing changes."""
    resource = api.topic()
    with pytest.raises(exceptions.InvalidArgument):
        put(api, resource, binding, **fields)
    assert len(get(api, resource).bindings) == 0


def test_permissions_are_told(api: Api) -> None:
    """Where nobody is asked who they are, everybody has all; those of other kinds are refused."""
    wanted = ["pubsub.topics.publish", "pubsub.topics.get"]
    request = {"resource": api.topic(), "permissions": wanted}
    assert list(api.publisher.test_iam_permissions(request=request).permissions) == wanted
    for bad in ("pubsub.topics.nonsense", "pubsub.subscriptions.get", "pubsub.topics.create"):
        request["permissions"] = [bad]
        with pytest.raises(exceptions.InvalidArgument):
            api.publisher.test_iam_permissions(request=request)
