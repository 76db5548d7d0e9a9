"""Faults of the server while messages are published: exact rows or a clear stop, never silence."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1 import types

from connectors import pubsub
from connectors.broker import Broker
from pipelines import launch, pubsub_to_pubsub
from tests.fake_grpc import serve
from tests.processes import BrokerProcess, start_pipeline, wait_until
from tests.pubsub_servers import forward
from tests.topics import Sent, create, publish, subscription, take, topic
from transforms.batch import Batch

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

METHODS = {
    "Publisher": ("GetTopic", "Publish"),
    "Subscriber": ("GetSubscription", "Pull", "Acknowledge", "ModifyAckDeadline"),
}


class Gate:
    """Stands before a broker and refuses what it is told to."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        """Topics to which nobody may publish."""
        self.poison: bytes | None = None
        """Payload that the topic ``out`` does not take."""

    @contextlib.contextmanager
    def before(self, address: str) -> Iterator[str]:
        """Serve the API of the broker; yield the address."""
        with grpc.insecure_channel(address) as channel:
            methods = {
                name: forward(channel, f"/google.pubsub.v1.{service}/{name}")
                for service, names in METHODS.items()
                for name in names
            }
            behind = methods["Publish"]

            def guarded(payload: bytes, context: grpc.ServicerContext) -> bytes:
                request = types.PublishRequest.deserialize(payload)
                if request.topic in self.denied:
                    context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
                data = [each.data for each in request.messages]
                if self.poison in data and request.topic == topic("out"):
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "poisonous")
                return behind(payload, context)

            with serve({**methods, "Publish": guarded}) as front:
                yield front


@pytest.fixture
def gate() -> Gate:
    """What is refused."""
    return Gate()


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate) -> Iterator[None]:
    """Run a broker behind the gate, with a topic to read from and two to write to."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        # Without our extension a read ends when nothing has come for an ack deadline.
        create("events", "out", "dead", ack_deadline_seconds=10)
        publish("events", MESSAGES)
        with gate.before(broker.address) as address:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
            yield


MESSAGES = [Sent(b"%d" % number, {"n": str(number)}) for number in range(2_500)]


def flags(tmp_path: Path, dead_letter: str | None = None) -> list[str]:
    """Return a command line of the bus."""
    return [
        f"--subscription={subscription('events')}",
        f"--output_topic={topic('out')}",
        f"--dead_letter={dead_letter or tmp_path / 'dead'}",
        "--id_attribute=from",
    ]


def run(argv: list[str]) -> int:
    """Run the bus in this process."""
    return launch.status(pubsub_to_pubsub, argv)


def numbers(messages: list[Sent]) -> list[int]:
    """Return which messages these are."""
    return sorted(int(each.attributes["n"]) for each in messages)


def dead(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the dead letters."""
    files = sorted(str(path) for path in (tmp_path / "dead").rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


@pytest.mark.usefixtures("gated")
def test_refused_message_is_dead_and_alone(tmp_path: Path, gate: Gate) -> None:
    """One message of a request that the server does not take costs no other."""
    gate.poison = b"1234"
    assert run(flags(tmp_path)) == 0
    assert numbers(take("out")) == [number for number in range(2_500) if number != 1234]
    (found,) = dead(tmp_path)
    assert (found["data"], found["error_kind"]) == (b"1234", "refused_by_pubsub")
    assert "poisonous" in found["error"]
    assert dict(found["attributes"]) == {"n": "1234"}


@pytest.mark.usefixtures("gated")
def test_denied_topic_stops_and_loses_nothing(
    tmp_path: Path, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names topic and role; when access is granted everything arrives."""
    gate.denied = {topic("out")}
    assert run(flags(tmp_path)) == 2
    error = capsys.readouterr().err
    assert f"'{topic('out')}': access is denied" in error
    assert "roles/pubsub" in error
    assert dead(tmp_path) == []
    gate.denied = set()
    assert run(flags(tmp_path)) == 0
    assert numbers(take("out")) == list(range(2_500))


@pytest.mark.usefixtures("gated")
def test_denied_dead_letter_stops_and_loses_nothing(
    tmp_path: Path, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead letter that can't be kept is no reason to forget it."""
    gate.denied, gate.poison = {topic("dead")}, b"7"
    assert run(flags(tmp_path, topic("dead"))) == 2
    assert f"'{topic('dead')}': access is denied" in capsys.readouterr().err
    gate.denied = set()
    assert run(flags(tmp_path, topic("dead"))) == 0
    assert numbers(take("dead")) == [7]
    once = {each.attributes["from"]: each for each in take("out")}
    assert numbers(list(once.values())) == [n for n in range(2_500) if n != 7]


@pytest.mark.parametrize("seed", range(3))
def test_broker_that_dies_while_messages_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each message is there, also those whose request was under way; some may be there twice."""
    chance = random.Random(seed)
    with BrokerProcess(tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create("out")
        survived = threading.Event()

        def disturb() -> None:
            for _ in range(4):
                time.sleep(chance.uniform(0.1, 0.6))
                broker.kill()
                time.sleep(chance.uniform(0.0, 0.3))
                broker.start()
            survived.set()

        disturber = threading.Thread(target=disturb)
        disturber.start()
        batches = 0
        with pubsub.Publisher(topic("out")) as publisher:
            while batches < 20 or not survived.is_set():
                rows = numbered(batches)
                assert publisher.publish(rows).ok == rows
                batches += 1
        disturber.join()
        found = [each.data for each in take("out")]
    sent = [data for batch in range(batches) for data in numbered(batch).column("data").to_pylist()]
    assert set(found) == set(sent)


def numbered(batch: int) -> Batch:
    """Return a thousand messages that no other batch has."""
    data = [b"%d.%d" % (batch, number) for number in range(1_000)]
    return pubsub.as_messages(pa.array(data))


def test_topic_that_is_deleted_while_the_bus_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job stops with the topic's name; when it is there again the next start sends the rest."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create("events", "out", ack_deadline_seconds=10)
        argv = [*flags(tmp_path), "--runner=local", f"--state_dir={tmp_path}/state"]
        found: list[Sent] = []

        def arrived(count: int) -> bool:
            found.extend(take("out"))
            return len({each.attributes["n"] for each in found}) >= count

        publish("events", MESSAGES[:1_000])
        log = tmp_path / "log"
        process = start_pipeline("pipelines.pubsub_to_pubsub", broker.address, argv, log)
        wait_until(lambda: arrived(1_000), 60)
        with pubsub_v1.PublisherClient() as admin:
            admin.delete_topic(topic=topic("out"))
        publish("events", MESSAGES[1_000:])
        assert process.wait(60) == 2, log.read_text()
        assert f"topic='{topic('out')}': does not exist" in log.read_text()
        pubsub.delete_subscription(subscription("out"))
        create("out")
        wait_until(lambda: run([*argv, "--max_seconds=4s"]) == 0 and arrived(2_500), 90)
    assert numbers(found)[:10] == list(range(10))
    assert {each.attributes["n"] for each in found} == {str(number) for number in range(2_500)}
    assert dead(tmp_path) == []
