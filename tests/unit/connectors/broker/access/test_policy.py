"""Policies: their rules, and whom they permit what."""

from typing import Any

import pytest

from connectors.broker import limits, schema
from connectors.broker.access.policy import (
    NEVER_SET,
    Binding,
    Policy,
    Principal,
    permitted,
    read,
    show,
)
from connectors.broker.errors import InvalidArgument, Unsupported

PUBLISHER, VIEWER = "roles/pubsub.publisher", "roles/pubsub.viewer"
PUBLISH, GET = "pubsub.topics.publish", "pubsub.topics.get"
ANNA = Principal("user:anna@example.com")


def message(*bindings: tuple[str, list[str]], **fields: Any) -> Any:
    """Return a policy as clients send it."""
    found = [{"role": role, "members": members} for role, members in bindings]
    return schema.message("google.iam.v1.Policy")(bindings=found, **fields)


def granting(*members: str, role: str = PUBLISHER) -> Policy:
    """Return a policy with one binding."""
    return Policy(b"e", (Binding(role, members),))


@pytest.mark.parametrize(("member", "caller"), [
    ("allUsers", Principal("")),
    ("allUsers", ANNA),
    ("allAuthenticatedUsers", ANNA),
    ("user:anna@example.com", ANNA),
    ("user:Anna@Example.com", ANNA),
    ("domain:example.com", ANNA),
    ("serviceAccount:a@p.iam.gserviceaccount.com",
     Principal("serviceAccount:a@p.iam.gserviceaccount.com")),
    ("group:staff@example.com", Principal("user:b@b.org", frozenset({"group:staff@example.com"}))),
])  # fmt: skip
def test_member_stands_for_the_caller(member: str, caller: Principal) -> None:
    """And grants the role's permissions, no others, and nothing by an empty policy."""
    assert permitted([Policy(), granting(member)], caller, PUBLISH)
    assert not permitted([granting(member)], caller, GET)
    assert not permitted([Policy()], caller, PUBLISH)
    assert not permitted([], caller, PUBLISH)


@pytest.mark.parametrize(("member", "caller"), [
    ("allAuthenticatedUsers", Principal("")),
    ("user:anna@example.com", Principal("")),
    ("user:anna@example.com", Principal("user:bob@example.com")),
    ("user:anna@example.com", Principal("serviceAccount:anna@example.com")),
    ("domain:example.com", Principal("user:anna@sub.example.com")),
    ("domain:p.iam.gserviceaccount.com", Principal("serviceAccount:a@p.iam.gserviceaccount.com")),
    ("group:staff@example.com", ANNA),
])  # fmt: skip
def test_member_stands_for_nobody_else(member: str, caller: Principal) -> None:
    """Not by a name that is only similar."""
    assert not permitted([granting(member)], caller, PUBLISH)


def test_policy_is_shown_as_it_was_given() -> None:
    """Bindings of one role become one, each member once; empty ones are dropped."""
    wanted = message((VIEWER, ["user:a@b.c", "allUsers"]), (PUBLISHER, []),
                     (VIEWER, ["allUsers", "domain:d.org"]), version=3)  # fmt: skip
    found = read(wanted, b"etag")
    assert found == Policy(b"etag", (Binding(VIEWER, ("user:a@b.c", "allUsers", "domain:d.org")),))
    assert show(found) == message(
        (VIEWER, ["user:a@b.c", "allUsers", "domain:d.org"]), etag=b"etag", version=1
    )


def test_policy_that_was_never_set_has_only_its_etag() -> None:
    """As the service shows it."""
    assert show(Policy()) == message(etag=NEVER_SET)


@pytest.mark.parametrize(("wanted", "sentence"), [
    (message(version=2), r"policy.version \(2\): must be 0, 1 or 3"),
    (message(("roles/none", ["allUsers"])), r"role \('roles/none'\): must be one of roles/pubsub"),
    *((message((VIEWER, [member])), "policy.bindings.members") for member in (
        "", "anna@example.com", "user:anna", "user:", "AllUsers", "domain:example", "user:a@b@c",
        "user:a b@c.d", "principal://x", "projectOwner:p", "deleted:user:a@b.c?uid=1")),
    (message((VIEWER, [f"user:u{number}@b.c" for number in range(limits.POLICY_MEMBERS_MAX + 1)])),
     "1501 members.*at most 1500"),
])  # fmt: skip
def test_bad_policies_are_refused(wanted: Any, sentence: str) -> None:
    """The sentence names field, value and rule."""
    with pytest.raises(InvalidArgument, match=sentence):
        read(wanted, b"e")


def test_what_can_not_act_is_refused() -> None:
    """Conditions and audit logs."""
    conditional = message((VIEWER, ["allUsers"]))
    conditional.bindings[0].condition.expression = "true"
    with pytest.raises(Unsupported, match="condition is not supported"):
        read(conditional, b"e")
    with pytest.raises(Unsupported, match="audit_configs is not supported"):
        read(message(audit_configs=[{"service": "allServices"}]), b"e")
