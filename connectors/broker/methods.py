"""The table of methods: what answers each, and which permissions it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from connectors.broker import schema
from connectors.broker.access.needs import NEEDS, Need
from connectors.broker.access.policies import Policies
from connectors.broker.batches import Batches
from connectors.broker.bulk import Bulk
from connectors.broker.catalog import Catalog
from connectors.broker.catalog.snapshots import Snapshots
from connectors.broker.catalog.subscriptions import Subscriptions
from connectors.broker.catalog.topics import Topics
from connectors.broker.errors import InvalidArgument
from connectors.broker.publishing import Publishing
from connectors.broker.schemas.registry import Registry
from connectors.broker.schemas.service import SchemaService
from connectors.broker.schemas.validation import Validator

__all__ = ["Method", "Unary", "table"]

Unary = Callable[[bytes], Awaitable[bytes]]
_Typed = Callable[[Any], Awaitable[Any]]


class Method(NamedTuple):
    """What answers a unary method."""

    call: Unary
    needs: tuple[Need, ...]
    """Permissions; none where the method is not in the table of needs."""


def table(
    catalog: Catalog, schemas: Registry, policies: Policies, admit: Callable[[str], None]
) -> dict[str, Method]:
    """Return all unary methods by full names such as ``/google.pubsub.v1.Publisher/Publish``.

    Args:
        catalog: of the engine that they work on.
        schemas: of the same engine.
        policies: of the same engine.
        admit: refuses a caller that may not receive from a subscription, by its name.
    """
    validator = Validator(schemas)
    bulk = Bulk(catalog, Publishing(catalog.engine, validator))
    batches = Batches(catalog.engine, catalog, admit)
    topics, subscriptions = Topics(catalog, schemas, validator), Subscriptions(catalog)
    found = {
        **_typed("google.pubsub.v1.Publisher", _publisher(topics, subscriptions)),
        **_typed("google.pubsub.v1.Subscriber", _subscriber(subscriptions, Snapshots(catalog))),
        **_typed(
            "google.pubsub.v1.SchemaService", _schemas(SchemaService(catalog.engine, schemas))
        ),
        **_typed("google.iam.v1.IAMPolicy", _policies(policies)),
        "/google.pubsub.v1.Publisher/Publish": bulk.publish,
        "/google.pubsub.v1.Subscriber/Pull": bulk.pull,
        "/google.pubsub.v1.Subscriber/Acknowledge": bulk.acknowledge,
        "/google.pubsub.v1.Subscriber/ModifyAckDeadline": bulk.modify_ack_deadline,
        "/headrace.broker.v1.Batches/Lease": batches.lease,
        "/headrace.broker.v1.Batches/Extend": batches.extend,
        "/headrace.broker.v1.Batches/Acknowledge": batches.acknowledge,
        "/headrace.broker.v1.Batches/Release": batches.release,
    }
    return {name: Method(call, NEEDS.get(name, ())) for name, call in found.items()}


def _publisher(topics: Topics, subscriptions: Subscriptions) -> dict[str, _Typed]:
    return {
        "CreateTopic": topics.create,
        "GetTopic": topics.get,
        "UpdateTopic": topics.update,
        "DeleteTopic": topics.delete,
        "ListTopics": topics.list,
        "ListTopicSubscriptions": topics.list_subscriptions,
        "ListTopicSnapshots": topics.list_snapshots,
        "DetachSubscription": subscriptions.detach,
    }


def _subscriber(subscriptions: Subscriptions, snapshots: Snapshots) -> dict[str, _Typed]:
    return {
        "CreateSubscription": subscriptions.create,
        "GetSubscription": subscriptions.get,
        "UpdateSubscription": subscriptions.update,
        "DeleteSubscription": subscriptions.delete,
        "ListSubscriptions": subscriptions.list,
        "ModifyPushConfig": subscriptions.modify_push_config,
        "Seek": subscriptions.seek,
        "CreateSnapshot": snapshots.create,
        "GetSnapshot": snapshots.get,
        "UpdateSnapshot": snapshots.update,
        "DeleteSnapshot": snapshots.delete,
        "ListSnapshots": snapshots.list,
    }


def _schemas(service: SchemaService) -> dict[str, _Typed]:
    return {
        "CreateSchema": service.create_schema,
        "GetSchema": service.get_schema,
        "ListSchemas": service.list_schemas,
        "ListSchemaRevisions": service.list_schema_revisions,
        "CommitSchema": service.commit_schema,
        "RollbackSchema": service.rollback_schema,
        "DeleteSchemaRevision": service.delete_schema_revision,
        "DeleteSchema": service.delete_schema,
        "ValidateSchema": service.validate_schema,
        "ValidateMessage": service.validate_message,
    }


def _policies(policies: Policies) -> dict[str, _Typed]:
    return {
        "SetIamPolicy": policies.set,
        "GetIamPolicy": policies.get,
        "TestIamPermissions": policies.test,
    }


def _typed(service: str, methods: dict[str, _Typed]) -> dict[str, Unary]:
    """Let the methods of a service take and return bytes."""
    described = schema.service(service).methods_by_name
    return {
        f"/{service}/{name}": _bytes(method, described[name].input_type.full_name)
        for name, method in methods.items()
    }


def _bytes(method: _Typed, request_type: str) -> Unary:
    parse = schema.message(request_type).FromString

    async def call(request: bytes) -> bytes:
        try:
            message = parse(request)
        except DecodeError as error:
            raise InvalidArgument("request", f"{len(request)} bytes", f"{error}") from None
        return bytes((await method(message)).SerializeToString())

    return call
