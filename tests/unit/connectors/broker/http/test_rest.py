"""HTTP requests to calls of the API, and answers back."""

import asyncio
import json
from typing import Any

import pytest

from connectors.broker import errors, schema
from connectors.broker.http.rest import Answer, Rest

T = "/v1/projects/p/topics/orders"
S = "/v1/projects/p/subscriptions/orders"


class Api:
    """Keeps what it was called with and answers what it is told."""

    def __init__(self, answer: Any = None, error: Exception | None = None) -> None:
        self._answer, self._error = answer, error
        self.method, self.request = "", b""

    async def call(self, method: str, request: bytes, _authorization: str) -> bytes:
        self.method, self.request = method, request
        if self._error:
            raise self._error
        return b"" if self._answer is None else self._answer.SerializeToString()

    def ask(self, verb: str, path: str, body: Any = b"", **query: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        values = {name: [value] for name, value in query.items()}
        return asyncio.run(Rest(self.call).answer(verb, path, values, raw))

    def asked(self, kind: str) -> Any:
        return schema.message(kind).FromString(self.request)


def test_the_body_is_the_request() -> None:
    """With the resource of the path, whatever name the body gives."""
    api = Api(schema.message("Topic")(name="t", state=1))
    answer = api.ask("PUT", T, {"name": "other", "labels": {"a": "b"}})
    assert api.method == "/google.pubsub.v1.Publisher/CreateTopic"
    asked = api.asked("Topic")
    assert (asked.name, dict(asked.labels)) == ("projects/p/topics/orders", {"a": "b"})
    assert (answer.status, json.loads(answer.body)) == (200, {"name": "t", "state": "ACTIVE"})


def test_a_patch_carries_the_whole_update() -> None:
    """The name goes into the resource, the mask stays beside it."""
    api = Api(schema.message("Subscription")())
    body = {"subscription": {"ackDeadlineSeconds": 20}, "updateMask": "ackDeadlineSeconds"}
    api.ask("PATCH", S, body)
    asked = api.asked("UpdateSubscriptionRequest")
    assert asked.subscription.name == "projects/p/subscriptions/orders"
    assert asked.subscription.ack_deadline_seconds == 20
    assert list(asked.update_mask.paths) == ["ack_deadline_seconds"]


def test_the_body_may_be_one_field_and_the_query_the_rest() -> None:
    """As for CreateSchema, whose id is in the query."""
    api = Api(schema.message("Schema")())
    api.ask("POST", "/v1/projects/p/schemas", {"type": "AVRO", "definition": "{}"}, schemaId="abc")
    asked = api.asked("CreateSchemaRequest")
    assert (asked.parent, asked.schema_id) == ("projects/p", "abc")
    assert (asked.schema.type, asked.schema.definition) == (2, "{}")


def test_the_query_is_the_request_where_there_is_no_body() -> None:
    """Numbers, words and dotted names."""
    api = Api(schema.message("ListSchemasResponse")())
    api.ask("GET", "/v1/projects/p/schemas", pageSize="7", page_token="x", view="FULL")
    asked = api.asked("ListSchemasRequest")
    assert (asked.page_size, asked.page_token, asked.view) == (7, "x", 2)
    api = Api(schema.message("google.iam.v1.Policy")())
    api.ask("GET", T + ":getIamPolicy", **{"options.requestedPolicyVersion": "3"})
    assert api.method == "/google.iam.v1.IAMPolicy/GetIamPolicy"
    assert api.asked("google.iam.v1.GetIamPolicyRequest").options.requested_policy_version == 3


def test_the_form_of_the_answer_can_be_chosen() -> None:
    """What every Google API takes changes the form, or nothing."""
    api = Api(schema.message("Topic")(name="t", state=1))
    answer = api.ask("GET", T, **{"$alt": "json;enum-encoding=int", "prettyPrint": "false"})
    assert answer.body == b'{"name":"t","state":1}'
    assert b"\n  " in api.ask("GET", T, key="secret", quotaUser="me", alt="json").body
    assert api.ask("GET", T, alt="proto").status == 400


@pytest.mark.parametrize(("verb", "path", "body", "query"), [
    ("POST", T + ":publish", b"{", {}), ("POST", T + ":publish", b"[]", {}),
    ("POST", T + ":publish", b'{"foo":1}', {}), ("POST", T + ":publish", b"{}", {"messages": "x"}),
    ("GET", T, b"", {"foo": "1"}), ("GET", T, b'{"foo":1}', {}),
    ("GET", "/v1/projects/p/topics", b"", {"pageSize": "x"}), ("GET", T, b"", {"fields": "name"}),
    ("PATCH", T, b'{"topic":"x"}', {}),
])  # fmt: skip
def test_what_is_not_understood_is_refused(
    verb: str, path: str, body: bytes, query: dict[str, str]
) -> None:
    """Nothing is called, and the text says what is wrong."""
    api = Api()
    answer = api.ask(verb, path, body, **query)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["status"] == "INVALID_ARGUMENT"
    assert api.method == ""


def test_an_unknown_method_is_not_found() -> None:
    """It is told so in JSON, as everything is."""
    error = json.loads(Api().ask("GET", "/v1/projects").body)["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("error", "status", "name"), [
    (errors.InvalidArgument("a", "b", "c"), 400, "INVALID_ARGUMENT"),
    (errors.NotFound("x"), 404, "NOT_FOUND"), (errors.AlreadyExists("x"), 409, "ALREADY_EXISTS"),
    (errors.Exhausted("x"), 429, "RESOURCE_EXHAUSTED"),
    (errors.Unavailable("x"), 503, "UNAVAILABLE"), (errors.Unsupported("x"), 501, "UNIMPLEMENTED"),
    (ValueError("x"), 500, "INTERNAL"),
])  # fmt: skip
def test_refusals_have_the_code_of_the_service(error: Exception, status: int, name: str) -> None:
    """The body says again what the status line says, with the text of the refusal."""
    answer = Api(error=error).ask("GET", T)
    shown = json.loads(answer.body)["error"]
    assert (answer.status, shown["code"], shown["status"]) == (status, status, name)
    assert str(error) in shown["message"]


def test_a_large_request_is_converted_aside() -> None:
    """It gives the same."""
    api = Api(schema.message("PublishResponse")(message_ids=["1"] * 50_000))
    answer = api.ask("POST", T + ":publish", {"messages": [{"data": "aGk="}] * 5_000})
    assert len(api.asked("PublishRequest").messages) == 5_000
    assert len(json.loads(answer.body)["messageIds"]) == 50_000
