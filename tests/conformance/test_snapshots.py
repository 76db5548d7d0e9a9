"""Snapshots and seeks: as resources, and what they bring back."""

import datetime as dt
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask

from tests.conformance.conftest import Api

pytestmark = pytest.mark.integration

DAY = dt.timedelta(days=1)


def now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.timezone.utc)


def update(api: Api, name: str, paths: list[str], **fields: Any) -> Any:
    """Update a snapshot."""
    mask = FieldMask(paths=paths)
    request = {"snapshot": {"name": name, **fields}, "update_mask": mask}
    return api.subscriber.update_snapshot(request=request)


def test_snapshot_is_shown_as_it_was_created(api: Api) -> None:
    """By create, get and list alike; it lives for 7 days."""
    topic = api.topic()
    name = api.name("snapshots")
    request = {"name": name, "subscription": api.subscription(topic), "labels": {"a": "1"}}
    created = api.subscriber.create_snapshot(request=request)
    assert (created.name, created.topic, dict(created.labels)) == (name, topic, {"a": "1"})
    assert abs(created.expire_time - now() - 7 * DAY) < dt.timedelta(minutes=1)
    assert api.subscriber.get_snapshot(snapshot=name) == created
    assert list(api.subscriber.list_snapshots(project=api.project)) == [created]


def test_names(api: Api) -> None:
    """Taken once, until it is deleted; random where none is given."""
    subscription = api.subscription()
    name = api.snapshot(subscription)
    with pytest.raises(exceptions.AlreadyExists):
        api.snapshot(subscription, name=name)
    api.subscriber.delete_snapshot(snapshot=name)
    api.snapshot(subscription, name=name)
    with pytest.raises(exceptions.InvalidArgument):
        api.snapshot(subscription, name=api.name("snapshots", "1bad"))
    random = api.subscriber.create_snapshot(request={"subscription": subscription})
    assert random.name.startswith(f"{api.project}/snapshots/")


def test_missing_snapshot_is_not_found(api: Api) -> None:
    """By every method that names one."""
    name, subscriber, subscription = api.name("snapshots"), api.subscriber, api.subscription()
    calls: list[Any] = [
        lambda: subscriber.get_snapshot(snapshot=name),
        lambda: subscriber.delete_snapshot(snapshot=name),
        lambda: update(api, name, ["labels"]),
        lambda: subscriber.seek(request={"subscription": subscription, "snapshot": name}),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            call()


def test_update_changes_what_the_mask_names(api: Api) -> None:
    """Labels and the time of expiration."""
    name = api.snapshot(labels={"a": "1"})
    before = api.subscriber.get_snapshot(snapshot=name)
    assert update(api, name, ["labels"], labels={"b": "2"}).expire_time == before.expire_time
    sooner = now() + DAY
    changed = update(api, name, ["expire_time"], expire_time=sooner)
    assert (changed.expire_time, dict(changed.labels)) == (sooner, {"b": "2"})
    assert api.subscriber.get_snapshot(snapshot=name) == changed


@pytest.mark.parametrize(("paths", "fields"), [
    ([], {}), (["nonsense"], {}), (["topic"], {}), (["name"], {}),
    (["labels"], {"labels": {"Upper": "a"}}), (["expire_time"], {}),
    (["expire_time"], {"expire_time": now() - DAY}),
    (["expire_time"], {"expire_time": now() + 8 * DAY}),
])  # fmt: skip
def test_bad_updates_are_refused(api: Api, paths: list[str], fields: dict[str, Any]) -> None:
    """And nothing changes."""
    name = api.snapshot()
    before = api.subscriber.get_snapshot(snapshot=name)
    with pytest.raises(exceptions.InvalidArgument):
        update(api, name, paths, **fields)
    assert api.subscriber.get_snapshot(snapshot=name) == before


def test_seek_to_a_snapshot_brings_back_what_it_holds(api: Api) -> None:
    """The backlog as it was, and all that came later; on any subscription of the topic."""
    topic = api.topic()
    first, second = api.subscription(topic), api.subscription(topic)
    api.publish(topic, {"data": b"acked before"})
    assert api.pull(first, 1) == [b"acked before"]
    api.publish(topic, {"data": b"held"})
    name = api.snapshot(first)
    api.publish(topic, {"data": b"later"})
    assert api.pull(first, 2) == [b"held", b"later"]
    assert api.pull(second, 3) == [b"acked before", b"held", b"later"]
    for subscription in (first, second):
        api.subscriber.seek(request={"subscription": subscription, "snapshot": name})
        assert api.pull(subscription, 2) == [b"held", b"later"]


def test_seek_to_a_time(api: Api) -> None:
    """The past brings back what is retained, now acks all."""
    topic = api.topic()
    subscription = api.subscription(topic, retain_acked_messages=True)
    api.publish(topic, {"data": b"a"}, {"data": b"b"})
    assert api.pull(subscription, 2) == [b"a", b"b"]
    api.subscriber.seek(request={"subscription": subscription, "time": now() - DAY})
    assert api.pull(subscription, 2) == [b"a", b"b"]
    api.publish(topic, {"data": b"c"})
    api.subscriber.seek(request={"subscription": subscription, "time": now()})
    api.publish(topic, {"data": b"d"})
    assert api.pull(subscription, 1) == [b"d"]


def test_seek_needs_a_target_that_fits(api: Api) -> None:
    """A time, or a snapshot of the same topic."""
    subscription, other = api.subscription(), api.snapshot()
    with pytest.raises(exceptions.InvalidArgument):
        api.subscriber.seek(request={"subscription": subscription})
    with pytest.raises((exceptions.InvalidArgument, exceptions.FailedPrecondition)):
        api.subscriber.seek(request={"subscription": subscription, "snapshot": other})
