"""Settings on their way to clients and back: what an update does not name stays as it is."""

from typing import Any

import msgspec
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from connectors.broker.catalog import masks, subscription_settings
from connectors.broker.errors import InvalidArgument
from connectors.broker.events import SubscriptionCreated, TopicCreated
from connectors.broker.settings import (
    DeadLetterPolicy,
    OidcToken,
    PushSettings,
    RetryPolicy,
    SubscriptionSettings,
    TopicSettings,
)
from connectors.broker.state import State

NAME, TOPIC = "projects/p/subscriptions/abc", "projects/p/topics/abc"
DAY_S = 86_400

FIELDS = {
    "ack_deadline_seconds": "ack_deadline_s",
    "message_retention_duration": "retention_s",
    "labels": "labels",
    "retain_acked_messages": "retain_acked",
    "enable_exactly_once_delivery": "exactly_once",
    "dead_letter_policy": "dead_letter",
    "retry_policy": "retry",
    "expiration_policy": "expiration_s",
    "push_config": "push",
}
"""Fields of the API that an update may change, and the settings that they stand for."""


def seconds(low: int, high: int) -> st.SearchStrategy[float]:
    """Return a strategy for durations to the millisecond."""
    return st.integers(low * 1_000, high * 1_000).map(lambda milliseconds: milliseconds / 1_000)


def fits(settings: SubscriptionSettings) -> bool:
    """Tell whether settings, each of them good, may stand beside each other."""
    expires_early = settings.expiration_s is not None and (
        settings.expiration_s < settings.retention_s
    )
    return not expires_early and not (settings.push and settings.exactly_once)


BACKOFFS = st.tuples(seconds(0, 600), seconds(0, 600)).map(sorted)
PUSHES = st.builds(
    PushSettings,
    endpoint=st.sampled_from(["https://e.com/push", "http://127.0.0.1:8080/"]),
    attributes=st.sampled_from(["v1", "v1beta1"]).map(lambda v: {"x-goog-version": v}),
    oidc_token=st.none() | st.builds(OidcToken, st.just("a@b.c"), st.sampled_from(["", "me"])),
    wrapped=st.booleans(),
).flatmap(lambda push: st.just(push) if push.wrapped else st.booleans().map(
    lambda metadata: msgspec.structs.replace(push, write_metadata=metadata)))  # fmt: skip
SETTINGS = st.builds(
    SubscriptionSettings,
    name=st.just(NAME),
    topic=st.just(TOPIC),
    ack_deadline_s=st.integers(10, 600),
    retention_s=seconds(600, 31 * DAY_S),
    labels=st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "9-_"])),
    retain_acked=st.booleans(),
    ordered=st.booleans(),
    exactly_once=st.booleans(),
    filter=st.sampled_from(["", "attributes:a"]),
    dead_letter=st.none()
    | st.builds(DeadLetterPolicy, st.just("projects/p/topics/dead"), st.integers(5, 100)),
    retry=st.none() | BACKOFFS.map(lambda pair: RetryPolicy(*pair)),
    expiration_s=st.none() | seconds(DAY_S, 100 * DAY_S),
    push=st.none() | PUSHES,
).filter(fits)


def shown(settings: SubscriptionSettings) -> Any:
    """Return what a client sees of a subscription."""
    state = State()
    state.apply(TopicCreated(1, TopicSettings(TOPIC)))
    state.apply(SubscriptionCreated(2, 1, settings))
    return subscription_settings.show(state.subscription(NAME))


@given(settings=SETTINGS)
def test_settings_survive_being_shown(settings: SubscriptionSettings) -> None:
    """An update starts from what is shown: nothing may be lost on that way."""
    assert subscription_settings.read(shown(settings)) == settings


@given(before=SETTINGS, wanted=SETTINGS, paths=st.sets(st.sampled_from(sorted(FIELDS)), min_size=1))
def test_update_replaces_what_it_names(
    before: SubscriptionSettings, wanted: SubscriptionSettings, paths: set[str]
) -> None:
    """And nothing else; it is refused where old and new don't fit each other."""
    chosen = {FIELDS[path]: getattr(wanted, FIELDS[path]) for path in paths}
    expected = msgspec.structs.replace(before, **chosen)
    merged = masks.updated(
        shown(before), shown(wanted), FieldMask(paths=paths), subscription_settings.MUTABLE
    )
    if fits(expected):
        assert subscription_settings.read(merged, before.push) == expected
    else:
        with pytest.raises(InvalidArgument, match=r"expiration_policy.ttl|exactly_once_delivery"):
            subscription_settings.read(merged, before.push)
