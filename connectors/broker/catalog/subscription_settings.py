"""A subscription of the API to its settings and back."""

from __future__ import annotations

from typing import Any

from connectors.broker import filters, limits, rules, schema
from connectors.broker.catalog import durations, labels, push, transforms
from connectors.broker.catalog.unsupported import refuse
from connectors.broker.errors import InvalidArgument
from connectors.broker.names import check_resource
from connectors.broker.settings import (
    DeadLetterPolicy,
    PushSettings,
    RetryPolicy,
    SubscriptionSettings,
)
from connectors.broker.state import Subscription

__all__ = ["MUTABLE", "read", "show"]

MUTABLE = frozenset({
    "push_config", "bigquery_config", "cloud_storage_config", "bigtable_config",
    "ack_deadline_seconds", "retain_acked_messages", "message_retention_duration", "labels",
    "expiration_policy", "dead_letter_policy", "retry_policy", "enable_exactly_once_delivery",
    "message_transforms",
})  # fmt: skip
"""What an update may change."""

_EXPORTS = {
    "bigquery_config": "run pipelines.pubsub_to_bigquery on a pull subscription",
    "cloud_storage_config": "run pipelines.pubsub_to_storage on a pull subscription",
    "bigtable_config": "no pipeline writes to Bigtable; pull the messages",
}
_REFUSED = {
    field: f"this broker does not export; {instead}" for field, instead in _EXPORTS.items()
} | {"tags": "there is no Resource Manager to bind them"}


def read(wanted: Any, before: PushSettings | None = None) -> SubscriptionSettings:
    """Return the settings for a ``Subscription``; what only the server sets is ignored.

    Whether its topics exist is not checked.

    Args:
        wanted: from a request.
        before: the push settings until now.

    Raises:
        InvalidArgument: a rule is broken.
        Unsupported: this broker can't do what a field asks for.
    """
    check_resource("name", wanted.name, "subscriptions")
    check_resource("topic", wanted.topic, "topics")
    _check_delivery(wanted)
    refuse(wanted, _REFUSED)
    if wanted.filter:
        filters.compile(wanted.filter)
    retention_s = _retention_s(wanted)
    return SubscriptionSettings(
        wanted.name,
        wanted.topic,
        _ack_deadline_s(wanted.ack_deadline_seconds),
        retention_s,
        labels.checked(wanted.labels),
        retain_acked=wanted.retain_acked_messages,
        ordered=wanted.enable_message_ordering,
        exactly_once=wanted.enable_exactly_once_delivery,
        filter=wanted.filter,
        dead_letter=_dead_letter(wanted),
        retry=_retry(wanted),
        expiration_s=_expiration_s(wanted, retention_s),
        push=push.read(wanted.push_config, before),
        transforms=transforms.read(wanted.message_transforms),
    )


def show(subscription: Subscription) -> Any:
    """Return the ``Subscription`` that clients see."""
    settings, topic = subscription.settings, subscription.topic
    shown = schema.message("Subscription")(
        name=settings.name,
        topic=topic.shown_name,
        ack_deadline_seconds=settings.ack_deadline_s,
        retain_acked_messages=settings.retain_acked,
        labels=settings.labels,
        enable_message_ordering=settings.ordered,
        filter=settings.filter,
        detached=subscription.detached,
        enable_exactly_once_delivery=settings.exactly_once,
        state=schema.ACTIVE,
    )
    durations.show(shown.message_retention_duration, settings.retention_s)
    if topic.settings.retention_s is not None and not topic.deleted:
        durations.show(shown.topic_message_retention_duration, topic.settings.retention_s)
    push.show(shown.push_config, settings.push)
    transforms.show(shown.message_transforms, settings.transforms)
    _show_policies(shown, settings)
    return shown


