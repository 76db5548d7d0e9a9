"""Filters: who gets which messages, and that the others are done with."""

import pytest
from google.api_core import exceptions

from tests.conformance.conftest import Api

pytestmark = pytest.mark.integration

MESSAGES: list[dict[str, str]] = [
    {},
    {"lang": "en"},
    {"lang": "en", "site": "example.com"},
    {"lang": "de", "site": "example.org"},
    {"iana.org/tag": "x"},
]


@pytest.mark.parametrize(("text", "expected"), [
    ("attributes:lang", [1, 2, 3]),
    ('attributes.lang = "en"', [1, 2]),
    ('attributes.lang != "en"', [0, 3, 4]),
    ('hasPrefix(attributes.site, "example.")', [2, 3]),
    ("NOT attributes:lang", [0, 4]),
    ('attributes.lang = "en" AND -attributes:site', [1]),
    ('attributes.lang = "de" OR attributes:"iana.org/tag"', [3, 4]),
    ('attributes:lang AND (attributes.site = "example.org" OR NOT attributes:site)', [1, 3]),
])  # fmt: skip
def test_only_what_matches_is_delivered(api: Api, text: str, expected: list[int]) -> None:
    """Of messages published in one request and in several."""
    topic = api.topic()
    subscription = api.subscription(topic, filter=text)
    messages = [{"data": b"%d" % number, "attributes": attributes}
                for number, attributes in enumerate(MESSAGES)]  # fmt: skip
    api.publish(topic, *messages)
    for message in messages:
        api.publish(topic, message)
    assert api.pull(subscription, 2 * len(expected)) == sorted([b"%d" % n for n in expected] * 2)
    # All that came before the last one is delivered or skipped by now.
    last = {"data": b"last", "attributes": MESSAGES[expected[0]]}
    api.publish(topic, last)
    assert api.pull(subscription, 1) == [b"last"]


def test_other_subscriptions_are_not_concerned(api: Api) -> None:
    """Each has its own filter, or none."""
    topic = api.topic()
    plain, picky = api.subscription(topic), api.subscription(topic, filter="attributes:a")
    api.publish(topic, {"data": b"with", "attributes": {"a": "1"}}, {"data": b"without"})
    assert api.pull(plain, 2) == [b"with", b"without"]
    assert api.pull(picky, 1) == [b"with"]


def test_seek_does_not_bring_back_what_does_not_match(api: Api) -> None:
    """A filter holds for what is replayed too."""
    topic = api.topic()
    subscription = api.subscription(topic, filter="attributes:a", retain_acked_messages=True)
    messages = [{"data": b"with", "attributes": {"a": "1"}}, {"data": b"without"}]
    api.publish(topic, *messages)
    assert api.pull(subscription, 1) == [b"with"]
    api.subscriber.seek(request={"subscription": subscription, "time": {"seconds": 1}})
    api.publish(topic, {"data": b"last", "attributes": {"a": "1"}})
    assert api.pull(subscription, 2) == [b"last", b"with"]


@pytest.mark.parametrize("text", [
    "nonsense", "attributes.a = b", "attributes:a AND attributes:b OR attributes:c",
    "attributes:a and attributes:b", 'hasSuffix(attributes.a, "b")', "attributes:" + "a" * 256,
])  # fmt: skip
def test_bad_filters_are_refused(api: Api, text: str) -> None:
    """When the subscription is created."""
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        api.subscription(filter=text)
