"""The methods of IAMPolicy: policies of topics, subscriptions, snapshots and schemas."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec

from connectors.broker import schema
from connectors.broker.access.policy import Policy, Principal, permitted, read, show
from connectors.broker.access.roles import PERMISSIONS
from connectors.broker.catalog import Catalog
from connectors.broker.errors import Aborted, InvalidArgument, NotFound
from connectors.broker.events import DocumentStored
from connectors.broker.names import check_resource
from connectors.broker.schemas.registry import Registry

__all__ = ["CALLER", "Policies"]

CALLER: ContextVar[Principal | None] = ContextVar("caller", default=None)
"""Who makes the call that is being answered; None where nobody is asked, and everybody may all."""

_KIND = "policy"
_MASKS = frozenset({"bindings", "etag", "version"})
_ETAG_BYTES = 8
_OF_PROJECTS = (".create", ".list")  # permissions on what a resource is in, not on itself


class _Stored(msgspec.Struct, frozen=True):
    """A policy on disk; ``owner`` tells the resource from later ones of the same name."""

    owner: str
    policy: Policy


class Policies:
    """Each method takes the protocol buffer of its request and returns that of its response."""

    def __init__(self, catalog: Catalog, schemas: Registry) -> None:
        self._catalog, self._engine, self._schemas = catalog, catalog.engine, schemas
        self.inherited: Callable[[str], Policy] = lambda _: Policy()
        """What is granted on a resource by what it belongs to."""

    async def set(self, request: Any) -> Any:
        """Replace a policy, unless it was changed since the one that the request builds on."""
        wanted = request.policy
        unknown = set(request.update_mask.paths) - _MASKS
        if unknown:
            raise InvalidArgument(
                "update_mask", ", ".join(sorted(unknown)), "only bindings and etag can be set"
            )
        new = read(wanted, secrets.token_bytes(_ETAG_BYTES))
        async with self._catalog.changing:
            owner = self._owner(request.resource)
            before = self._stored(request.resource, owner)
            if wanted.etag not in (b"", before.etag):
                raise Aborted(
                    f"The policy of {request.resource} was changed meanwhile: its etag is another"
                    " one. Read it, change it, and set it again."
                )
            if request.update_mask.paths and "bindings" not in request.update_mask.paths:
                new = msgspec.structs.replace(new, bindings=before.bindings)
            value = msgspec.json.encode(_Stored(owner, new))
            await self._engine.commit(DocumentStored(_KIND, request.resource, value))
        return show(new)

    async def get(self, request: Any) -> Any:
        """Return a policy; one that was never set is empty."""
        version = request.options.requested_policy_version
        if version not in (0, 1, 3):
            raise InvalidArgument("options.requested_policy_version", version, "must be 0, 1 or 3")
        return show(self.policy(request.resource))

    async def test(self, request: Any) -> Any:
        """Return which permissions the caller has; none on what does not exist."""
        kind = _kind(request.resource)
        for each in request.permissions:
            if each not in PERMISSIONS[kind] or each.endswith(_OF_PROJECTS):
                raise InvalidArgument("permissions", repr(each), f"is no permission on {kind}")
        response = schema.message("google.iam.v1.TestIamPermissionsResponse")
        try:
            found = self.policy(request.resource)
        except NotFound:
            return response()
        caller, inherited = CALLER.get(), self.inherited(request.resource)
        return response(
            permissions=[
                each
                for each in dict.fromkeys(request.permissions)
                if caller is None or permitted([found, inherited], caller, each)
            ]
        )

    def policy(self, resource: str) -> Policy:
        """Return the policy of a resource.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such resource.
        """
        return self._stored(resource, self._owner(resource))

    def _stored(self, resource: str, owner: str) -> Policy:
        value = self._engine.state.documents.get((_KIND, resource))
        if value is None:
            return Policy()
        stored = msgspec.json.decode(value, type=_Stored)
        return stored.policy if stored.owner == owner else Policy()

    def _owner(self, resource: str) -> str:
        """Return what tells a resource from others that had its name."""
        match _kind(resource):
            case "topics":
                return str(self._catalog.topic(resource, "resource").uid)
            case "subscriptions":
                return str(self._catalog.subscription(resource).uid)
            case "snapshots":
                return str(self._catalog.snapshot(resource).uid)
        return self._schemas.get(resource).revisions[0].revision_id


def _kind(resource: str) -> str:
    """Return which kind of resource is named.

    Raises:
        InvalidArgument: none that has a policy.
    """
    kind = resource.split("/")[-2] if resource.count("/") else ""
    if kind not in PERMISSIONS:
        raise InvalidArgument(
            "resource", repr(resource), "must name a topic, subscription, snapshot or schema"
        )
    check_resource("resource", resource, kind)
    return kind
