"""Subscriptions of the API to settings and back."""

from typing import Any

import pytest

from connectors.broker import limits, schema
from connectors.broker.catalog import subscription_settings
from connectors.broker.errors import InvalidArgument, Unsupported
from connectors.broker.events import (
    SubscriptionCreated,
    TopicCreated,
    TopicDeleted,
)
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.state import State

NAME, TOPIC = "projects/p/subscriptions/orders", "projects/p/topics/orders"
DAY_S = 86_400
DEFAULTS = {
    "ack_deadline_seconds": 10, "message_retention_duration": {"seconds": 7 * DAY_S}, "state": 1,
    "expiration_policy": {"ttl": {"seconds": 31 * DAY_S}}, "push_config": {},
}  # fmt: skip


def subscription(**fields: Any) -> Any:
    """Return a subscription."""
    return schema.message("Subscription")(**{"name": NAME, "topic": TOPIC, **fields})


def shown(settings: SubscriptionSettings, *, deleted: bool = False, **topic: Any) -> Any:
    """Return what a client sees of a new subscription."""
    state = State()
    state.apply(TopicCreated(1, TopicSettings(TOPIC, **topic)))
    state.apply(SubscriptionCreated(2, 1, settings))
    if deleted:
        state.apply(TopicDeleted(1))
    return subscription_settings.show(state.subscription(NAME))


def test_defaults_are_shown() -> None:
    """10 s, 7 days, 31 days, an empty push_config, ACTIVE."""
    settings = subscription_settings.read(subscription())
    assert settings == SubscriptionSettings(NAME, TOPIC)
    assert shown(settings) == subscription(**DEFAULTS)


@pytest.mark.parametrize("fields", [
    {"ack_deadline_seconds": 600},
    {"retain_acked_messages": True},
    {"message_retention_duration": {"seconds": 600}},
    {"message_retention_duration": {"seconds": 31 * DAY_S}},
    {"labels": {"a": "b"}},
    {"enable_message_ordering": True},
    {"expiration_policy": {}},
    {"expiration_policy": {"ttl": {"seconds": 7 * DAY_S}}},
    {"expiration_policy": {"ttl": {"seconds": 1_000 * DAY_S}}},
    {"expiration_policy": {"ttl": {"seconds": DAY_S}},
     "message_retention_duration": {"seconds": DAY_S}},
    {"filter": 'attributes.a = "1"'},
    {"dead_letter_policy": {"dead_letter_topic": "projects/q/topics/dead",
                            "max_delivery_attempts": 100}},
    {"retry_policy": {"minimum_backoff": {"nanos": 500_000_000},
                      "maximum_backoff": {"seconds": 600}}},
    {"enable_exactly_once_delivery": True},
    {"push_config": {"push_endpoint": "https://e.com", "attributes": {"x-goog-version": "v1"}}},
])  # fmt: skip
def test_subscription_is_shown_as_it_was_given(fields: dict[str, Any]) -> None:
    """Each field survives the way to settings and back."""
    settings = subscription_settings.read(subscription(**fields))
    assert shown(settings) == subscription(**{**DEFAULTS, **fields})


def test_defaults_of_policies_are_shown() -> None:
    """What the client left open is filled in."""
    settings = subscription_settings.read(subscription(
        ack_deadline_seconds=0, retry_policy={},
        dead_letter_policy={"dead_letter_topic": "projects/p/topics/dead"},
    ))  # fmt: skip
    found = shown(settings)
    assert found.ack_deadline_seconds == limits.ACK_DEADLINE_S_DEFAULT
    assert found.dead_letter_policy.max_delivery_attempts == limits.DELIVERY_ATTEMPTS_DEFAULT
    assert found.retry_policy.minimum_backoff.seconds == limits.BACKOFF_S_MIN_DEFAULT
    assert found.retry_policy.maximum_backoff.seconds == limits.BACKOFF_S_MAX_DEFAULT


def test_retention_of_the_topic_is_shown() -> None:
    """As long as there is the topic."""
    settings = subscription_settings.read(subscription())
    assert shown(settings, retention_s=600.0).topic_message_retention_duration.seconds == 600
    gone = shown(settings, retention_s=600.0, deleted=True)
    assert not gone.HasField("topic_message_retention_duration")
    assert gone.topic == "_deleted-topic_"


