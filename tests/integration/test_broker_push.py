"""Push: what an endpoint gets from the broker, and what its answers do."""

import base64
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from google.api_core import exceptions
from google.auth import jwt
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher import PublisherClient

from connectors.broker import Broker

pytestmark = pytest.mark.integration

WAIT_S = 30.0
TOPIC, SUBSCRIPTION = "projects/p/topics/top", "projects/p/subscriptions/sub"
EMAIL = "pusher@p.iam.gserviceaccount.com"

Handler = Callable[["Hit"], int]


class Hit(NamedTuple):
    """A request that came to the endpoint."""

    body: bytes
    headers: dict[str, str]
    time_s: float

    @property
    def data(self) -> bytes:
        """The data of the message of a wrapped push."""
        return base64.b64decode(json.loads(self.body)["message"].get("data", ""))


class Endpoint:
    """An HTTP server of the test; ``handler`` gives the status of each answer."""

    def __init__(self, handler: Handler) -> None:
        self.hits: queue.Queue[Hit] = queue.Queue()
        self.open = self.open_most = 0
        self._handler, self._lock = handler, threading.Lock()
        endpoint = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = endpoint.answer(Hit(body, dict(self.headers), time.monotonic()))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/push"

    def answer(self, hit: Hit) -> int:
        """Return the status for a request."""
        with self._lock:
            self.open += 1
            self.open_most = max(self.open, self.open_most)
        try:
            status = self._handler(hit)
        finally:
            with self._lock:
                self.open -= 1
        self.hits.put(hit)
        return status

    def take(self, count: int) -> list[Hit]:
        """Return the next requests."""
        return [self.hits.get(timeout=WAIT_S) for _ in range(count)]


@contextmanager
def endpoint(handler: Handler = lambda _: 200) -> Iterator[Endpoint]:
    """Serve an endpoint."""
    served = Endpoint(handler)
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        thread.join()
        served.server.server_close()


class Api(NamedTuple):
    """The stock clients."""

    publisher: Any
    subscriber: Any

    def push(self, url: str, config: dict[str, Any] | None = None, **fields: Any) -> None:
        """Create the subscription."""
        push = {"push_endpoint": url, **(config or {})}
        request = {"name": SUBSCRIPTION, "topic": TOPIC, "push_config": push, **fields}
        self.subscriber.create_subscription(request=request)

    def publish(self, *data: bytes, **fields: Any) -> None:
        """Publish in one request."""
        messages = [{"data": each, **fields} for each in data]
        PublisherClient.publish(self.publisher, topic=TOPIC, messages=messages)


