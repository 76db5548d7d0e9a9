"""What a push looks like on the wire (https://cloud.google.com/pubsub/docs/push)."""

from __future__ import annotations

import base64
import re
from typing import Any, NamedTuple

import msgspec

from connectors.broker.settings import SubscriptionSettings

__all__ = ["Request", "request_for", "succeeded"]

_SUCCESSES = frozenset({102, 200, 201, 202, 204})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN = re.compile(r"[\0\r\n]")
_OURS = frozenset({"authorization", "connection", "content-length", "content-type", "host",
                   "transfer-encoding", "user-agent"})  # fmt: skip
_AGENT = "Headrace-Broker-Push"


class Request(NamedTuple):
    """A POST to an endpoint."""

    body: bytes
    headers: dict[str, str]


def succeeded(status: int) -> bool:
    """Tell whether an HTTP status acknowledges the message."""
    return status in _SUCCESSES


def request_for(
    settings: SubscriptionSettings, message: dict[str, Any], attempt: int | None
) -> Request:
    """Return how a message is pushed.

    Args:
        settings: of a push subscription.
        message: a row of ``rows.STORED``.
        attempt: which delivery it is; None where no dead letter policy counts them.
    """
    push = settings.push
    assert push is not None  # noqa: S101 - for the type checker: it is a push subscription
    if push.wrapped:
        headers = {"Content-Type": "application/json", "User-Agent": _AGENT}
        return Request(_wrapped(settings.name, message, attempt), headers)
    headers = {"Content-Type": "application/octet-stream", "User-Agent": _AGENT}
    if push.write_metadata:
        headers |= _metadata(settings.name, message)
    return Request(message["data"] or b"", headers)


def _wrapped(subscription: str, message: dict[str, Any], attempt: int | None) -> bytes:
    time = f"{message['publish_time']:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    inner: dict[str, Any] = {
        "messageId": message["message_id"], "message_id": message["message_id"],
        "publishTime": time, "publish_time": time,
    }  # fmt: skip
    if message["data"]:
        inner["data"] = base64.b64encode(message["data"]).decode()
    if message["attributes"]:
        inner["attributes"] = dict(message["attributes"])
    if message["ordering_key"]:
        inner["orderingKey"] = inner["ordering_key"] = message["ordering_key"]
    outer: dict[str, Any] = {"message": inner, "subscription": subscription}
    if attempt is not None:
        outer["deliveryAttempt"] = attempt
    return msgspec.json.encode(outer)


def _metadata(subscription: str, message: dict[str, Any]) -> dict[str, str]:
    """Return a message's metadata and attributes as headers, without what no header can carry."""
    headers = {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": message["message_id"],
        "x-goog-pubsub-publish-time": f"{message['publish_time']:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
    }
    if message["ordering_key"]:
        headers["x-goog-pubsub-ordering-key"] = message["ordering_key"]
    for name, value in message["attributes"] or ():
        fits = _TOKEN.fullmatch(name) and not _FORBIDDEN.search(value)
        if fits and name.lower() not in _OURS:
            headers.setdefault(name, value)
    return {name: value for name, value in headers.items() if not _FORBIDDEN.search(value)}
