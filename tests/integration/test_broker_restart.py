"""What survives: the real process, killed and started again; and a disk that is full."""

import errno
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.pubsub_v1.types import pubsub

from connectors.broker import Broker, limits
from connectors.broker.errors import DataDirInUse
from connectors.broker.http.listening import PortInUse

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
T = "projects/p/topics/orders"
S = "projects/p/subscriptions/orders"
WAIT_S = 20


class Client:
    """The standard API by raw calls: no retries that would hide what happens."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)

    def call(self, method: str, request: Any, response: Any = None) -> Any:
        """Call a method of Publisher or Subscriber."""
        raw = self._channel.unary_unary(f"/google.pubsub.v1.{method}")(
            type(request).serialize(request), timeout=WAIT_S
        )
        return response.deserialize(raw) if response else None

    def create(self) -> None:
        """Create the topic and the subscription."""
        self.call("Publisher/CreateTopic", pubsub.Topic(name=T))
        self.call("Subscriber/CreateSubscription", pubsub.Subscription(name=S, topic=T))

    def publish(self, *payloads: bytes) -> list[str]:
        """Publish in one request; return the ids."""
        request = pubsub.PublishRequest(topic=T, messages=[{"data": each} for each in payloads])
        response = self.call("Publisher/Publish", request, pubsub.PublishResponse)
        return list(response.message_ids)

    def pull(self, count_max: int = 1_000) -> list[Any]:
        """Return what is there now."""
        request = pubsub.PullRequest(
            subscription=S, max_messages=count_max, return_immediately=True
        )
        response = self.call("Subscriber/Pull", request, pubsub.PullResponse)
        return list(response.received_messages)

    def ack(self, received: list[Any]) -> None:
        """Acknowledge."""
        ids = [each.ack_id for each in received]
        self.call("Subscriber/Acknowledge", pubsub.AcknowledgeRequest(subscription=S, ack_ids=ids))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def command(directory: Path, *more: str) -> list[str]:
    """Return the command line of a broker."""
    return [sys.executable, "-m", "connectors.broker", "--data-dir", str(directory), *more]


@contextmanager
def process(directory: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Run a broker as users do; it is killed at the end if it still runs."""
    running = subprocess.Popen(
        command(directory, "--port", "0"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout
        line = running.stdout.readline()
        match = re.fullmatch(
            r"broker ready on (\S+); HTTP on http://\S+; export PUBSUB_EMULATOR_HOST=\1\n", line
        )
        assert match, line
        client = Client(match[1])
        yield running, client
        client.close()
    finally:
        running.kill()
        running.wait()


def test_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Killed again and again while messages are published and acked, nothing answered is lost."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    published: dict[str, bytes] = {}
    attempted: set[str] = set()
    acked: set[str] = set()
    with process(tmp_path) as (_, client):
        client.create()
    for _ in range(4):
        with process(tmp_path) as (running, client):
            stop = threading.Timer(chance.uniform(0.05, 0.5), running.kill)
            stop.start()
            _work_until_killed(
                client, chance, published=published, attempted=attempted, acked=acked
            )
            stop.join()
    with process(tmp_path) as (_, client):
        left: dict[str, bytes] = {}
        while received := client.pull():
            left.update({each.message.message_id: each.message.data for each in received})
    assert not acked & set(left)
    # An ack that was sent and not answered may have counted or not.
    sure = {key: published[key] for key in published.keys() - attempted}
    assert sure.items() <= left.items()
    assert published
    assert acked


def _work_until_killed(
    client: Client,
    chance: random.Random,
    *,
    published: dict[str, bytes],
    attempted: set[str],
    acked: set[str],
) -> None:
    try:
        while True:
            payloads = [chance.randbytes(20) for _ in range(chance.randint(1, 50))]
            ids = client.publish(*payloads)
            assert not set(ids) & set(published), "an id was given twice"
            published.update(zip(ids, payloads, strict=True))
            received = client.pull(chance.randint(1, 50))
            if received and chance.random() < 0.7:
                sent = {each.message.message_id for each in received}
                attempted |= sent
                client.ack(received)
                acked |= sent
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017 - all else is a fault


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """It ends with code 0, and the directory is free again."""
    with process(tmp_path) as (running, client):
        client.create()
        running.send_signal(number)
        assert running.wait(WAIT_S) == 0
    with Broker(data_dir=tmp_path):
        pass


def test_start_that_must_fail_says_why(tmp_path: Path) -> None:
    """A port in use, a directory in use, one that is none, a port that is none."""
    (tmp_path / "file").write_text("")
    with Broker(data_dir=tmp_path / "data") as broker:
        port = broker.address.rpartition(":")[2]
        for more, sentence in (
            ((tmp_path / "data", "--port", "0"), "in use by another broker"),
            ((tmp_path / "other", "--port", port), f"127.0.0.1:{port} can't be listened on"),
            ((tmp_path / "file" / "x", "--port", "0"), "Not a directory"),
            ((tmp_path / "other", "--port", "x"), "must be a number from 0 to 65535"),
        ):
            done = subprocess.run(
                command(*more),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
            assert done.returncode != 0
            assert sentence in done.stderr
            assert "Traceback" not in done.stderr
            if "listened" in sentence:
                assert len(done.stderr.splitlines()) == 1, "gRPC has said something, too"


def test_start_in_process_that_must_fail_raises(tmp_path: Path) -> None:
    """The context manager raises the same errors, and holds nothing afterwards."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PortInUse),
        Broker(tmp_path, port=taken.getsockname()[1]),
    ):
        pass
    with Broker(tmp_path), pytest.raises(DataDirInUse), Broker(tmp_path):
        pass


def test_ack_for_a_lease_from_before_a_restart_counts(tmp_path: Path) -> None:
    """Unacked messages are available at once after a restart, and old ack ids stay good."""
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        client.publish(b"a", b"b")
        received = client.pull()
        client.close()
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.ack(received[:1])
        assert [each.message.data for each in client.pull()] == [b"b"]
        client.close()


def test_full_disk_refuses_publishing_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESOURCE_EXHAUSTED, nothing half-written, acks go on, and it recovers by itself."""
    real = os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if len(data) > 1_000:
            real(file, data[:700], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data, offset)

    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        client.publish(b"before")
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(grpc.RpcError) as error:
            client.publish(b"x" * 1_000)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "full" in error.value.details()
        client.ack(client.pull())
        monkeypatch.undo()
        client.publish(b"after" * 1_000)
        assert [each.message.data for each in client.pull()] == [b"after" * 1_000]
        client.close()
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        assert [each.message.data for each in client.pull()] == [b"after" * 1_000]
        client.close()


def test_space_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are deleted when all is acked, except around what is not, and none is missed."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 100_000)
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        client.publish(b"straggler")
        client.pull()
        for number in range(30):
            client.publish(b"%d" % number + b"x" * 20_000)
            client.ack(client.pull())
        assert 2 <= len(list(tmp_path.glob("*.log"))) <= 3
        client.close()
    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        received = client.pull()
        assert [each.message.data for each in received] == [b"straggler"]
        client.ack(received)
        assert len(list(tmp_path.glob("*.log"))) == 1
        assert int(client.publish(b"x")[0]) > 31
        client.close()


def _publish_for_ever(client: Client) -> None:
    while True:
        client.publish(b"x" * 500_000)


def test_acks_make_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segment in use is given up as well when all of it is acked and there is no other room."""
    real = os.statvfs

    def small(path: Path) -> SimpleNamespace:
        used = sum(each.stat().st_size for each in tmp_path.glob("*.log"))
        free = limits.DISK_RESERVE_BYTES + 3_000_000 - used
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    with Broker(data_dir=tmp_path) as broker:
        client = Client(broker.address)
        client.create()
        monkeypatch.setattr(os, "statvfs", small)
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as error:
                _publish_for_ever(client)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            while received := client.pull():
                client.ack(received)
        client.publish(b"x" * 500_000)
        monkeypatch.setattr(os, "statvfs", real)
        client.close()
