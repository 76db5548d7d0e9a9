"""``beam.io.ReadFromPubSub`` and ``WriteToPubSub``, as Beam's users write them, on LocalRunner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows
from google.cloud import pubsub_v1

from connectors import pubsub
from connectors.broker import Broker
from connectors.pubsub import beam_read
from runners.local import LocalRunner
from runners.local.result import LocalResult
from tests.processes import wait_until
from tests.pubsub_servers import SUBSCRIPTION, TOPIC, create, unacknowledged

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning"),
]

OUT = "projects/test-project/topics/out"
OUT_SUBSCRIPTION = "projects/test-project/subscriptions/out"
LIMIT_S = 30.0
EPOCH_MS = 1_700_000_000_000

Message = tuple[bytes, dict[str, str], str]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a broker with two topics, each with a subscription."""
    with Broker(data_dir=tmp_path / "broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create()
        pubsub.create_topic(OUT)
        pubsub.create_subscription(OUT_SUBSCRIPTION, OUT)
        yield broker.address


@pytest.fixture
def run(address: str) -> Iterator[Callable[[Callable[[beam.Pipeline], object]], LocalResult]]:
    """Return a function that starts a graph on the local runner; all are stopped in the end."""
    results: list[LocalResult] = []

    def start(build: Callable[[beam.Pipeline], object]) -> LocalResult:
        options = PipelineOptions(["--streaming"])
        pipeline = beam.Pipeline(runner=LocalRunner(), options=options)
        build(pipeline)
        results.append(pipeline.run())
        return results[-1]

    yield start
    for result in results:
        result.stop("suspend")


def send(*messages: tuple[bytes, dict[str, str]]) -> None:
    """Publish by the stock client, in order."""
    with pubsub_v1.PublisherClient() as publisher:
        for data, attributes in messages:
            publisher.publish(TOPIC, data, **attributes).result()


def receive(count: int) -> list[Message]:
    """Return what arrives at the other topic, sorted by its data."""
    found: list[Message] = []
    with pubsub_v1.SubscriberClient() as subscriber:

        def arrived() -> bool:
            received = subscriber.pull(
                subscription=OUT_SUBSCRIPTION, max_messages=100, return_immediately=True
            ).received_messages
            found.extend(
                (each.message.data, dict(each.message.attributes), each.message.ordering_key)
                for each in received
            )
            return len(found) >= count

        wait_until(arrived, LIMIT_S)
    return sorted(found)


def test_data_alone(address: str, run: Callable[..., LocalResult]) -> None:
    """Without attributes the elements are bytes, and what is read is acknowledged."""
    run(
        lambda pipeline: (
            pipeline
            | beam.io.ReadFromPubSub(subscription=SUBSCRIPTION)
            | beam.Map(bytes.upper)
            | beam.io.WriteToPubSub(OUT)
        )
    )
    send((b"a", {"k": "v"}), (b"b", {}))
    assert receive(2) == [(b"A", {}, ""), (b"B", {}, "")]
    wait_until(lambda: unacknowledged(address) == 0, LIMIT_S)


def test_whole_messages(address: str, run: Callable[..., LocalResult]) -> None:
    """With attributes the elements are Beam's own messages, complete in both directions."""

    def describe(message: PubsubMessage) -> PubsubMessage:
        assert message.message_id
        assert message.publish_time.tzinfo is not None
        attributes = {**message.attributes, "seen": "yes"}
        return PubsubMessage(message.data, attributes, ordering_key="key")

    run(
        lambda pipeline: (
            pipeline
            | beam.io.ReadFromPubSub(subscription=SUBSCRIPTION, with_attributes=True)
            | beam.Map(describe)
            | beam.io.WriteToPubSub(OUT, with_attributes=True)
        )
    )
    send((b"a", {"k": "v"}), (b"", {"only": "attributes"}))
    assert receive(2) == [
        (b"", {"only": "attributes", "seen": "yes"}, "key"),
        (b"a", {"k": "v", "seen": "yes"}, "key"),
    ]


def test_ids_and_timestamps(address: str, run: Callable[..., LocalResult]) -> None:
    """Messages of one id are one; the attribute is the element's time, in either form."""

    def with_time(data: bytes, time: object = beam.DoFn.TimestampParam) -> bytes:
        return data + f" {float(time)}".encode()  # type: ignore[arg-type]

    run(
        lambda pipeline: (
            pipeline
            | beam.io.ReadFromPubSub(
                subscription=SUBSCRIPTION, id_label="id", timestamp_attribute="at"
            )
            | beam.Map(with_time)
            | beam.io.WriteToPubSub(OUT)
        )
    )
    send(
        (b"a", {"id": "1", "at": str(EPOCH_MS)}),
        (b"b", {"id": "1", "at": str(EPOCH_MS)}),
        (b"c", {"id": "2", "at": "2023-11-14T22:13:21.5Z"}),
        (b"d", {"at": str(EPOCH_MS + 2_000)}),
    )
    assert [data for data, _, _ in receive(3)] == [
        b"a 1700000000.0", b"c 1700000001.5", b"d 1700000002.0",
    ]  # fmt: skip


def test_windows_close_by_the_timestamps(
    address: str, run: Callable[..., LocalResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watermark follows the attribute: a window fires when later messages have come."""
    monkeypatch.setattr(beam_read, "DISORDER_S", 5.0)
    run(
        lambda pipeline: (
            pipeline
            | beam.io.ReadFromPubSub(subscription=SUBSCRIPTION, timestamp_attribute="at")
            | beam.WindowInto(FixedWindows(10))
            | beam.combiners.Count.PerElement()
            | beam.Map(lambda pair: b"%s %d" % pair)
            | beam.io.WriteToPubSub(OUT)
        )
    )
    send(*((b"x", {"at": str(EPOCH_MS + 1_000 * number)}) for number in range(30)))
    assert [data for data, _, _ in receive(2)] == [b"x 10", b"x 10"]


def test_a_topic(address: str, run: Callable[..., LocalResult]) -> None:
    """A topic is read by a subscription of its own, from the start of the job on."""
    send((b"before", {}))
    run(
        lambda pipeline: pipeline | beam.io.ReadFromPubSub(topic=TOPIC) | beam.io.WriteToPubSub(OUT)
    )
    with pubsub_v1.PublisherClient() as publisher:
        wait_until(lambda: len(list(publisher.list_topic_subscriptions(topic=TOPIC))) == 2, LIMIT_S)
    send((b"after", {}))
    assert receive(1) == [(b"after", {}, "")]


def test_labels_of_written_messages(address: str, run: Callable[..., LocalResult]) -> None:
    """Each message gets a random id and its element's time, as ReadFromPubSub can read them."""
    labelled = beam_read.WriteMessages(OUT, "id", "at")
    run(lambda pipeline: pipeline | beam.io.ReadFromPubSub(subscription=SUBSCRIPTION) | labelled)
    send((b"a", {}), (b"b", {}))
    (_, first, _), (_, second, _) = receive(2)
    assert first["id"] != second["id"]
    assert first["at"] <= second["at"]
    assert first["at"].endswith("Z")
