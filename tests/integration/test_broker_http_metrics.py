"""Readiness and metrics of the broker, as a monitor reads them."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.broker import Broker, log
from connectors.broker.http.metrics import METRICS
from tests.processes import wait_until

pytestmark = pytest.mark.integration

T, DEAD = "projects/p/topics/orders", "projects/p/topics/dead"
S = "projects/p/subscriptions/orders"
SERVICE = "pubsub_googleapis_com:"
LABELS = '{monitored_resource="pubsub_subscription",project_id="p",subscription_id="orders"}'
WAIT_S = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker of our own for one test, with HTTP, a topic and a subscription."""
    with Broker(data_dir=tmp_path, http_port=0) as broker:
        for name, body in ((T, {}), (DEAD, {}), (S, {"topic": T})):
            answer = requests.put(f"{broker.http_address}/v1/{name}", json=body, timeout=WAIT_S)
            assert answer.status_code == 200
        yield broker


def call(broker: Broker, path: str, **body: Any) -> Any:
    url = f"{broker.http_address}/v1/{path}"
    return requests.post(url, json=body, timeout=WAIT_S).json()


def publish(broker: Broker, count: int) -> None:
    messages = [{"data": "aGk=", "attributes": {"key": "value"}}] * count
    assert len(call(broker, T + ":publish", messages=messages)["messageIds"]) == count


def pull(broker: Broker, count: int) -> list[str]:
    received = call(broker, S + ":pull", maxMessages=count)["receivedMessages"]
    return [each["ackId"] for each in received]


def scraped(broker: Broker) -> dict[str, float]:
    """Return each series with its labels, and its value."""
    answer = requests.get(broker.http_address + "/metrics", timeout=WAIT_S)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    series = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in series)}


def of_subscription(broker: Broker) -> dict[str, float]:
    """Return what is known of the subscription, by the end of its metric's name."""
    prefix = SERVICE + "subscription_"
    return {
        name.removeprefix(prefix).removesuffix(LABELS): value
        for name, value in scraped(broker).items()
        if name.endswith(LABELS) and name.startswith(prefix)
    }


def test_the_text_is_in_prometheus_form(broker: Broker) -> None:
    """Each metric has its help and its type before its series."""
    text = requests.get(broker.http_address + "/metrics", timeout=WAIT_S).text
    assert text.endswith("\n")
    described = re.findall(
        r"^# HELP (\S+) [A-Z1].*\n# TYPE (\S+) (gauge|counter|summary)$", text, re.M
    )
    assert [(name, kind) for name, _, kind in described] == [
        (metric.name, metric.kind) for metric in METRICS
    ]
    assert all(name == typed for name, typed, _ in described)
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    line = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="[^"\\]*",?)*\})? [0-9.e+-]+')
    for each in text.splitlines():
        assert each.startswith("#") or line.fullmatch(each), each


def test_what_happens_is_counted(broker: Broker) -> None:
    """From the publish to the ack; gauges fall again, counters never."""
    publish(broker, 10)
    assert of_subscription(broker)["num_undelivered_messages"] == 10
    ack_ids = pull(broker, 6)
    found = of_subscription(broker)
    assert (found["num_outstanding_messages"], found["num_undelivered_messages"]) == (6, 10)
    call(broker, S + ":acknowledge", ackIds=ack_ids[:3])
    call(broker, S + ":modifyAckDeadline", ackIds=ack_ids[3:5], ackDeadlineSeconds=0)
    call(broker, S + ":modifyAckDeadline", ackIds=ack_ids[5:], ackDeadlineSeconds=60)
    found = of_subscription(broker)
    assert found["oldest_unacked_message_age"] < WAIT_S
    del found["oldest_unacked_message_age"]
    assert found == {
        "num_undelivered_messages": 7, "num_outstanding_messages": 1, "open_streaming_pulls": 0,
        "sent_message_count": 6, "ack_message_count": 3, "nack_requests": 2,
        "mod_ack_deadline_message_count": 3, "expired_ack_deadlines_count": 0,
        "dead_letter_message_count": 0,
    }  # fmt: skip
    everything = scraped(broker)
    topic = '{monitored_resource="pubsub_topic",project_id="p",topic_id="orders"}'
    assert everything[f"{SERVICE}topic_send_request_count{topic}"] == 1
    assert everything[f"{SERVICE}topic_message_sizes_count{topic}"] == 10
    assert everything[f"{SERVICE}topic_message_sizes_sum{topic}"] == 100
    assert everything[f"headrace_broker_subscription_sent_bytes{LABELS}"] == 60
    assert everything["headrace_broker_subscriptions"] == 1
    assert everything["headrace_broker_log_sync_seconds_count"] >= 4
    assert everything["headrace_broker_log_bytes"] > everything["headrace_broker_log_written_bytes"]


def test_dead_letters_are_counted(broker: Broker) -> None:
    """When they are forwarded."""
    policy = {"deadLetterTopic": DEAD, "maxDeliveryAttempts": 5}
    body = {"subscription": {"deadLetterPolicy": policy}, "updateMask": "deadLetterPolicy"}
    url = f"{broker.http_address}/v1/{S}"
    assert requests.patch(url, json=body, timeout=WAIT_S).status_code == 200
    publish(broker, 1)
    for _ in range(5):
        call(broker, S + ":modifyAckDeadline", ackIds=pull(broker, 1), ackDeadlineSeconds=0)
    call(broker, S + ":pull", maxMessages=1)
    found = of_subscription(broker)
    assert (found["dead_letter_message_count"], found["num_undelivered_messages"]) == (1, 0)


def test_what_is_deleted_is_not_shown_any_more(broker: Broker) -> None:
    """And begins at zero when it is made again."""
    publish(broker, 1)
    pull(broker, 1)
    url = f"{broker.http_address}/v1/{S}"
    requests.delete(url, timeout=WAIT_S)
    assert of_subscription(broker) == {}
    requests.put(url, json={"topic": T}, timeout=WAIT_S)
    assert of_subscription(broker)["sent_message_count"] == 0


def test_a_broker_whose_log_has_failed_is_not_ready(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why; whoever watches it may start it anew."""

    def fail(_file: int) -> None:
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(log, "sync_content", fail)
    error = call(broker, T + ":publish", messages=[{"data": "aGk="}])["error"]
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")
    answer = requests.get(broker.http_address + "/healthz", timeout=WAIT_S)
    assert answer.status_code == 503
    assert "the disk is gone" in answer.text
    assert scraped(broker)["headrace_broker_ready"] == 0


class Endpoint(BaseHTTPRequestHandler):
    """Takes every second push."""

    def do_POST(self) -> None:
        self.server.pushes = getattr(self.server, "pushes", 0) + 1
        self.send_response(200 if self.server.pushes % 2 else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_pushes_are_counted_by_what_became_of_them(broker: Broker) -> None:
    """In the classes of the service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        try:
            config = {"pushEndpoint": f"http://127.0.0.1:{endpoint.server_address[1]}/"}
            assert call(broker, S + ":modifyPushConfig", pushConfig=config) == {}
            publish(broker, 1)
            publish(broker, 1)
            wait_until(lambda: of_subscription(broker)["num_undelivered_messages"] == 0, WAIT_S)
            name = f"{SERVICE}subscription_push_request_count{LABELS[:-1]}"
            found = scraped(broker)
            assert found[name + ',response_class="ack"}'] == 2
            assert found[name + ',response_class="remote_server_5xx"}'] >= 1
        finally:
            endpoint.shutdown()
            thread.join()
