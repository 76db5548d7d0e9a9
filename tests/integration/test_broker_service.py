"""The broker as the stock Google client sees it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2
from google.pubsub_v1.services.publisher import PublisherClient as PublisherServiceClient
from google.pubsub_v1.types import pubsub

from connectors.broker import Broker, limits

pytestmark = pytest.mark.integration

T = "projects/p/topics/orders"
S = "projects/p/subscriptions/orders"
WAIT_S = 20


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run a broker of our own for one test."""
    with Broker(data_dir=tmp_path) as broker:
        yield broker.address


@pytest.fixture
def publisher(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the stock publisher, pointed at the broker as users do it."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    with pubsub_v1.PublisherClient() as client:
        yield client


@pytest.fixture
def subscriber(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the stock subscriber, pointed at the broker as users do it."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    with pubsub_v1.SubscriberClient() as client:
        yield client


@pytest.fixture
def orders(publisher: Any, subscriber: Any) -> None:
    """Create the topic and the subscription that most tests use."""
    publisher.create_topic(name=T)
    subscriber.create_subscription(name=S, topic=T)


def test_topic_lives_and_dies(publisher: Any, subscriber: Any) -> None:
    """Create, get, list and delete a topic; labels are kept."""
    created = publisher.create_topic(request={"name": T, "labels": {"team": "a"}})
    assert (created.name, dict(created.labels)) == (T, {"team": "a"})
    assert publisher.get_topic(topic=T) == created
    publisher.create_topic(name=T + "2")
    assert [topic.name for topic in publisher.list_topics(project="projects/p")] == [T, T + "2"]
    assert list(publisher.list_topics(project="projects/pp")) == []
    publisher.delete_topic(topic=T)
    assert [topic.name for topic in publisher.list_topics(project="projects/p")] == [T + "2"]


def test_subscription_lives_and_dies(publisher: Any, subscriber: Any) -> None:
    """Create, get, list and delete a subscription; defaults are shown, given values kept."""
    publisher.create_topic(name=T)
    created = subscriber.create_subscription(name=S, topic=T)
    assert (created.topic, created.ack_deadline_seconds) == (T, 10)
    assert created.message_retention_duration.total_seconds() == limits.RETENTION_S_DEFAULT
    assert subscriber.get_subscription(subscription=S) == created
    special = subscriber.create_subscription(
        request={
            "name": S + "2", "topic": T, "ack_deadline_seconds": 600, "labels": {"a": "b"},
            "message_retention_duration": duration_pb2.Duration(seconds=600),
            "push_config": {}, "expiration_policy": {},
        }
    )  # fmt: skip
    assert special.ack_deadline_seconds == special.message_retention_duration.total_seconds() == 600
    assert dict(special.labels) == {"a": "b"}
    names = [each.name for each in subscriber.list_subscriptions(project="projects/p")]
    assert names == list(publisher.list_topic_subscriptions(topic=T)) == [S, S + "2"]
    subscriber.delete_subscription(subscription=S)
    assert list(publisher.list_topic_subscriptions(topic=T)) == [S + "2"]


def test_lists_are_paged(publisher: Any) -> None:
    """Every topic is on exactly one page."""
    names = [f"projects/p/topics/topic-{n:02}" for n in range(7)]
    for name in names:
        publisher.create_topic(name=name)
    request = {"project": "projects/p", "page_size": 3}
    pages = list(publisher.list_topics(request=request).pages)
    assert [len(page.topics) for page in pages] == [3, 3, 1]
    assert [topic.name for page in pages for topic in page.topics] == names


def test_subscription_without_a_name_gets_one(publisher: Any, subscriber: Any) -> None:
    """The server assigns a random name in the topic's project."""
    publisher.create_topic(name=T)
    created = subscriber.create_subscription(request={"topic": T})
    assert created.name.startswith("projects/p/subscriptions/")
    assert subscriber.get_subscription(subscription=created.name) == created


def test_subscription_of_a_deleted_topic_shows_it(
    publisher: Any, subscriber: Any, orders: None
) -> None:
    """The topic is _deleted-topic_, the backlog stays, a new topic of the name is another."""
    publisher.publish(T, b"before").result(WAIT_S)
    publisher.delete_topic(topic=T)
    assert subscriber.get_subscription(subscription=S).topic == "_deleted-topic_"
    publisher.create_topic(name=T)
    publisher.publish(T, b"after").result(WAIT_S)
    received = subscriber.pull(subscription=S, max_messages=10).received_messages
    assert [each.message.data for each in received] == [b"before"]


REFUSALS: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (lambda p, s: p.create_topic(name=T), exceptions.AlreadyExists, T),
    (lambda p, s: p.create_topic(name="projects/p/topics/x"), exceptions.InvalidArgument, "name"),
    (lambda p, s: p.create_topic(request={"name": T + "2", "kms_key_name": "k"}),
     exceptions.MethodNotImplemented, "kms_key_name is not supported"),
    (lambda p, s: p.get_topic(topic=T + "2"), exceptions.NotFound, T + "2"),
    (lambda p, s: p.get_topic(topic="nonsense"), exceptions.InvalidArgument, "nonsense"),
    (lambda p, s: p.delete_topic(topic=T + "2"), exceptions.NotFound, T + "2"),
    (lambda p, s: p.list_topics(project="p"), exceptions.InvalidArgument, "project"),
    (lambda p, s: p.list_topics(request={"project": "projects/p", "page_size": -1}),
     exceptions.InvalidArgument, "page_size"),
    (lambda p, s: p.list_topic_subscriptions(topic=T + "2"), exceptions.NotFound, T + "2"),
    (lambda p, s: p.publish(T + "2", b"x").result(WAIT_S), exceptions.NotFound, T + "2"),
    (lambda p, s: PublisherServiceClient.publish(p, topic=T, messages=[]),
     exceptions.InvalidArgument, "messages"),
    (lambda p, s: p.update_topic(topic={"name": T}, update_mask={"paths": ["name"]}),
     exceptions.InvalidArgument, "the name field of a Topic can't be changed"),
    (lambda p, s: s.create_subscription(name=S, topic=T), exceptions.AlreadyExists, S),
    (lambda p, s: s.create_subscription(name=S + "2", topic=T + "2"), exceptions.NotFound, T),
    (lambda p, s: s.create_subscription(name=S + "2", topic=T, ack_deadline_seconds=9),
     exceptions.InvalidArgument, r"ack_deadline_seconds \(9\): must be 10 to 600"),
    (lambda p, s: s.get_subscription(subscription=S + "2"), exceptions.NotFound, S + "2"),
    (lambda p, s: s.delete_subscription(subscription=S + "2"), exceptions.NotFound, S + "2"),
    (lambda p, s: s.pull(subscription=S + "2", max_messages=1), exceptions.NotFound, S + "2"),
    (lambda p, s: s.pull(subscription=S, max_messages=0), exceptions.InvalidArgument,
     r"max_messages \(0\): must be positive"),
    (lambda p, s: s.acknowledge(subscription=S, ack_ids=[]), exceptions.InvalidArgument, "ack_ids"),
    (lambda p, s: s.acknowledge(subscription=S, ack_ids=["x"]), exceptions.InvalidArgument,
     "ack_ids"),
    (lambda p, s: s.acknowledge(subscription=S, ack_ids=["x" * 600_000]),
     exceptions.InvalidArgument, "at most 524288 bytes"),
    (lambda p, s: s.modify_ack_deadline(subscription=S, ack_ids=["x"], ack_deadline_seconds=601),
     exceptions.InvalidArgument, r"ack_deadline_seconds \(601\): must be 0 to 600"),
    (lambda p, s: s.seek(request={"subscription": S}), exceptions.InvalidArgument, "target"),
    (lambda p, s: s.create_snapshot(name="projects/p/snapshots/abc", subscription=S + "2"),
     exceptions.NotFound, S + "2"),
]  # fmt: skip


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(("call", "error", "sentence"), REFUSALS)
def test_refusal_has_the_right_code_and_says_why(
    publisher: Any,
    subscriber: Any,
    call: Callable[[Any, Any], Any],
    error: type[Exception],
    sentence: str,
) -> None:
    """The code is the service's; the sentence names the resource, or field, value and rule."""
    with pytest.raises(error, match=sentence):
        call(publisher, subscriber)


@pytest.mark.parametrize(("field", "value"), [
    ("bigquery_config", {"table": "p.d.t"}),
    ("cloud_storage_config", {"bucket": "b"}),
    ("bigtable_config", {"table": "t"}),
    ("tags", {"1/env": "prod"}),
])  # fmt: skip
def test_option_that_would_not_act_is_refused(
    publisher: Any, subscriber: Any, orders: None, field: str, value: Any
) -> None:
    """Nothing is accepted silently."""
    request = {"name": S + "2", "topic": T, field: value}
    with pytest.raises(exceptions.MethodNotImplemented, match=f"{field} is not supported"):
        subscriber.create_subscription(request=request)


@pytest.mark.parametrize("seconds", [599, 31 * 86_400 + 1])
def test_retention_is_limited(publisher: Any, subscriber: Any, orders: None, seconds: int) -> None:
    """10 minutes to 31 days."""
    retention = duration_pb2.Duration(seconds=seconds)
    request = {"name": S + "2", "topic": T, "message_retention_duration": retention}
    with pytest.raises(exceptions.InvalidArgument, match=f"retention_duration .{seconds} s"):
        subscriber.create_subscription(request=request)


def test_large_publish_meets_our_limit_not_grpcs(
    address: str, publisher: Any, orders: None
) -> None:
    """Just under 10 MB passes and arrives; 11 MB are told the limit."""
    publish = PublisherServiceClient.publish
    large = b"x" * 9_990_000
    publish(publisher, topic=T, messages=[{"data": large}])
    request = pubsub.PullRequest.serialize({"subscription": S, "max_messages": 10})
    # Led by PUBSUB_EMULATOR_HOST, the stock subscriber receives no more than 4 MiB.
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        raw = channel.unary_unary("/google.pubsub.v1.Subscriber/Pull")(request, timeout=WAIT_S)
    received = pubsub.PullResponse.deserialize(raw).received_messages
    assert [each.message.data for each in received] == [large]
    with pytest.raises(exceptions.InvalidArgument, match="at most 10000000 bytes"):
        publish(publisher, topic=T, messages=[{"data": b"x" * 11_000_000}])


def test_response_fits_what_the_stock_client_receives(
    publisher: Any, subscriber: Any, orders: None
) -> None:
    """A response ends before 4 MiB, with attributes as many and as small as they may be."""
    attributes = {f"{n:02}": "" for n in range(limits.ATTRIBUTES_MAX)}
    messages = [{"data": b"x" * 8_000, "attributes": attributes}] * 1_000
    PublisherServiceClient.publish(publisher, topic=T, messages=messages)
    count = 0
    while count < len(messages):
        received = subscriber.pull(subscription=S, max_messages=1_000).received_messages
        assert received
        count += len(received)
    assert count == len(messages)


def test_callbacks_get_every_message(publisher: Any, subscriber: Any, orders: None) -> None:
    """The high-level client subscribes, acks and flow-controls as with the service."""
    count, seen, done = 3_000, set[bytes](), threading.Event()

    def callback(message: Any) -> None:
        seen.add(message.data)
        message.ack()
        if len(seen) == count:
            done.set()

    future = subscriber.subscribe(
        S, callback, flow_control=pubsub_v1.types.FlowControl(max_messages=100)
    )
    for number in range(count):
        publisher.publish(T, b"%d" % number)
    assert done.wait(WAIT_S)
    future.cancel()
    future.result(WAIT_S)


def test_stream_of_a_deleted_subscription_ends(
    publisher: Any, subscriber: Any, orders: None
) -> None:
    """Whoever listens is told, and does not wait for ever."""
    future = subscriber.subscribe(S, lambda message: message.ack())
    subscriber.delete_subscription(subscription=S)
    with pytest.raises(exceptions.NotFound, match=S):
        future.result(WAIT_S)


def test_waiting_pull_gets_what_is_published_meanwhile(
    publisher: Any, subscriber: Any, orders: None
) -> None:
    """Pull waits for the first message instead of answering empty at once."""
    timer = threading.Timer(0.2, lambda: publisher.publish(T, b"late"))
    timer.start()
    received = subscriber.pull(subscription=S, max_messages=10).received_messages
    assert [each.message.data for each in received] == [b"late"]
    timer.join()


def test_pull_of_a_deleted_subscription_ends(publisher: Any, subscriber: Any, orders: None) -> None:
    """A pull that waits is told that its subscription is gone."""
    timer = threading.Timer(0.2, lambda: subscriber.delete_subscription(subscription=S))
    timer.start()
    with pytest.raises(exceptions.NotFound, match=S):
        subscriber.pull(subscription=S, max_messages=10)
    timer.join()


def test_unknown_service_is_unimplemented(address: str) -> None:
    """Methods of services that are not ours don't reach us."""
    with grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/other.Service/Method")(b"", timeout=WAIT_S)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_malformed_request_is_an_invalid_argument(address: str) -> None:
    """Bytes that are no message don't end in an internal error, on either path."""
    with grpc.insecure_channel(address) as channel:
        for method in ("Publisher/Publish", "Publisher/CreateTopic", "Subscriber/Pull"):
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary(f"/google.pubsub.v1.{method}")(b"\xff\xff", timeout=WAIT_S)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT, method


STREAM_ABORTS = [
    ([{}], "subscription"),
    ([{"subscription": S}], "stream_ack_deadline_seconds"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 9}], "must be 10 to 600"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 10}, {"subscription": S}], "subscription"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 10}, {"max_outstanding_messages": 1}],
     "max_outstanding_messages"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 10}, {"protocol_version": 1}],
     "protocol_version"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 10}, {"ack_ids": ["x"]}], "ack_ids"),
    ([{"subscription": S, "stream_ack_deadline_seconds": 10}, {"modify_deadline_ack_ids": ["x"]}],
     "modify_deadline_seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("requests", "field"), STREAM_ABORTS)
def test_stream_is_aborted_for_a_broken_rule(
    subscriber: Any, orders: None, requests: list[dict[str, Any]], field: str
) -> None:
    """The sentence names the field."""
    stream = subscriber.streaming_pull(
        requests=(pubsub.StreamingPullRequest(each) for each in requests), timeout=WAIT_S
    )
    with pytest.raises(exceptions.InvalidArgument, match=field):
        list(stream)
