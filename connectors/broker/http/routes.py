"""Which method of the API an HTTP verb and path call: one table, after the API's annotations.

A path template is as in ``google.api.http``: ``{topic=T}`` takes a whole resource name, and a verb
of the API's own may follow after a colon.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["ROUTES", "Match", "Route", "match"]

_PUBLISHER, _SUBSCRIBER = "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"
_SCHEMAS, _IAM = "google.pubsub.v1.SchemaService", "google.iam.v1.IAMPolicy"

_TABLE = {
    _PUBLISHER: """
        CreateTopic             PUT     {name=topics} *
        GetTopic                GET     {topic=topics}
        UpdateTopic             PATCH   {topic.name=topics} *
        DeleteTopic             DELETE  {topic=topics}
        ListTopics              GET     {project}/topics
        ListTopicSubscriptions  GET     {topic=topics}/subscriptions
        ListTopicSnapshots      GET     {topic=topics}/snapshots
        Publish                 POST    {topic=topics}:publish *
        DetachSubscription      POST    {subscription=subscriptions}:detach
    """,
    _SUBSCRIBER: """
        CreateSubscription      PUT     {name=subscriptions} *
        GetSubscription         GET     {subscription=subscriptions}
        UpdateSubscription      PATCH   {subscription.name=subscriptions} *
        DeleteSubscription      DELETE  {subscription=subscriptions}
        ListSubscriptions       GET     {project}/subscriptions
        Pull                    POST    {subscription=subscriptions}:pull *
        Acknowledge             POST    {subscription=subscriptions}:acknowledge *
        ModifyAckDeadline       POST    {subscription=subscriptions}:modifyAckDeadline *
        ModifyPushConfig        POST    {subscription=subscriptions}:modifyPushConfig *
        Seek                    POST    {subscription=subscriptions}:seek *
        CreateSnapshot          PUT     {name=snapshots} *
        GetSnapshot             GET     {snapshot=snapshots}
        UpdateSnapshot          PATCH   {snapshot.name=snapshots} *
        DeleteSnapshot          DELETE  {snapshot=snapshots}
        ListSnapshots           GET     {project}/snapshots
    """,
    _SCHEMAS: """
        CreateSchema            POST    {parent}/schemas schema
        GetSchema               GET     {name=schemas}
        ListSchemas             GET     {parent}/schemas
        ListSchemaRevisions     GET     {name=schemas}:listRevisions
        CommitSchema            POST    {name=schemas}:commit *
        RollbackSchema          POST    {name=schemas}:rollback *
        DeleteSchemaRevision    DELETE  {name=schemas}:deleteRevision
        DeleteSchema            DELETE  {name=schemas}
        ValidateSchema          POST    {parent}/schemas:validate *
        ValidateMessage         POST    {parent}/schemas:validateMessage *
    """,
    _IAM: """
        GetIamPolicy            GET     {resource=topics|subscriptions|snapshots|schemas}:getIamPolicy
        SetIamPolicy            POST    {resource=topics|subscriptions|snapshots|schemas}:setIamPolicy *
        TestIamPermissions      POST    {resource=topics|subscriptions|snapshots|schemas}:testIamPermissions *
    """,  # noqa: E501 - one line per method
}


class Route(NamedTuple):
    """A method of the API and how it is called."""

    service: str
    method: str
    verb: str
    path: re.Pattern[str]
    field: str
    """Of the request, dotted: takes the resource name that is in the path."""
    body: str
    """The field that the body is; ``*`` is all that the path leaves, empty is no body."""

    @property
    def full_method(self) -> str:
        """The name as gRPC has it."""
        return f"/{self.service}/{self.method}"


class Match(NamedTuple):
    """A route and the resource name that was in the path."""

    route: Route
    resource: str


def match(verb: str, path: str) -> Match | None:
    """Find the method that a request calls, None if there is none.

    Args:
        verb: of HTTP, in upper case.
        path: without the query, still percent-encoded.
    """
    for route in _BY_VERB.get(verb, ()):
        found = route.path.fullmatch(path)
        if found:
            return Match(route, unquote(found[1]))
    return None


def _route(service: str, line: str) -> Route:
    method, verb, template, *body = line.split()
    head, field, kind, tail = re.fullmatch(r"(.*)\{([a-z.]+)(?:=(.*))?\}(.*)", template).groups()  # type: ignore[union-attr]
    name = "projects/[^/]+" + (f"/(?:{kind})/[^/:]+" if kind else "")
    path = re.compile(f"/v1/{head}({name}){re.escape(tail)}")
    return Route(service, method, verb, path, field, body[0] if body else "")


ROUTES = tuple(
    _route(service, line)
    for service, lines in _TABLE.items()
    for line in lines.strip().splitlines()
)
_BY_VERB = {
    verb: [route for route in ROUTES if route.verb == verb]
    for verb in sorted({route.verb for route in ROUTES})
}
