"""Update masks: what they replace, clear and refuse."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from connectors.broker import schema
from connectors.broker.catalog.masks import updated
from connectors.broker.errors import InvalidArgument

MUTABLE = {"labels", "push_config", "expiration_policy", "retry_policy", "ack_deadline_seconds"}


def subscription(**fields: Any) -> Any:
    """Return a resource."""
    return schema.message("Subscription")(**fields)


def test_only_named_fields_are_replaced() -> None:
    """Others of the request are ignored, and the old value is left alone."""
    current = subscription(labels={"a": "1"}, ack_deadline_seconds=10, topic="t")
    wanted = subscription(labels={"b": "2"}, ack_deadline_seconds=20, topic="other")
    result = updated(current, wanted, FieldMask(paths=["labels"]), MUTABLE)
    assert result == subscription(labels={"b": "2"}, ack_deadline_seconds=10, topic="t")
    assert current.labels == {"a": "1"}


def test_named_fields_that_are_not_set_are_cleared() -> None:
    """Maps, numbers and messages alike."""
    current = subscription(labels={"a": "1"}, ack_deadline_seconds=10, retry_policy={})
    mask = FieldMask(paths=["labels", "ack_deadline_seconds", "retry_policy"])
    assert updated(current, subscription(), mask, MUTABLE) == subscription()


def test_empty_message_is_something() -> None:
    """An expiration_policy without ttl says never; none at all says the default."""
    current = subscription(expiration_policy={"ttl": {"seconds": 1}})
    mask = FieldMask(paths=["expiration_policy"])
    result = updated(current, subscription(expiration_policy={}), mask, MUTABLE)
    assert result.HasField("expiration_policy")
    assert not result.expiration_policy.HasField("ttl")
    assert not updated(current, subscription(), mask, MUTABLE).HasField("expiration_policy")


def test_path_leads_into_a_message() -> None:
    """What stands beside it stays."""
    current = subscription(push_config={"push_endpoint": "a", "attributes": {"k": "v"}})
    wanted = subscription(push_config={"push_endpoint": "b"})
    result = updated(current, wanted, FieldMask(paths=["push_config.push_endpoint"]), MUTABLE)
    assert result.push_config.push_endpoint == "b"
    assert result.push_config.attributes == {"k": "v"}
    mask = FieldMask(paths=["retry_policy.minimum_backoff.seconds"])
    wanted = subscription(retry_policy={"minimum_backoff": {"seconds": 3}})
    assert updated(current, wanted, mask, MUTABLE).retry_policy.minimum_backoff.seconds == 3


def test_path_into_a_message_that_is_not_set_clears() -> None:
    """And does not bring the message into being where there is nothing to clear."""
    mask = FieldMask(paths=["push_config.push_endpoint"])
    current = subscription(push_config={"push_endpoint": "a", "attributes": {"k": "v"}})
    result = updated(current, subscription(), mask, MUTABLE)
    assert result == subscription(push_config={"attributes": {"k": "v"}})
    assert not updated(subscription(), subscription(), mask, MUTABLE).HasField("push_config")


@pytest.mark.parametrize(("paths", "sentence"), [
    ([], r"update_mask \(empty\): must name at least one field"),
    (["nonsense"], r"\('nonsense'\): is no field of a Subscription"),
    (["pushConfig"], "written like push_config, not pushConfig"),
    (["push_config.nonsense"], "is no field of a Subscription"),
    (["labels.a"], "is no field of a Subscription"),
    (["ack_deadline_seconds.x"], "is no field of a Subscription"),
    (["*"], "is no field of a Subscription"),
    ([""], "is no field of a Subscription"),
    (["filter"], r"\('filter'\): the filter field of a Subscription can't be changed"),
    (["labels", "topic"], "the topic field of a Subscription can't be changed"),
])  # fmt: skip
def test_bad_masks_are_refused(paths: list[str], sentence: str) -> None:
    """Also where the value is what it was before, and where another path is good."""
    with pytest.raises(InvalidArgument, match=sentence):
        updated(subscription(), subscription(), FieldMask(paths=paths), MUTABLE)
