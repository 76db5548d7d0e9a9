"""Subscriptions as resources: what is shown, changed, listed and refused."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask

from tests.conformance.conftest import Api, is_ours

pytestmark = pytest.mark.integration

DAY_S = 86_400
PUSH = {"push_endpoint": "http://127.0.0.1:9/push"}  # where nobody listens


def update(api: Api, name: str, paths: list[str], **fields: Any) -> Any:
    """Update a subscription; return it without the format version that an update may show."""
    mask = FieldMask(paths=paths)
    changed = api.subscriber.update_subscription(
        subscription={"name": name, **fields}, update_mask=mask
    )
    if not changed.push_config.push_endpoint:
        changed.push_config.attributes.clear()
    return changed


def shown(api: Api, name: str) -> Any:
    """Return a subscription."""
    return api.subscriber.get_subscription(subscription=name)


def test_defaults_are_shown(api: Api) -> None:
    """10 s, 7 days, 31 days, pull; by create, get and list alike."""
    request = {"name": api.name("subscriptions"), "topic": api.topic()}
    created = api.subscriber.create_subscription(request=request)
    assert (created.name, created.topic) == (request["name"], request["topic"])
    assert created.ack_deadline_seconds == 10
    assert created.message_retention_duration.total_seconds() == 7 * DAY_S
    assert created.expiration_policy.ttl.total_seconds() == 31 * DAY_S
    assert "push_config" in created
    assert created.push_config.push_endpoint == ""
    assert created.state == type(created).State.ACTIVE
    assert shown(api, created.name) == created
    assert list(api.subscriber.list_subscriptions(project=api.project)) == [created]


FIELDS: list[dict[str, Any]] = [
    {"ack_deadline_seconds": 600},
    {"retain_acked_messages": True},
    {"message_retention_duration": {"seconds": 600}},
    {"message_retention_duration": {"seconds": 31 * DAY_S}},
    {"labels": {"a": "b"}},
    {"enable_message_ordering": True},
    {"expiration_policy": {}},
    {"expiration_policy": {"ttl": {"seconds": 8 * DAY_S}}},
    {"filter": 'attributes.a = "1"'},
    {"retry_policy": {"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 2}}},
    {"enable_exactly_once_delivery": True},
    {"push_config": {**PUSH, "attributes": {"x-goog-version": "v1"}}},
    {"push_config": {**PUSH, "attributes": {"x-goog-version": "v1"},
                     "no_wrapper": {"write_metadata": True}}},
]  # fmt: skip


@pytest.mark.parametrize("fields", FIELDS)
def test_subscription_is_shown_as_it_was_created(api: Api, fields: dict[str, Any]) -> None:
    """Each field."""
    found = shown(api, api.subscription(**fields))
    wanted = type(found)(fields)
    for name in fields:
        assert name in found
        assert getattr(found, name) == getattr(wanted, name), name


@pytest.mark.parametrize("fields", [
    each for each in FIELDS if not {"filter", "enable_message_ordering"} & set(each)
])  # fmt: skip
def test_update_changes_what_the_mask_names(api: Api, fields: dict[str, Any]) -> None:
    """And nothing else; cleared, it is as it is by default."""
    name = api.subscription()
    before = shown(api, name)
    changed = update(api, name, list(fields), **fields)
    wanted = type(before)(before)
    for field, value in fields.items():
        setattr(wanted, field, value)
    assert changed == wanted
    assert shown(api, name) == changed
    assert update(api, name, list(fields)) == before


def test_path_leads_into_a_field(api: Api) -> None:
    """What stands beside it stays."""
    name = api.subscription(push_config={**PUSH, "no_wrapper": {"write_metadata": True}})
    other = "http://127.0.0.1:9/other"
    changed = update(api, name, ["push_config.push_endpoint"],
                     push_config={"push_endpoint": other})  # fmt: skip
    assert changed.push_config.push_endpoint == other
    assert changed.push_config.no_wrapper.write_metadata


@pytest.mark.parametrize("paths", [
    [], ["nonsense"], ["name"], ["topic"], ["filter"], ["enable_message_ordering"],
    ["pushConfig"], ["labels", "filter"],
])  # fmt: skip
def test_bad_masks_are_refused(api: Api, paths: list[str]) -> None:
    """Empty, unknown, or of a field that can't change, even to what it is."""
    name = api.subscription()
    before = shown(api, name)
    with pytest.raises(exceptions.InvalidArgument):
        update(api, name, paths, labels={"a": "1"}, topic=before.topic)
    assert shown(api, name) == before


