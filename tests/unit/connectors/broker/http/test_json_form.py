"""JSON to protocol buffers and back."""

from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.errors import InvalidArgument
from connectors.broker.http.json_form import decode_json, from_json, put, query_value, to_json

Topic, Subscription = schema.message("Topic"), schema.message("Subscription")
PublishRequest, ListSchemasRequest = (
    schema.message("PublishRequest"), schema.message("ListSchemasRequest"),
)  # fmt: skip


def published(data: str) -> dict[str, Any]:
    return {"messages": [{"data": "aGk="}, {"data": data}]}


def test_names_of_fields_come_in_both_forms() -> None:
    """CamelCase is the API's, snake_case is taken as well."""
    for name in ("ackDeadlineSeconds", "ack_deadline_seconds"):
        assert from_json(Subscription, {name: 20}).ack_deadline_seconds == 20


def test_durations_and_masks_are_strings() -> None:
    """The well-known types have their own form."""
    made = from_json(Subscription, {"messageRetentionDuration": "600.5s"})
    assert made.message_retention_duration.nanos == 500_000_000
    update = from_json(schema.message("UpdateTopicRequest"), {"updateMask": "labels,kmsKeyName"})
    assert list(update.update_mask.paths) == ["labels", "kms_key_name"]


@pytest.mark.parametrize("value", [
    {"foo": 1}, {"ackDeadlineSeconds": "x"}, {"labels": {"a": 1}}, {"name": 5},
    {"messageRetentionDuration": 5}, {"pushConfig": []}, {"labels": "x"},
])  # fmt: skip
def test_wrong_fields_are_refused(value: dict[str, Any]) -> None:
    """Unknown names and values of another type are the client's fault, and it is told which."""
    with pytest.raises(InvalidArgument, match=next(iter(value))):
        from_json(Subscription, value)


@pytest.mark.parametrize("data", ["!!!", "aGk", "aGk=", "_-8=", "", "YQ=", "Y", "a=Gk", "aG k="])
def test_base64_is_checked(data: str) -> None:
    """Both alphabets pass, padded or not; what is no base64 would be dropped silently."""
    if data in ("!!!", "Y", "a=Gk", "aG k="):
        with pytest.raises(InvalidArgument, match=r"messages\.data .*base64"):
            from_json(PublishRequest, published(data))
    else:
        from_json(PublishRequest, published(data))


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"nul", b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """A body is a JSON object."""
    with pytest.raises(InvalidArgument):
        decode_json(body)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_no_body_is_an_empty_object(body: bytes) -> None:
    """Clients send either."""
    assert decode_json(body) == {}


def test_deep_nesting_is_refused() -> None:
    """It would exhaust the stack."""
    policy: dict[str, Any] = {}
    for _ in range(5_000):
        policy = {"policy": policy}
    with pytest.raises(InvalidArgument):
        from_json(schema.message("google.iam.v1.SetIamPolicyRequest"), policy)


def test_fields_are_put_through_objects() -> None:
    """A dotted path leads through objects, made where they are missing."""
    value: dict[str, Any] = {"topic": {"labels": {}}}
    put(value, "topic.name", "t")
    put(value, "a.b", 1)
    assert value == {"topic": {"labels": {}, "name": "t"}, "a": {"b": 1}}
    with pytest.raises(InvalidArgument, match="must be an object"):
        put({"topic": "t"}, "topic.name", "t")


def test_query_values_have_the_type_of_their_field() -> None:
    """Truth is a word, a number stays text, which JSON takes."""
    pull = schema.message("PullRequest")
    assert query_value(pull, "returnImmediately", ["true"]) is True
    assert query_value(pull, "maxMessages", ["5"]) == "5"
    get = schema.message("google.iam.v1.GetIamPolicyRequest")
    assert query_value(get, "options.requestedPolicyVersion", ["3"]) == "3"
    acknowledge = schema.message("AcknowledgeRequest")
    assert query_value(acknowledge, "ackIds", ["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("path", ["foo", "view.foo", "pageSize.foo", "foo.bar"])
def test_unknown_query_names_are_refused(path: str) -> None:
    """Nothing that was asked for is ignored."""
    with pytest.raises(InvalidArgument, match="query"):
        query_value(ListSchemasRequest, path, ["1"])


def test_several_values_need_a_repeated_field() -> None:
    """Which of them would count?"""
    with pytest.raises(InvalidArgument, match="once"):
        query_value(ListSchemasRequest, "pageSize", ["1", "2"])


def test_messages_as_objects_are_no_query_values() -> None:
    """Only their fields are."""
    with pytest.raises(InvalidArgument, match="query"):
        query_value(schema.message("CreateSchemaRequest"), "schema", ["{}"])


def test_answers_are_json_in_the_form_asked_for() -> None:
    """Pretty or on one line; states by name or number."""
    topic = Topic(name="projects/p/topics/abc", state=1)
    assert to_json(topic, pretty=False) == b'{"name":"projects/p/topics/abc","state":"ACTIVE"}'
    assert b'\n  "state": 1\n' in to_json(topic, pretty=True, enums_as_numbers=True)
