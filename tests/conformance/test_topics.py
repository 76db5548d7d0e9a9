"""Topics as resources: what is shown, changed, listed and refused."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask

from tests.conformance.conftest import Api, is_ours

pytestmark = pytest.mark.integration

DAY_S = 86_400


def update(api: Api, name: str, paths: list[str], **fields: Any) -> Any:
    """Update a topic."""
    mask = FieldMask(paths=paths)
    return api.publisher.update_topic(topic={"name": name, **fields}, update_mask=mask)


def test_topic_is_shown_as_it_was_created(api: Api) -> None:
    """By create, get and list alike."""
    name = api.name("topics")
    created = api.publisher.create_topic(
        request={"name": name, "labels": {"team": "a"},
                 "message_retention_duration": {"seconds": DAY_S}}
    )  # fmt: skip
    assert (created.name, dict(created.labels)) == (name, {"team": "a"})
    assert created.message_retention_duration.total_seconds() == DAY_S
    assert api.publisher.get_topic(topic=name) == created
    assert list(api.publisher.list_topics(project=api.project)) == [created]


def test_name_is_taken_once(api: Api) -> None:
    """Until it is deleted."""
    name = api.topic()
    with pytest.raises(exceptions.AlreadyExists):
        api.publisher.create_topic(name=name)
    api.publisher.delete_topic(topic=name)
    api.publisher.create_topic(name=name)


@pytest.mark.parametrize("ident", ["ab", "1abc", "goog-topic", "a" * 256, "a b c", "abc!"])
def test_bad_names_are_refused(api: Api, ident: str) -> None:
    """A letter first, 3 to 255 characters, not goog."""
    with pytest.raises(exceptions.InvalidArgument):
        api.publisher.create_topic(name=api.name("topics", ident))


@pytest.mark.parametrize("ident", ["abc", "A-_.~+%9", "a" * 255])
def test_good_names_pass(api: Api, ident: str) -> None:
    """Every character that is allowed."""
    assert api.topic(name=api.name("topics", ident)) == api.name("topics", ident)


@pytest.mark.parametrize("fields", [
    {"labels": {"Upper": "a"}},
    {"message_retention_duration": {"seconds": 599}},
    {"message_retention_duration": {"seconds": 31 * DAY_S + 1}},
])  # fmt: skip
def test_bad_topics_are_refused(api: Api, fields: dict[str, Any]) -> None:
    """And not created."""
    name = api.name("topics")
    with pytest.raises(exceptions.InvalidArgument):
        api.publisher.create_topic(request={"name": name, **fields})
    with pytest.raises(exceptions.NotFound):
        api.publisher.get_topic(topic=name)


def test_missing_topic_is_not_found(api: Api) -> None:
    """By every method that names one."""
    name, publisher = api.name("topics"), api.publisher
    for call in (publisher.get_topic, publisher.delete_topic, publisher.list_topic_subscriptions,
                 publisher.list_topic_snapshots):  # fmt: skip
        with pytest.raises(exceptions.NotFound):
            list(call(topic=name))
    with pytest.raises(exceptions.NotFound):
        update(api, name, ["labels"])
    with pytest.raises(exceptions.NotFound):
        api.publish(name, {"data": b"x"})


def test_update_changes_what_the_mask_names(api: Api) -> None:
    """Nothing else; a field that is not set is cleared."""
    name = api.topic(labels={"a": "1"})
    changed = update(api, name, ["message_retention_duration"], labels={"b": "2"},
                     message_retention_duration={"seconds": 600})  # fmt: skip
    assert dict(changed.labels) == {"a": "1"}
    assert changed.message_retention_duration.total_seconds() == 600
    assert api.publisher.get_topic(topic=name) == changed
    cleared = update(api, name, ["labels", "message_retention_duration"])
    assert (dict(cleared.labels), "message_retention_duration" in cleared) == ({}, False)


@pytest.mark.parametrize("paths", [[], ["nonsense"], ["name"], ["messageRetentionDuration"]])
def test_bad_masks_are_refused(api: Api, paths: list[str]) -> None:
    """Empty, unknown, or of a field that can't change."""
    name = api.topic()
    with pytest.raises(exceptions.InvalidArgument):
        update(api, name, paths, labels={"a": "1"})
    assert dict(api.publisher.get_topic(topic=name).labels) == {}