def test_immutable_field_beside_the_mask_is_ignored(api: Api) -> None:
    """Clients send whole resources."""
    name = api.subscription(filter="attributes:a")
    changed = update(api, name, ["labels"], labels={"a": "1"}, filter="attributes:b")
    assert (dict(changed.labels), changed.filter) == ({"a": "1"}, "attributes:a")


BAD: list[dict[str, Any]] = [
    {"ack_deadline_seconds": 9},
    {"ack_deadline_seconds": 601},
    {"message_retention_duration": {"seconds": 599}},
    {"message_retention_duration": {"seconds": 31 * DAY_S + 1}},
    {"labels": {"Upper": "a"}},
    {"expiration_policy": {"ttl": {"seconds": DAY_S - 1}}},
    {"expiration_policy": {"ttl": {"seconds": DAY_S}}},  # below the retention
    {"retry_policy": {"maximum_backoff": {"seconds": 601}}},
    {"retry_policy": {"minimum_backoff": {"seconds": 3}, "maximum_backoff": {"seconds": 2}}},
    {"push_config": {"push_endpoint": "nowhere"}},
    {"push_config": {**PUSH, "attributes": {"x-goog-version": "v9"}}},
    {"push_config": PUSH, "enable_exactly_once_delivery": True},
    {"push_config": PUSH, "bigquery_config": {"table": "p.d.t", "write_metadata": True}},
]


@pytest.mark.parametrize("fields", [*BAD, {"filter": "nonsense"}, {"filter": "attributes:a" * 30}])
def test_bad_subscriptions_are_refused(api: Api, fields: dict[str, Any]) -> None:
    """And not created."""
    name = api.name("subscriptions")
    with pytest.raises(exceptions.InvalidArgument):
        api.subscription(name=name, **fields)
    with pytest.raises(exceptions.NotFound):
        shown(api, name)


@pytest.mark.parametrize("fields", BAD)
def test_bad_updates_are_refused(api: Api, fields: dict[str, Any]) -> None:
    """By the rules of creation, and nothing changes."""
    name = api.subscription()
    before = shown(api, name)
    with pytest.raises(exceptions.InvalidArgument):
        update(api, name, list(fields), **fields)
    assert shown(api, name) == before


def test_names(api: Api) -> None:
    """Taken once; random where none is given; bad ones and missing topics are refused."""
    name = api.subscription()
    with pytest.raises(exceptions.AlreadyExists):
        api.subscription(name=name)
    random = api.subscriber.create_subscription(request={"topic": api.topic()})
    assert random.name.startswith(f"{api.project}/subscriptions/")
    for ident in ("ab", "1abc", "goog-x", "a" * 256):
        with pytest.raises(exceptions.InvalidArgument):
            api.subscription(name=api.name("subscriptions", ident))
    with pytest.raises(exceptions.NotFound):
        api.subscription(topic=api.name("topics"))
    with pytest.raises(exceptions.InvalidArgument):
        api.subscription(topic="_deleted-topic_")