def test_what_only_the_server_sets_is_ignored() -> None:
    """As the API says of these fields; an empty export asks for nothing."""
    wanted = subscription(state=2, topic_message_retention_duration={"seconds": 600},
                          analytics_hub_subscription_info={"listing": "l"}, bigquery_config={},
                          push_config={})  # fmt: skip
    assert subscription_settings.read(wanted) == SubscriptionSettings(NAME, TOPIC)


PUSH = {"push_endpoint": "https://e.com"}


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"name": "orders"}, r"name \('orders'\)"),
    ({"topic": "_deleted-topic_"}, r"topic \('_deleted-topic_'\)"),
    ({"ack_deadline_seconds": 9}, r"ack_deadline_seconds \(9\): must be 10 to 600"),
    ({"ack_deadline_seconds": 601}, "must be 10 to 600"),
    ({"ack_deadline_seconds": -1}, "must be 10 to 600"),
    ({"message_retention_duration": {"seconds": 599}},
     r"message_retention_duration \(599 s\): must be 600 to 2678400 s"),
    ({"message_retention_duration": {"seconds": 31 * DAY_S, "nanos": 1_000_000}}, "must be 600"),
    ({"labels": {"A": "b"}}, "labels"),
    ({"expiration_policy": {"ttl": {"seconds": DAY_S - 1}}},
     r"expiration_policy.ttl \(86399 s\): must be at least 86400 s"),
    ({"expiration_policy": {"ttl": {}}}, "must be at least 86400 s"),
    ({"expiration_policy": {"ttl": {"seconds": DAY_S}}},
     "must not be below message_retention_duration, which is 604800 s"),
    ({"filter": "attributes."}, "a key was expected"),
    ({"dead_letter_policy": {}}, r"dead_letter_policy.dead_letter_topic \(''\)"),
    ({"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 4}},
     r"max_delivery_attempts \(4\): must be 5 to 100"),
    ({"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 101}},
     "must be 5 to 100"),
    ({"retry_policy": {"maximum_backoff": {"seconds": 601}}},
     r"retry_policy.maximum_backoff \(601 s\): must be 0 to 600 s"),
    ({"retry_policy": {"minimum_backoff": {"seconds": -1}}}, "must be 0 to 600 s"),
    ({"retry_policy": {"maximum_backoff": {"seconds": 9}}},
     r"minimum_backoff \(10 s\): must not be above maximum_backoff, which is 9 s"),
    ({"push_config": {"push_endpoint": "e.com"}}, "push_endpoint"),
    ({"push_config": PUSH, "bigquery_config": {"table": "p.d.t"}},
     r"bigquery_config \(set\): can't be combined with push_config"),
    ({"cloud_storage_config": {"bucket": "b"}, "bigquery_config": {"table": "p.d.t"}},
     "can't be combined with bigquery_config"),
    ({"push_config": PUSH, "enable_exactly_once_delivery": True},
     r"enable_exactly_once_delivery \(true\): can't be combined with push_config"),
    ({"bigquery_config": {"table": "p.d.t"}, "enable_exactly_once_delivery": True},
     "can't be combined with bigquery_config"),
])  # fmt: skip
def test_bad_subscriptions_are_refused(fields: dict[str, Any], sentence: str) -> None:
    """The sentence names field, value and rule."""
    with pytest.raises(InvalidArgument, match=sentence):
        subscription_settings.read(subscription(**fields))


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"bigquery_config": {"table": "p.d.t"}}, "run pipelines.pubsub_to_bigquery"),
    ({"cloud_storage_config": {"bucket": "b"}}, "run pipelines.pubsub_to_storage"),
    ({"bigtable_config": {"table": "t"}}, "no pipeline writes to Bigtable"),
    ({"tags": {"1/env": "prod"}}, "no Resource Manager"),
])  # fmt: skip
def test_what_can_not_act_is_refused(fields: dict[str, Any], sentence: str) -> None:
    """By name, with a reason and with what does the work instead."""
    (field,) = fields
    with pytest.raises(Unsupported, match=f"^{field} is not supported: .*{sentence}"):
        subscription_settings.read(subscription(**fields))