def test_refused_update_changes_nothing(api: Api) -> None:
    """Not even the part of it that is good."""
    name = api.topic()
    with pytest.raises(exceptions.InvalidArgument):
        update(api, name, ["labels", "message_retention_duration"], labels={"a": "1"},
               message_retention_duration={"seconds": 1})  # fmt: skip
    assert dict(api.publisher.get_topic(topic=name).labels) == {}


def test_lists_come_in_pages(api: Api) -> None:
    """Everything once, for any size of a page; only of the project."""
    names = sorted(api.topic() for _ in range(5))
    for size in (1, 2, 5, 100):
        request = {"project": api.project, "page_size": size}
        pages = list(api.publisher.list_topics(request=request).pages)
        assert all(len(page.topics) <= size for page in pages)
        assert sorted(topic.name for page in pages for topic in page.topics) == names
    with pytest.raises(exceptions.InvalidArgument):
        list(api.publisher.list_topics(request={"project": api.project, "page_token": "none"}))


def test_names_of_subscriptions_and_snapshots_are_listed(api: Api) -> None:
    """Those of this topic only."""
    topic = api.topic()
    subscriptions = sorted(api.subscription(topic) for _ in range(3))
    snapshot = api.snapshot(subscriptions[0])
    api.snapshot()
    assert sorted(api.publisher.list_topic_subscriptions(topic=topic)) == subscriptions
    assert list(api.publisher.list_topic_snapshots(topic=topic)) == [snapshot]


def test_deleted_topic_leaves_its_subscriptions(api: Api) -> None:
    """They show it, keep what they have, and are not those of a later topic of the name."""
    topic = api.topic()
    subscription = api.subscription(topic)
    api.publish(topic, {"data": b"kept"})
    api.publisher.delete_topic(topic=topic)
    api.topic(name=topic)
    api.publish(topic, {"data": b"later"})
    shown = api.subscriber.get_subscription(subscription=subscription)
    assert shown.topic == "_deleted-topic_"
    assert api.pull(subscription, 1) == [b"kept"]
    assert list(api.publisher.list_topic_subscriptions(topic=topic)) == []


@pytest.mark.parametrize("message", [
    {}, {"data": b"x", "attributes": {"": "v"}}, {"data": b"x", "attributes": {"googx": "v"}},
    {"data": b"x", "attributes": {"k" * 257: "v"}},
    {"data": b"x", "attributes": {"k": "v" * 1_025}},
    {"data": b"x", "attributes": {f"k{number}": "v" for number in range(101)}},
    {"data": b"x", "ordering_key": "k" * 1_025}, {"data": b"x" * 10_000_001},
])  # fmt: skip
def test_bad_messages_are_refused(api: Api, message: dict[str, Any]) -> None:
    """Each limit, one beyond; good messages beside it are not published either."""
    topic = api.topic()
    subscription = api.subscription(topic)
    with pytest.raises(exceptions.InvalidArgument):
        api.publish(topic, {"data": b"good"}, message)
    api.publish(topic, {"data": b"after"})
    assert api.pull(subscription, 1) == [b"after"]


@pytest.mark.parametrize("count", [0, 1_001])
def test_number_of_messages_is_limited(api: Api, count: int) -> None:
    """1 to 1,000 a request."""
    topic = api.topic()
    with pytest.raises(exceptions.InvalidArgument):
        api.publish(topic, *({"data": b"x"},) * count)


@pytest.mark.parametrize("fields", [
    {"kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
    {"ingestion_data_source_settings": {"cloud_storage": {"bucket": "b"}}},
    {"message_storage_policy": {"allowed_persistence_regions": ["europe-west1"]}},
    {"message_transforms": [{"compression": {"compression_mode": "COMPRESS"}}]},
    {"tags": {"1/env": "prod"}},
])  # fmt: skip
def test_what_can_not_act_is_refused(address: str, api: Api, fields: dict[str, Any]) -> None:
    """On our broker: UNIMPLEMENTED, with the field's name, and no topic."""
    if not is_ours(address):
        pytest.skip("how another server treats these is its own affair")
    name = api.name("topics")
    with pytest.raises(exceptions.MethodNotImplemented):
        api.publisher.create_topic(request={"name": name, **fields})
    with pytest.raises(exceptions.NotFound):
        api.publisher.get_topic(topic=name)
