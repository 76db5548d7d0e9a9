"""Single message transforms of topics and subscriptions."""

from typing import Any

import pytest
from google.api_core import exceptions

from tests.conformance.conftest import Api

pytest.importorskip("py_mini_racer")
pytestmark = pytest.mark.integration

UPPER = "function upper(m, md) { return {data: m.data.toUpperCase(), attributes: m.attributes}; }"
PICKY = """function picky(message, metadata) {
  if (message.data === "fail") throw new Error("no");
  return message.data === "drop" ? null : message;
}"""


def udf(code: str, **fields: Any) -> dict[str, Any]:
    """Return a transform; its function is the first one of the code."""
    name = code.split("(", maxsplit=1)[0].rsplit(maxsplit=1)[-1]
    return {"javascript_udf": {"function_name": name, "code": code}, **fields}


def test_topic_transforms_before_it_stores(api: Api) -> None:
    """All subscriptions see the same; what is dropped has an id and is nowhere."""
    topic = api.topic(message_transforms=[udf(PICKY), udf(UPPER)])
    subscriptions = [api.subscription(topic) for _ in range(2)]
    ids = api.publish(topic, {"data": b"a"}, {"data": b"drop"}, {"data": b"b"})
    assert len(set(ids)) == 3
    for each in subscriptions:
        assert api.pull(each, 2) == [b"A", b"B"]
    assert len(set(api.publish(topic, {"data": b"drop"}, {"data": b"drop"}))) == 2
    api.publish(topic, {"data": b"last"})
    assert api.pull(subscriptions[0], 1) == [b"LAST"]


def test_fault_in_a_topic_fails_the_publish(api: Api) -> None:
    """All of the request; the publisher can mend it."""
    topic = api.topic(message_transforms=[udf(PICKY)])
    subscription = api.subscription(topic)
    with pytest.raises(exceptions.InvalidArgument):
        api.publish(topic, {"data": b"good"}, {"data": b"fail"})
    api.publish(topic, {"data": b"next"})
    assert api.pull(subscription, 1) == [b"next"]


def test_subscription_transforms_for_itself_alone(api: Api) -> None:
    """What it drops is acked; others see the original."""
    topic = api.topic()
    changed = api.subscription(topic, message_transforms=[udf(PICKY), udf(UPPER)])
    plain = api.subscription(topic)
    messages = [{"data": b"a", "attributes": {"x": "1"}}, {"data": b"drop"}, {"data": b"b"}]
    api.publish(topic, *messages)
    [received] = api.subscriber.pull(subscription=changed, max_messages=1).received_messages
    assert (received.message.data, dict(received.message.attributes)) == (b"A", {"x": "1"})
    assert api.pull(changed, 1) == [b"B"]
    assert api.pull(plain, 3) == [b"a", b"b", b"drop"]


def test_subscription_streams_what_it_transforms(api: Api) -> None:
    """By the stream too, which is how most clients receive."""
    topic = api.topic()
    changed = api.subscription(topic, message_transforms=[udf(PICKY), udf(UPPER)])
    received: list[bytes] = []

    def take(message: Any) -> None:
        message.ack()
        received.append(message.data)
        if len(received) == 2:
            future.cancel()

    future = api.subscriber.subscribe(changed, take)
    api.publish(topic, {"data": b"a"}, {"data": b"drop"}, {"data": b"b"})
    future.result(timeout=30)
    assert sorted(received) == [b"A", b"B"]


def test_fault_in_a_subscription_is_a_nack(api: Api) -> None:
    """So that the message ends as a dead letter, in its original form."""
    topic, dead = api.topic(), api.topic()
    letters = api.subscription(dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    picky = api.subscription(topic, message_transforms=[udf(PICKY)], dead_letter_policy=policy)
    api.publish(topic, {"data": b"fail", "attributes": {"x": "1"}}, {"data": b"good"})
    assert api.pull(picky, 1) == [b"good"]
    while not (
        found := api.subscriber.pull(subscription=letters, max_messages=1).received_messages
    ):
        api.subscriber.pull(subscription=picky, max_messages=1, timeout=20)
    assert found[0].message.data == b"fail"
    assert found[0].message.attributes["x"] == "1"


def test_transforms_can_be_changed_and_disabled(api: Api) -> None:
    """From then on."""
    topic = api.topic(message_transforms=[udf(UPPER, disabled=True)])
    subscription = api.subscription(topic)
    api.publish(topic, {"data": b"a"})
    request = {"topic": {"name": topic, "message_transforms": [udf(UPPER)]},
               "update_mask": {"paths": ["message_transforms"]}}  # fmt: skip
    changed = api.publisher.update_topic(request=request)
    assert changed.message_transforms[0].javascript_udf.function_name == "upper"
    api.publish(topic, {"data": b"b"})
    assert api.pull(subscription, 2) == [b"B", b"a"]


@pytest.mark.parametrize("code", ["function f( {", "function f(m) { return m; }; while (true);"])
def test_code_that_can_not_run_is_refused(api: Api, code: str) -> None:
    """When the resource is created or updated."""
    topic, subscription = api.topic(), api.subscription()
    mask = {"paths": ["message_transforms"]}
    bad = [udf(code)]
    calls = [
        lambda: api.topic(message_transforms=bad),
        lambda: api.subscription(message_transforms=bad),
        lambda: api.publisher.update_topic(
            request={"topic": {"name": topic, "message_transforms": bad}, "update_mask": mask}
        ),
        lambda: api.subscriber.update_subscription(
            request={"subscription": {"name": subscription, "message_transforms": bad},
                     "update_mask": mask}
        ),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(exceptions.InvalidArgument):
            call()
    assert len(api.publisher.get_topic(topic=topic).message_transforms) == 0
