"""Measure the embedded broker beside Google's emulator: ``python -m benchmarks.broker``.

One client process with bare gRPC, so that the servers are measured and not the client's library.
Messages have 200 bytes of data and two attributes. Each server has the same work, one after the
other in each round; the emulator is measured where gcloud and Java are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

from benchmarks.processes import cpu_s, ending, rss_bytes
from connectors.broker import schema

__all__ = ["Server", "main", "words"]

TOPIC, SUBSCRIPTION = "projects/benchmark/topics/events", "projects/benchmark/subscriptions/events"
BATCH = 1_000
DATA_BYTES = 200
SINGLES = 300
START_LIMIT_S = 60.0
CALL_LIMIT_S = 60.0
_PUBLISHER, _SUBSCRIBER = "/google.pubsub.v1.Publisher/", "/google.pubsub.v1.Subscriber/"
_EMULATORS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"


@dataclass(frozen=True)
class Figures:
    """What one server did in one round."""

    publish_per_s: float
    """Messages, in requests of 1,000."""
    publish_cpu_us: float
    """CPU time of the server for each of them."""
    single_p50_ms: float
    """From a Publish of one message to its answer."""
    pull_per_s: float
    """Messages, with Pull and Acknowledge, one after the other."""
    stream_per_s: float
    """Messages on one stream, acknowledged on it."""
    rss_mb: float
    """Memory of the server with the whole backlog."""


@dataclass
class Server:
    """A server under measurement, and what it did."""

    name: str
    command: Callable[[int, Path], list[str]]
    rounds: list[Figures]

    def best(self, field: str, *, least: bool = False) -> float:
        """Return the best of all rounds: noise only slows."""
        values = [getattr(each, field) for each in self.rounds]
        return min(values) if least else max(values)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broker", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--messages", type=int, default=200_000, help="default: 200000")
    parser.add_argument("--streamed", type=int, default=20_000, help="default: 20000")
    options = parser.parse_args(argv)
    servers = [Server("the broker", _ours, [])]
    emulator = _emulator()
    if emulator:
        servers.append(Server(emulator.stem, lambda port, _: _theirs(emulator, port), []))
    for _ in range(options.rounds):
        for server in servers:
            server.rounds.append(_round(server, options.messages, options.streamed))
    print(words(servers))
    print(json.dumps({each.name: [vars(figures) for figures in each.rounds] for each in servers}))
    return 0


def words(servers: Sequence[Server]) -> str:
    """Return the figures, a line for each server, and their ratios."""
    lines = [
        f"{each.name}: publish {each.best('publish_per_s'):,.0f} messages/s with"
        f" {each.best('publish_cpu_us', least=True):.1f} us of CPU each; one alone"
        f" {each.best('single_p50_ms', least=True):.2f} ms; pull {each.best('pull_per_s'):,.0f}/s;"
        f" one stream {each.best('stream_per_s'):,.0f}/s;"
        f" {each.best('rss_mb', least=True):,.0f} MB"
        for each in servers
    ]
    if len(servers) > 1:
        ours, theirs = servers[:2]
        ratios = {
            what: ours.best(field) / theirs.best(field)
            for what, field in (
                ("publish", "publish_per_s"), ("pull", "pull_per_s"), ("stream", "stream_per_s"),
            )
        }  # fmt: skip
        told = ", ".join(f"{what} {ratio:.1f} times" for what, ratio in ratios.items())
        lines.append(f"{ours.name} beside {theirs.name}: {told}")
    return "\n".join(lines)


def _round(server: Server, messages: int, streamed: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder, _running(server, Path(folder)) as (process, port):
        tree = psutil.Process(process.pid)
        with grpc.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]
        ) as channel:
            client = _Client(channel)
            client.create()
            before_s = cpu_s(tree)
            publish_s = client.publish(messages)
            publish_cpu_us = (cpu_s(tree) - before_s) / messages * 1e6
            rss = rss_bytes(tree) / 1e6
            pull_s = client.pull(messages)
            client.publish(streamed)
            stream_s = client.stream(streamed)
            single_s = client.publish_singles(SINGLES)
    return Figures(
        messages / publish_s, publish_cpu_us, statistics.median(single_s) * 1e3,
        messages / pull_s, streamed / stream_s, rss,
    )  # fmt: skip


class _Client:
    """Bare gRPC: requests are made before the clock runs."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def create(self) -> None:
        """Create the topic and the subscription, and warm the server up."""
        self._call(_PUBLISHER + "CreateTopic", _bytes("Topic", name=TOPIC))
        fields = {"name": SUBSCRIPTION, "topic": TOPIC, "ack_deadline_seconds": 600}
        self._call(_SUBSCRIBER + "CreateSubscription", _bytes("Subscription", **fields))
        self.publish(20 * BATCH)
        self.pull(20 * BATCH)

    def publish(self, count: int) -> float:
        """Publish in large requests; return the seconds."""
        request, publish = _publish_request(BATCH), self._method(_PUBLISHER + "Publish")
        began_s = time.perf_counter()
        for _ in range(count // BATCH):
            publish(request, timeout=CALL_LIMIT_S)
        return time.perf_counter() - began_s

    def publish_singles(self, count: int) -> list[float]:
        """Publish message by message; return the seconds of each."""
        request, publish = _publish_request(1), self._method(_PUBLISHER + "Publish")
        taken_s = []
        for _ in range(count):
            began_s = time.perf_counter()
            publish(request, timeout=CALL_LIMIT_S)
            taken_s.append(time.perf_counter() - began_s)
        return taken_s

    def pull(self, count: int) -> float:
        """Pull and acknowledge; return the seconds."""
        pull = self._method(_SUBSCRIBER + "Pull")
        request = _bytes("PullRequest", subscription=SUBSCRIPTION, max_messages=BATCH)
        began_s, received = time.perf_counter(), 0
        while received < count:
            response = pull(request, timeout=CALL_LIMIT_S)
            ack_ids = _ack_ids("PullResponse", response)
            fields = {"subscription": SUBSCRIPTION, "ack_ids": ack_ids}
            self._call(_SUBSCRIBER + "Acknowledge", _bytes("AcknowledgeRequest", **fields))
            received += len(ack_ids)
        return time.perf_counter() - began_s

    def stream(self, count: int) -> float:
        """Receive and acknowledge on one stream; return the seconds."""
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        fields = {"subscription": SUBSCRIPTION, "stream_ack_deadline_seconds": 600}
        requests.put(_bytes("StreamingPullRequest", **fields))
        call = self._channel.stream_stream(_SUBSCRIBER + "StreamingPull")
        began_s, received = time.perf_counter(), 0
        responses = call(iter(requests.get, None), timeout=CALL_LIMIT_S)
        for response in responses:
            ack_ids = _ack_ids("StreamingPullResponse", response)
            requests.put(_bytes("StreamingPullRequest", ack_ids=ack_ids))
            received += len(ack_ids)
            if received >= count:
                break
        took_s = time.perf_counter() - began_s
        requests.put(None)
        responses.cancel()
        return took_s

    def _method(self, name: str) -> Any:
        return self._channel.unary_unary(name)

    def _call(self, name: str, request: bytes) -> bytes:
        return self._method(name)(request, timeout=CALL_LIMIT_S)


def _bytes(kind: str, **fields: Any) -> bytes:
    return schema.message(kind)(**fields).SerializeToString()


def _publish_request(count: int) -> bytes:
    message = {"data": b"x" * DATA_BYTES, "attributes": {"kind": "click", "source": "web"}}
    return _bytes("PublishRequest", topic=TOPIC, messages=[message] * count)


def _ack_ids(kind: str, response: bytes) -> list[str]:
    return [each.ack_id for each in schema.message(kind).FromString(response).received_messages]


def _ours(port: int, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "connectors.broker", "--http-port=off"]
    return [*command, f"--port={port}", f"--data-dir={folder}"]


def _theirs(jar: Path, port: int) -> list[str]:
    return ["java", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]


def _emulator() -> Path | None:
    """Return Google's emulator where gcloud and Java are installed."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        return None
    return next(iter(Path(gcloud).resolve().parents[1].glob(_EMULATORS)), None)


@contextlib.contextmanager
def _running(server: Server, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(server.command(port, folder / "data"), stdout=log, stderr=log)
    with log, ending(process):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(START_LIMIT_S)
        yield process, port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
