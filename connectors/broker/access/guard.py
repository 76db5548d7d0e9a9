"""Lets calls pass that policies permit, when the broker was given an authority."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from connectors.broker import schema
from connectors.broker.access.needs import Need, iam_need, resource_of
from connectors.broker.access.policies import CALLER, Policies
from connectors.broker.access.policy import Policy, Principal, permitted
from connectors.broker.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from connectors.broker.names import DELETED_TOPIC
from connectors.broker.state import State

if TYPE_CHECKING:
    from connectors.broker.access.authority import Authority

__all__ = ["Guard"]

_CONSUME = "pubsub.subscriptions.consume"
_IAM = "/google.iam.v1.IAMPolicy/"


class Guard:
    """Checks the caller of each method against policies.

    Args:
        authority: knows tokens and the policies of projects.
        policies: of single resources.
        state: that has the resources.
    """

    def __init__(self, authority: Authority, policies: Policies, state: State) -> None:
        self._authority, self._policies, self._state = authority, policies, state
        policies.inherited = self._of_project

    def identify(self, authorization: str) -> Principal:
        """Note who makes the call that is being answered, and return it.

        Raises:
            Unauthenticated: the token is of nobody.
        """
        principal = self._authority.principal(authorization)
        CALLER.set(principal)
        return principal

    def check(self, method: str, needs: tuple[Need, ...], request: bytes) -> None:
        """Refuse a call that the caller may not make.

        Args:
            method: full name.
            needs: permissions, from ``needs.NEEDS``.
            request: as on the wire.

        Raises:
            Unauthenticated: nobody in particular asks, and not everybody may.
            PermissionDenied: who asks may not.
            InvalidArgument: the request can't be read.
        """
        if not needs and not method.startswith(_IAM):
            return
        message = _parsed(method, request)
        if method.startswith(_IAM):
            need = iam_need(method.rpartition("/")[2], message.resource)
            needs = (need,) if need else ()
        for need in needs:
            resource = self._resource(need, message)
            if resource:
                self.permit(need.permission, resource)

    def admit(self, subscription: str) -> None:
        """Refuse a caller that may not receive from a subscription.

        Raises:
            Unauthenticated: nobody in particular asks, and not everybody may.
            PermissionDenied: who asks may not.
        """
        self.permit(_CONSUME, subscription)

    def permit(self, permission: str, resource: str) -> None:
        """Refuse a caller that lacks a permission on a resource or a project.

        Raises:
            Unauthenticated: nobody in particular asks, and not everybody may.
            PermissionDenied: who asks may not.
        """
        principal = CALLER.get() or Principal("")
        if permitted(self._applying(resource), principal, permission):
            return
        if not principal.member:
            raise Unauthenticated(
                f"{permission} on {resource} is not granted to everybody: send a bearer token."
            )
        raise PermissionDenied(
            f"{principal.member} has no permission {permission} on {resource} (or it does not"
            " exist): grant a role that has it, on the resource or on its project."
        )

    def _resource(self, need: Need, message: Any) -> str:
        name = resource_of(need, message)
        if need.scope != "topic":
            return name
        subscription = self._state.subscriptions.get(name)
        topic = subscription.topic.shown_name if subscription else DELETED_TOPIC
        return name if topic == DELETED_TOPIC else topic

    def _applying(self, resource: str) -> list[Policy]:
        policies = [self._of_project(resource)]
        with suppress(InvalidArgument, NotFound):  # a project has none, nor what does not exist
            policies.append(self._policies.policy(resource))
        return policies

    def _of_project(self, resource: str) -> Policy:
        return self._authority.policy("/".join(resource.split("/")[:2]))


def _parsed(method: str, request: bytes) -> Any:
    _, service, name = method.split("/")
    kind = schema.service(service).methods_by_name[name].input_type.full_name
    try:
        return schema.message(kind).FromString(request)
    except DecodeError as error:
        raise InvalidArgument("request", f"{len(request)} bytes", f"{error}") from None