def test_missing_subscription_is_not_found(api: Api) -> None:
    """By every method that names one."""
    name, subscriber = api.name("subscriptions"), api.subscriber
    calls: list[Any] = [
        lambda: shown(api, name),
        lambda: subscriber.delete_subscription(subscription=name),
        lambda: update(api, name, ["labels"]),
        lambda: subscriber.modify_push_config(subscription=name, push_config=PUSH),
        lambda: subscriber.pull(subscription=name, max_messages=1),
        lambda: subscriber.seek(request={"subscription": name, "time": {"seconds": 1}}),
        lambda: api.publisher.detach_subscription(request={"subscription": name}),
        lambda: api.snapshot(name),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            call()


def test_dead_letter_topic_must_exist(api: Api) -> None:
    """When the policy is set; 5 attempts if it does not say, 5 to 100 if it does."""
    dead = api.topic()
    name = api.subscription(dead_letter_policy={"dead_letter_topic": dead})
    assert shown(api, name).dead_letter_policy.max_delivery_attempts == 5
    for attempts in (4, 101):
        with pytest.raises((exceptions.InvalidArgument, exceptions.OutOfRange)):
            update(api, name, ["dead_letter_policy"], dead_letter_policy={
                "dead_letter_topic": dead, "max_delivery_attempts": attempts})  # fmt: skip
    with pytest.raises(exceptions.NotFound):
        api.subscription(dead_letter_policy={"dead_letter_topic": api.name("topics")})
    api.publisher.delete_topic(topic=dead)
    update(api, name, ["labels"], labels={"a": "1"})  # is not about the policy


def test_dead_letter_policy_is_removed(api: Api) -> None:
    """As a whole, or by its topic."""
    policy = {"dead_letter_topic": api.topic(), "max_delivery_attempts": 20}
    inside = ["dead_letter_policy.dead_letter_topic", "dead_letter_policy.max_delivery_attempts"]
    for paths in (["dead_letter_policy"], inside):
        name = api.subscription(dead_letter_policy=policy)
        changed = update(api, name, ["dead_letter_policy.max_delivery_attempts"],
                         dead_letter_policy={"max_delivery_attempts": 10})  # fmt: skip
        assert changed.dead_letter_policy.dead_letter_topic == policy["dead_letter_topic"]
        assert changed.dead_letter_policy.max_delivery_attempts == 10
        assert update(api, name, paths).dead_letter_policy.dead_letter_topic == ""
        update(api, name, ["labels"], labels={"a": "1"})  # the rest still works


def test_retention_of_the_topic_is_shown(api: Api) -> None:
    """As the topic has it now."""
    topic = api.topic(message_retention_duration={"seconds": 600})
    name = api.subscription(topic)
    assert shown(api, name).topic_message_retention_duration.total_seconds() == 600
    api.publisher.update_topic(topic={"name": topic},
                               update_mask={"paths": ["message_retention_duration"]})  # fmt: skip
    assert "topic_message_retention_duration" not in shown(api, name)


def test_push_config_is_modified(api: Api) -> None:
    """The version stays where none is given; an empty one makes it pull."""
    name = api.subscription()
    modify = api.subscriber.modify_push_config
    modify(subscription=name, push_config={**PUSH, "attributes": {"x-goog-version": "v1beta1"}})
    modify(subscription=name, push_config={**PUSH, "oidc_token": {
        "service_account_email": "a@b.iam.gserviceaccount.com", "audience": "me"}})  # fmt: skip
    config = shown(api, name).push_config
    assert config.push_endpoint == PUSH["push_endpoint"]
    assert dict(config.attributes) == {"x-goog-version": "v1beta1"}
    assert config.oidc_token.audience == "me"
    with pytest.raises(exceptions.InvalidArgument):
        modify(subscription=name, push_config={"push_endpoint": "nowhere"})
    modify(subscription=name, push_config={})
    assert shown(api, name).push_config.push_endpoint == ""


def test_lists_come_in_pages(api: Api) -> None:
    """Everything once, for any size of a page."""
    topic = api.topic()
    names = sorted(api.subscription(topic) for _ in range(5))
    for size in (1, 2, 5, 100):
        request = {"project": api.project, "page_size": size}
        found = list(api.subscriber.list_subscriptions(request=request))
        assert sorted(each.name for each in found) == names
        listed = api.publisher.list_topic_subscriptions(request={"topic": topic, "page_size": size})
        assert sorted(listed) == names


def test_deleted_subscription_is_gone(api: Api) -> None:
    """With its backlog: one of the same name has none."""
    topic = api.topic()
    name = api.subscription(topic)
    api.publish(topic, {"data": b"lost"})
    api.subscriber.delete_subscription(subscription=name)
    with pytest.raises(exceptions.NotFound):
        shown(api, name)
    api.subscription(topic, name=name)
    api.publish(topic, {"data": b"new"})
    assert api.pull(name, 1) == [b"new"]


def test_detached_subscription_delivers_no_more(api: Api) -> None:
    """It shows it, is not listed with its topic, and can be deleted."""
    topic = api.topic()
    name = api.subscription(topic)
    api.publish(topic, {"data": b"lost"})
    api.publisher.detach_subscription(request={"subscription": name})
    assert shown(api, name).detached
    assert list(api.publisher.list_topic_subscriptions(topic=topic)) == []
    with pytest.raises(exceptions.FailedPrecondition):
        api.subscriber.pull(subscription=name, max_messages=1)
    api.subscriber.delete_subscription(subscription=name)


@pytest.mark.parametrize("fields", [
    {"bigquery_config": {"table": "p.d.t", "write_metadata": True}},
    {"cloud_storage_config": {"bucket": "b"}},
    {"message_transforms": [{"ai_inference": {"endpoint": "e"}}]},
    {"tags": {"1/env": "prod"}},
])  # fmt: skip
def test_what_can_not_act_is_refused(address: str, api: Api, fields: dict[str, Any]) -> None:
    """On our broker: UNIMPLEMENTED, when created and when updated."""
    if not is_ours(address):
        pytest.skip("how another server treats these is its own affair")
    name = api.name("subscriptions")
    with pytest.raises(exceptions.MethodNotImplemented):
        api.subscription(name=name, **fields)
    if "tags" not in fields:
        api.subscription(name=name)
        with pytest.raises(exceptions.MethodNotImplemented):
            update(api, name, list(fields), **fields)
        update(api, name, ["bigquery_config", "cloud_storage_config"])  # asks for nothing
