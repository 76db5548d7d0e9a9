"""The broker's REST API as its clients use it."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1

from connectors.broker import Broker, limits

pytestmark = pytest.mark.integration

T = "projects/p/topics/orders"
S = "projects/p/subscriptions/orders"
WAIT_S = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker of our own for one test, with HTTP."""
    with Broker(data_dir=tmp_path, http_port=0) as broker:
        yield broker


@pytest.fixture
def url(broker: Broker) -> str:
    """Return where its API begins."""
    return broker.http_address + "/v1/"


def client(kind: Any, broker: Broker) -> Any:
    """Return a stock client that speaks REST."""
    return kind(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": broker.http_address},
    )


def create(url: str) -> None:
    """Create the topic and the subscription that most tests use."""
    assert requests.put(url + T, json={}, timeout=WAIT_S).status_code == 200
    assert requests.put(url + S, json={"topic": T}, timeout=WAIT_S).status_code == 200


def test_the_stock_client_speaks_rest(broker: Broker) -> None:
    """Resources, publish, pull, deadlines and acks, without gRPC."""
    publisher = client(pubsub_v1.PublisherClient, broker)
    subscriber = client(pubsub_v1.SubscriberClient, broker)
    created = publisher.create_topic(request={"name": T, "labels": {"a": "b"}})
    assert publisher.get_topic(topic=T) == created
    subscriber.create_subscription(request={"name": S, "topic": T, "ack_deadline_seconds": 20})
    assert [each.name for each in subscriber.list_subscriptions(project="projects/p")] == [S]
    assert list(publisher.list_topic_subscriptions(topic=T)) == [S]
    ids = [publisher.publish(T, str(n).encode(), number=str(n)).result(WAIT_S) for n in range(3)]
    received = subscriber.pull(subscription=S, max_messages=10).received_messages
    assert [each.message.message_id for each in received] == ids
    assert [dict(each.message.attributes) for each in received] == [
        {"number": str(n)} for n in range(3)
    ]
    ack_ids = [each.ack_id for each in received]
    subscriber.modify_ack_deadline(subscription=S, ack_ids=ack_ids, ack_deadline_seconds=0)
    again = subscriber.pull(subscription=S, max_messages=10).received_messages
    subscriber.acknowledge(subscription=S, ack_ids=[each.ack_id for each in again])
    assert not subscriber.pull(subscription=S, max_messages=10, timeout=WAIT_S).received_messages
    publisher.delete_topic(topic=T)
    with pytest.raises(exceptions.NotFound):
        publisher.get_topic(topic=T)


def test_refusals_reach_the_stock_client_as_its_own_errors(broker: Broker) -> None:
    """By the HTTP code, with the text of the body."""
    publisher = client(pubsub_v1.PublisherClient, broker)
    publisher.create_topic(name=T)
    with pytest.raises(exceptions.Conflict, match="exists already"):
        publisher.create_topic(name=T)
    with pytest.raises(exceptions.BadRequest, match="name"):
        publisher.create_topic(name="projects/p/topics/goog-x")