@contextmanager
def clients(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Return the clients of a broker."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    with publisher, subscriber:
        yield Api(publisher, subscriber)


@pytest.fixture
def broker(tmp_path: Any) -> Iterator[Broker]:
    """Return a broker."""
    with Broker(data_dir=tmp_path / "data") as running:
        yield running


@pytest.fixture
def api(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Return the clients, and a topic."""
    with clients(broker.address, monkeypatch) as found:
        found.publisher.create_topic(name=TOPIC)
        yield found


def test_every_message_comes_once_and_is_acknowledged(api: Api) -> None:
    """A thousand messages, many requests at a time, none again."""
    with endpoint() as served:
        api.push(served.url)
        api.publish(*(b"%d" % n for n in range(1_000)))
        hits = served.take(1_000)
        assert Counter(each.data for each in hits) == Counter(b"%d" % n for n in range(1_000))
        api.publish(b"last")
        assert [each.data for each in served.take(1)] == [b"last"]
        assert served.hits.empty()


@pytest.mark.parametrize("status", [201, 202, 204])
def test_other_successes_acknowledge(api: Api, status: int) -> None:
    """The codes of the service."""
    with endpoint(lambda _: status) as served:
        api.push(served.url)
        api.publish(b"a")
        api.publish(b"b")
        assert sorted(each.data for each in served.take(2)) == [b"a", b"b"]
        api.publish(b"c")
        assert [each.data for each in served.take(1)] == [b"c"]


def test_failures_are_delivered_again_with_growing_pauses(api: Api) -> None:
    """100 ms, 200 ms, 400 ms; then it is through."""
    answers = iter([500, 404, 302, 200])
    with endpoint(lambda _: next(answers)) as served:
        api.push(served.url)
        api.publish(b"a")
        times = [each.time_s for each in served.take(4)]
        pauses = [after - before for before, after in pairwise(times)]
        for pause, least in zip(pauses, (0.09, 0.19, 0.39), strict=True):
            assert pause >= least


def test_no_answer_within_the_ack_deadline_is_a_failure(api: Api) -> None:
    """The slow request is given up, the message comes again."""
    first = threading.Event()
    release = threading.Event()

    def handler(_: Hit) -> int:
        if not first.is_set():
            first.set()
            release.wait(WAIT_S)
        return 200

    with endpoint(handler) as served:
        api.push(served.url, ack_deadline_seconds=10)
        api.publish(b"a")
        [hit] = served.take(1)
        release.set()
        assert hit.data == b"a"


def test_the_window_begins_small(api: Api) -> None:
    """Three requests at a time until the first is answered."""
    gate = threading.Event()
    with endpoint(lambda _: 200 if gate.wait(WAIT_S) else 500) as served:
        api.push(served.url)
        api.publish(*(b"%d" % n for n in range(50)))
        deadline = time.monotonic() + WAIT_S
        while served.open < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert served.open_most == 3
        gate.set()
        assert len(served.take(50)) == 50


def test_messages_of_a_key_come_in_order_one_at_a_time(api: Api) -> None:
    """Also when one of them fails at first."""
    failed = threading.Event()
    counts: Counter[str] = Counter()

    def handler(hit: Hit) -> int:
        key = json.loads(hit.body)["message"]["orderingKey"]
        counts[key] += 1
        assert counts[key] == 1
        time.sleep(0.002)
        counts[key] -= 1
        if hit.data == b"a3" and not failed.is_set():
            failed.set()
            return 500
        return 200

    with endpoint(handler) as served:
        api.push(served.url, enable_message_ordering=True)
        for key in "ab":
            api.publish(*(f"{key}{n}".encode() for n in range(8)), ordering_key=key)
        seen = [each.data.decode() for each in served.take(17)]
        assert [each for each in seen if each[0] == "b"] == [f"b{n}" for n in range(8)]
        expected = ["a0", "a1", "a2", "a3", "a3", "a4", "a5", "a6", "a7"]
        assert [each for each in seen if each[0] == "a"] == expected


def test_dead_letters_leave_after_their_attempts(api: Api) -> None:
    """Each attempt says which it is."""
    api.publisher.create_topic(name=TOPIC + "-dead")
    letters = {"name": SUBSCRIPTION + "-dead", "topic": TOPIC + "-dead"}
    api.subscriber.create_subscription(request=letters)
    policy = {"dead_letter_topic": TOPIC + "-dead", "max_delivery_attempts": 5}
    with endpoint(lambda _: 500) as served:
        api.push(served.url, dead_letter_policy=policy)
        api.publish(b"a")
        attempts = [json.loads(each.body)["deliveryAttempt"] for each in served.take(5)]
        assert attempts == [1, 2, 3, 4, 5]
        received: list[Any] = []
        while not received:
            received = api.subscriber.pull(
                subscription=SUBSCRIPTION + "-dead", max_messages=1, timeout=WAIT_S
            ).received_messages
        assert received[0].message.data == b"a"


def test_unwrapped_push_has_metadata_as_headers(api: Api) -> None:
    """The body is the data."""
    with endpoint() as served:
        api.push(served.url, {"no_wrapper": {"write_metadata": True}})
        api.publish(b"\0raw", attributes={"kind": "x"}, ordering_key="k")
        [hit] = served.take(1)
        assert hit.body == b"\0raw"
        assert hit.headers["kind"] == "x"
        assert hit.headers["x-goog-pubsub-subscription-name"] == SUBSCRIPTION
        assert hit.headers["x-goog-pubsub-ordering-key"] == "k"


def test_token_can_be_checked_by_the_keys_of_the_broker(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Google's own library, as an endpoint would."""
    import requests  # noqa: PLC0415 - used here alone

    running = Broker(data_dir=tmp_path / "data", http_port=0)
    with running, clients(running.address, monkeypatch) as api, endpoint() as served:
        api.publisher.create_topic(name=TOPIC)
        api.push(served.url, {"oidc_token": {"service_account_email": EMAIL, "audience": "me"}})
        api.publish(b"a")
        [hit] = served.take(1)
        scheme, _, token = hit.headers["Authorization"].partition(" ")
        url = f"{running.http_address}/oauth2/v1/certs"
        claims = jwt.decode(token, requests.get(url, timeout=WAIT_S).json(), audience="me")
        assert (scheme, claims["email"]) == ("Bearer", EMAIL)


def test_push_and_pull_can_be_exchanged(api: Api) -> None:
    """Messages gather meanwhile; what is pushed can't be pulled."""
    with endpoint() as served:
        api.push(served.url)
        api.publish(b"pushed")
        assert served.take(1)[0].data == b"pushed"
        with pytest.raises(exceptions.FailedPrecondition):
            api.subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)
        api.subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config={})
        api.publish(b"pulled")
        received: list[Any] = []
        while not received:
            received = api.subscriber.pull(
                subscription=SUBSCRIPTION, max_messages=1, timeout=WAIT_S
            ).received_messages
        api.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received[0].ack_id])
        assert received[0].message.data == b"pulled"
        config = {"push_endpoint": served.url}
        api.subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=config)
        api.publish(b"again")
        assert served.take(1)[0].data == b"again"
        api.subscriber.delete_subscription(subscription=SUBSCRIPTION)
        api.publish(b"nobody")
        assert served.hits.empty()


def test_push_goes_on_after_a_restart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not acknowledged is pushed then; an endpoint that was not there is found."""
    with endpoint() as served:
        url = served.url
    with (
        Broker(data_dir=tmp_path / "data") as running,
        clients(running.address, monkeypatch) as api,
    ):
        api.publisher.create_topic(name=TOPIC)
        api.push(url)
        api.publish(b"a")
    running = Broker(data_dir=tmp_path / "data")
    with endpoint() as served, running, clients(running.address, monkeypatch) as api:
        config = {"push_endpoint": served.url}
        api.subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=config)
        assert served.take(1)[0].data == b"a"
