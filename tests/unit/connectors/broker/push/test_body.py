"""What a push looks like."""

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from connectors.broker.push.body import request_for, succeeded
from connectors.broker.settings import PushSettings, SubscriptionSettings

S, T = "projects/p/subscriptions/sub", "projects/p/topics/top"
MESSAGE: dict[str, Any] = {
    "data": b"\0hi", "attributes": [("kind", "a"), ("x y", "b"), ("l", "a\nb"), ("Host", "evil")],
    "message_id": "17", "ordering_key": "k",
    "publish_time": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone.utc),
}  # fmt: skip


def settings(**push: Any) -> SubscriptionSettings:
    """Return a push subscription."""
    return SubscriptionSettings(S, T, push=PushSettings("http://127.0.0.1/x", **push))


def test_wrapped_body_has_all_of_the_message() -> None:
    """Names in both styles, data in base64, times in milliseconds."""
    request = request_for(settings(), MESSAGE, 3)
    body = json.loads(request.body)
    time = "2026-01-02T03:04:05.678Z"
    assert body == {
        "subscription": S,
        "deliveryAttempt": 3,
        "message": {
            "data": base64.b64encode(b"\0hi").decode(), "attributes": dict(MESSAGE["attributes"]),
            "messageId": "17", "message_id": "17", "publishTime": time, "publish_time": time,
            "orderingKey": "k", "ordering_key": "k",
        },
    }  # fmt: skip
    assert request.headers["Content-Type"] == "application/json"


def test_wrapped_body_leaves_out_what_is_not_there() -> None:
    """No attempt without a dead letter policy, no empty fields."""
    bare = MESSAGE | {"data": b"", "attributes": [], "ordering_key": ""}
    body = json.loads(request_for(settings(), bare, None).body)
    assert body.keys() == {"subscription", "message"}
    assert body["message"].keys() == {"messageId", "message_id", "publishTime", "publish_time"}


def test_unwrapped_body_is_the_data_alone() -> None:
    """Metadata only when asked for."""
    request = request_for(settings(wrapped=False), MESSAGE, 3)
    assert request.body == b"\0hi"
    assert not any(name.startswith("x-goog") or name == "kind" for name in request.headers)


def test_metadata_goes_into_headers_that_can_carry_it() -> None:
    """No header is split or replaced by an attribute."""
    request = request_for(settings(wrapped=False, write_metadata=True), MESSAGE, None)
    assert request.headers.keys() - {"Content-Type", "User-Agent"} == {
        "x-goog-pubsub-subscription-name", "x-goog-pubsub-message-id",
        "x-goog-pubsub-publish-time", "x-goog-pubsub-ordering-key", "kind",
    }  # fmt: skip
    assert request.headers["x-goog-pubsub-ordering-key"] == "k"


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_these_acknowledge(status: int) -> None:
    """As the service has it."""
    assert succeeded(status)


@pytest.mark.parametrize("status", [100, 203, 206, 301, 302, 400, 404, 429, 500, 503])
def test_all_others_do_not(status: int) -> None:
    """Redirects too: they are not followed."""
    assert not succeeded(status)