def test_rest_and_grpc_are_one_broker(
    broker: Broker, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one publishes the other pulls, and an ack id of one is good for the other."""
    create(url)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
    with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
        publisher.publish(T, b"\x00\xff", key="v").result(WAIT_S)
        pull = {"maxMessages": 5}
        (received,) = requests.post(url + S + ":pull", json=pull, timeout=WAIT_S).json()[
            "receivedMessages"
        ]
        assert received["message"]["data"] == "AP8="
        assert received["message"]["attributes"] == {"key": "v"}
        subscriber.acknowledge(subscription=S, ack_ids=[received["ackId"]])
    pull = {"maxMessages": 5, "returnImmediately": True}
    assert requests.post(url + S + ":pull", json=pull, timeout=WAIT_S).json() == {}


def test_a_body_may_be_compressed(url: str) -> None:
    """As some clients do with gzip."""
    create(url)
    body = gzip.compress(json.dumps({"messages": [{"data": "aGk="}]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = requests.post(url + T + ":publish", data=body, headers=headers, timeout=WAIT_S)
    assert answer.json() == {"messageIds": ["1"]}
    answer = requests.post(url + T + ":publish", data=b"{}", headers=headers, timeout=WAIT_S)
    assert answer.status_code == 400


def test_the_verb_may_be_in_a_header(url: str) -> None:
    """For clients whose query is too long for a URL: they send it as a form."""
    create(url)
    headers = {"X-HTTP-Method-Override": "GET"}
    form = {"pageSize": "1"}
    answer = requests.post(url + "projects/p/topics", data=form, headers=headers, timeout=WAIT_S)
    assert [topic["name"] for topic in answer.json()["topics"]] == [T]


def test_ten_megabytes_pass_and_no_more(url: str) -> None:
    """The limit is that of gRPC: 10,000,000 bytes of the request as protocol buffers."""
    create(url)

    def publish(size_bytes: int) -> requests.Response:
        # 4 characters of base64 are 3 bytes
        body = {"messages": [{"data": "AAAA" * (size_bytes // 3)}]}
        return requests.post(url + T + ":publish", json=body, timeout=60)

    assert publish(9_999_000).json() == {"messageIds": ["1"]}
    refused = publish(10_000_500)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_browsers_of_other_sites_are_refused(broker: Broker, url: str) -> None:
    """Whatever they ask for, and nothing happens."""
    for headers in ({"Host": "evil.com"}, {"Origin": "http://evil.com"}):
        answer = requests.put(url + T, json={}, headers=headers, timeout=WAIT_S)
        assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert requests.get(url + T, timeout=WAIT_S).status_code == 404


def test_other_paths_are_told_apart(broker: Broker, url: str) -> None:
    """The root answers, the rest is not found, in JSON."""
    assert requests.get(broker.http_address + "/", timeout=WAIT_S).text.startswith("Ok")
    for path in ("/nothing", "/v1/nothing", "/v1/projects/p"):
        answer = requests.get(broker.http_address + path, timeout=WAIT_S)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 404)


def test_readiness(broker: Broker) -> None:
    """A broker that answers is ready."""
    for path in ("/healthz", "/readyz"):
        assert requests.get(broker.http_address + path, timeout=WAIT_S).text == "ok\n"


def test_bodies_are_bounded_also_when_they_are_unpacked(url: str) -> None:
    """A small body may be a large one, compressed."""
    create(url)
    large = b" " * (limits.HTTP_BODY_BYTES_MAX + 1)
    headers = {"Content-Encoding": "gzip"}
    for body, more in ((large, {}), (gzip.compress(large, 1), headers)):
        answer = requests.post(url + T + ":publish", data=body, headers=more, timeout=WAIT_S)
        assert answer.status_code == 413
        assert str(limits.HTTP_BODY_BYTES_MAX) in answer.json()["error"]["message"]


def test_a_body_must_come_in_time(broker: Broker, url: str, monkeypatch: Any) -> None:
    """A client that holds it back is told so, and disconnected."""
    create(url)
    monkeypatch.setattr(limits, "HTTP_BODY_S_MAX", 0.2)
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        head = f"POST /v1/{T}:publish HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head.encode() + b"{")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("size_bytes", [9_000, 1_000_000])
def test_headers_are_bounded(broker: Broker, size_bytes: int) -> None:
    """As is the path."""
    headers = {"X-Large": "x" * size_bytes}
    try:
        answer = requests.get(broker.http_address, headers=headers, timeout=WAIT_S)
    except requests.ConnectionError:
        return  # it was still sending when the broker hung up
    assert answer.status_code == 400


def test_a_client_that_is_gone_gets_no_messages(broker: Broker, url: str) -> None:
    """Its pull ends with its connection; what is published then is for others."""
    create(url)
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        body = b'{"maxMessages": 5}'
        head = f"POST /v1/{S}:pull HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        # answered after the pull has come, for both are read in turn
        assert requests.get(url + S, timeout=WAIT_S).status_code == 200
    assert requests.get(url + S, timeout=WAIT_S).status_code == 200
    requests.post(url + T + ":publish", json={"messages": [{"data": "aGk="}]}, timeout=WAIT_S)
    pulled = requests.post(url + S + ":pull", json={"maxMessages": 5}, timeout=WAIT_S).json()
    assert len(pulled["receivedMessages"]) == 1


def test_who_asks_before_sending_is_answered(broker: Broker, url: str) -> None:
    """As curl does with a large body; without the answer it would wait for a second."""
    create(url)
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    body = b'{"messages": [{"data": "aGk="}]}'
    head = (
        f"POST /v1/{T}:publish HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        client.sendall(head.encode())
        assert client.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(("sent", "code"), [
    (b"\x16\x03\x01\x00\xee\r\n\r\n", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"POST /v1/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200),
])  # fmt: skip
def test_what_is_no_request_is_answered_and_not_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture, sent: bytes, code: int
) -> None:
    """Whoever can reach the port could fill a disk with it else."""
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        client.sendall(sent)
        assert client.recv(1 << 16)[8:12] == b" %d" % code
    assert caplog.records == []


def test_a_client_that_ends_amid_its_body_is_not_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no fault of the broker."""
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        head = f"POST /v1/{T}:publish HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head.encode() + b"{")
        # answered after the request has begun, for both are read in turn
        assert requests.get(broker.http_address, timeout=WAIT_S).status_code == 200
    assert requests.get(broker.http_address, timeout=WAIT_S).status_code == 200
    assert caplog.records == []


def test_bodies_are_bounded_together(broker: Broker, url: str, monkeypatch: Any) -> None:
    """What is too much beside others is asked for again; later there is room."""
    create(url)
    monkeypatch.setattr(limits, "HTTP_BODIES_BYTES_MAX", 1_000_000)
    host, _, port = broker.http_address.removeprefix("http://").rpartition(":")
    body = json.dumps({"messages": [{"data": "AAAA" * 150_000}]})
    with socket.create_connection((host, int(port)), WAIT_S) as client:
        head = (
            f"POST /v1/{T}:publish HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body[:-1].encode())
        for _ in range(50):  # the broker reads it bit by bit, and serves these in between
            assert requests.get(broker.http_address, timeout=WAIT_S).status_code == 200
        refused = requests.post(url + T + ":publish", data=body, timeout=WAIT_S)
        assert (refused.status_code, refused.json()["error"]["status"]) == (503, "UNAVAILABLE")
        client.sendall(body[-1:].encode())
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
    assert requests.post(url + T + ":publish", data=body, timeout=WAIT_S).status_code == 200