def _show_policies(shown: Any, settings: SubscriptionSettings) -> None:
    shown.expiration_policy.SetInParent()
    if settings.expiration_s is not None:
        durations.show(shown.expiration_policy.ttl, settings.expiration_s)
    if settings.dead_letter:
        shown.dead_letter_policy.dead_letter_topic = settings.dead_letter.topic
        shown.dead_letter_policy.max_delivery_attempts = settings.dead_letter.max_delivery_attempts
    if settings.retry:
        durations.show(shown.retry_policy.minimum_backoff, settings.retry.minimum_backoff_s)
        durations.show(shown.retry_policy.maximum_backoff, settings.retry.maximum_backoff_s)


def _check_delivery(wanted: Any) -> None:
    """Refuse combinations of pull, push and export that the service refuses."""
    ways = ["push_config"] if wanted.push_config.push_endpoint else []
    ways += [name for name in _EXPORTS if getattr(wanted, name).ByteSize()]
    if len(ways) > 1:
        raise InvalidArgument(ways[1], "set", f"can't be combined with {ways[0]}")
    if ways and wanted.enable_exactly_once_delivery:
        raise InvalidArgument(
            "enable_exactly_once_delivery", "true", f"can't be combined with {ways[0]}"
        )


def _ack_deadline_s(seconds: int) -> int:
    seconds = seconds or limits.ACK_DEADLINE_S_DEFAULT
    rules.check_lease_s("ack_deadline_seconds", seconds)
    return seconds


def _retention_s(wanted: Any) -> float:
    if not wanted.HasField("message_retention_duration"):
        return limits.RETENTION_S_DEFAULT
    return durations.checked_s(
        "message_retention_duration", wanted.message_retention_duration,
        limits.RETENTION_S_MIN, limits.RETENTION_S_MAX,
    )  # fmt: skip


def _expiration_s(wanted: Any, retention_s: float) -> float | None:
    """Return when it expires unused; never, if a policy is given that does not say."""
    if not wanted.HasField("expiration_policy"):
        return limits.EXPIRATION_S_DEFAULT
    if not wanted.expiration_policy.HasField("ttl"):
        return None
    ttl_s = durations.checked_s(
        "expiration_policy.ttl", wanted.expiration_policy.ttl, limits.EXPIRATION_S_MIN
    )
    if ttl_s < retention_s:
        raise InvalidArgument(
            "expiration_policy.ttl", f"{ttl_s:.10g} s",
            f"must not be below message_retention_duration, which is {retention_s:.10g} s",
        )  # fmt: skip
    return ttl_s


def _dead_letter(wanted: Any) -> DeadLetterPolicy | None:
    if not wanted.HasField("dead_letter_policy"):
        return None
    policy = wanted.dead_letter_policy
    check_resource("dead_letter_policy.dead_letter_topic", policy.dead_letter_topic, "topics")
    attempts = policy.max_delivery_attempts or limits.DELIVERY_ATTEMPTS_DEFAULT
    rules.check_range(
        "dead_letter_policy.max_delivery_attempts", attempts,
        limits.DELIVERY_ATTEMPTS_MIN, limits.DELIVERY_ATTEMPTS_MAX,
    )  # fmt: skip
    return DeadLetterPolicy(policy.dead_letter_topic, attempts)


def _retry(wanted: Any) -> RetryPolicy | None:
    if not wanted.HasField("retry_policy"):
        return None
    policy = wanted.retry_policy
    low_s = _backoff_s(policy, "minimum_backoff", limits.BACKOFF_S_MIN_DEFAULT)
    high_s = _backoff_s(policy, "maximum_backoff", limits.BACKOFF_S_MAX_DEFAULT)
    if low_s > high_s:
        raise InvalidArgument(
            "retry_policy.minimum_backoff", f"{low_s:.10g} s",
            f"must not be above maximum_backoff, which is {high_s:.10g} s",
        )  # fmt: skip
    return RetryPolicy(low_s, high_s)


def _backoff_s(policy: Any, name: str, default: float) -> float:
    if not policy.HasField(name):
        return default
    field = f"retry_policy.{name}"
    return durations.checked_s(field, getattr(policy, name), 0, limits.BACKOFF_S_MAX)
