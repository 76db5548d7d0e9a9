"""A policy as a value: its rules, and whether it permits something."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from connectors.broker import limits, schema
from connectors.broker.access.roles import ROLES
from connectors.broker.errors import InvalidArgument, Unsupported

__all__ = ["NEVER_SET", "Binding", "Policy", "Principal", "permitted", "read", "show"]

NEVER_SET = b"\x00\x20\x01"
"""The etag of a policy that was never set; as JSON it reads ``ACAB``."""

_EVERYBODY, _AUTHENTICATED = "allUsers", "allAuthenticatedUsers"
_MEMBER = re.compile(r"(user|serviceAccount|group):[^\s@:/]+@[^\s@:/]+|domain:[^\s@:/]+\.[^\s@:/]+")
_VERSIONS = (0, 1, 3)  # there never was a version 2


class Binding(msgspec.Struct, frozen=True):
    """Whom a role is granted."""

    role: str
    members: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is granted on a resource; ``etag`` changes with each change."""

    etag: bytes = NEVER_SET
    bindings: tuple[Binding, ...] = ()


class Principal(NamedTuple):
    """Who asks; the groups are known to whoever has authenticated it."""

    member: str
    """Such as ``user:alice@example.com``; empty is somebody who is not authenticated."""
    groups: frozenset[str] = frozenset()
    """Such as ``group:staff@example.com``."""

    def names(self) -> frozenset[str]:
        """Return all the members that stand for this principal, in lower case."""
        if not self.member:
            return frozenset({_EVERYBODY.lower()})
        names = {_EVERYBODY, _AUTHENTICATED, self.member, *self.groups}
        kind, _, email = self.member.partition(":")
        if kind == "user":
            names.add(f"domain:{email.rpartition('@')[2]}")
        return frozenset(name.lower() for name in names)


def permitted(policies: Iterable[Policy], principal: Principal, permission: str) -> bool:
    """Tell whether one of the policies that apply to a resource permits something.

    Args:
        policies: of the resource and of what it belongs to.
        principal: who asks.
        permission: such as ``pubsub.topics.publish``.
    """
    names = principal.names()
    return any(
        permission in ROLES[binding.role]
        and not names.isdisjoint(member.lower() for member in binding.members)
        for policy in policies
        for binding in policy.bindings
    )


def read(policy: Any, etag: bytes) -> Policy:
    """Return the value for a ``google.iam.v1.Policy``; bindings of one role become one.

    Args:
        policy: from a request.
        etag: of the new policy.

    Raises:
        InvalidArgument: a rule is broken.
        Unsupported: this broker can't act on a part of it.
    """
    if policy.version not in _VERSIONS:
        raise InvalidArgument("policy.version", policy.version, "must be 0, 1 or 3")
    if policy.audit_configs:
        raise Unsupported("audit_configs is not supported: this broker writes no audit log.")
    members: dict[str, dict[str, None]] = {}
    for binding in policy.bindings:
        _check_binding(binding)
        if binding.members:
            members.setdefault(binding.role, {}).update(dict.fromkeys(binding.members))
    if (count := sum(map(len, members.values()))) > limits.POLICY_MEMBERS_MAX:
        raise InvalidArgument(
            "policy.bindings", f"{count} members", f"at most {limits.POLICY_MEMBERS_MAX}"
        )
    return Policy(etag, tuple(Binding(role, tuple(names)) for role, names in members.items()))


def show(policy: Policy) -> Any:
    """Return the ``google.iam.v1.Policy`` that clients see."""
    shown = schema.message("google.iam.v1.Policy")(etag=policy.etag)
    if policy.etag != NEVER_SET:
        shown.version = 1
    for each in policy.bindings:
        shown.bindings.add(role=each.role, members=each.members)
    return shown


def _check_binding(binding: Any) -> None:
    if binding.role not in ROLES:
        raise InvalidArgument(
            "policy.bindings.role", repr(binding.role), f"must be one of {', '.join(ROLES)}"
        )
    if binding.HasField("condition"):
        raise Unsupported("condition is not supported: this broker does not evaluate conditions.")
    for member in binding.members:
        if member not in (_EVERYBODY, _AUTHENTICATED) and not _MEMBER.fullmatch(member):
            raise InvalidArgument(
                "policy.bindings.members", repr(member),
                f"must be {_EVERYBODY}, {_AUTHENTICATED}, user:EMAIL, serviceAccount:EMAIL,"
                " group:EMAIL or domain:DOMAIN",
            )  # fmt: skip
