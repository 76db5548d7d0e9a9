"""Beam's Pub/Sub transforms by ours: what is replaced, messages and times, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import TimestampedValue
from google.pubsub_v1 import types

from connectors.pubsub.beam_read import OVERRIDES, Messages
from connectors.pubsub.beam_write import PublishMessages, WriteMessages
from tests.conftest import PUBLISHED, message_batch
from tests.fake_grpc import serve
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.message import ATTRIBUTES, MESSAGE_SCHEMA

TOPIC = "projects/p-roject/topics/abc"
FIRST_S = PUBLISHED.timestamp() + 1


def with_times(*texts: str | None) -> Batch:
    """Return messages whose attribute ``at`` is one of these texts, or absent."""
    attributes = [[] if text is None else [("at", text)] for text in texts]
    kind = MESSAGE_SCHEMA.field(ATTRIBUTES).type
    return message_batch([b"x"] * len(texts)).with_column(ATTRIBUTES, pa.array(attributes, kind))


def times(elements: Iterator[TimestampedValue]) -> list[float]:
    """Return the times of elements in seconds."""
    return [float(element.timestamp) for element in elements]


def test_messages_are_taken_apart() -> None:
    """Each message is an element at its publish time, as bytes or whole."""
    batch = message_batch([b"a", b"b"])
    elements = list(Messages(None, with_attributes=False).process(batch))
    assert [element.value for element in elements] == [b"a", b"b"]
    assert times(iter(elements)) == [FIRST_S, FIRST_S + 1]
    (first, _) = Messages(None, with_attributes=True).process(batch)
    assert first.value == PubsubMessage(b"a", {"key": "k1"})
    assert (first.value.message_id, first.value.ordering_key) == ("1", "")
    assert first.value.publish_time.timestamp() == FIRST_S


def test_times_come_from_the_attribute() -> None:
    """Milliseconds or RFC 3339; a message that lacks it has its publish time."""
    batch = with_times("1500", None, "1970-01-01T00:00:02Z")
    assert times(Messages("at", with_attributes=False).process(batch)) == [1.5, FIRST_S + 1, 2.0]
    assert times(Messages("at", with_attributes=False).process(with_times("1500"))) == [1.5]


def test_a_time_that_is_none_is_an_error() -> None:
    """It is not guessed: the attribute and its value are named."""
    with pytest.raises(PermanentError, match=r"'at' of a message is 'soon'"):
        list(Messages("at", with_attributes=False).process(with_times("1", "soon")))


def test_beams_transforms_are_found() -> None:
    """Read and write are replaced, with their options; nothing else is."""
    pipeline = beam.Pipeline(FnApiRunner())
    messages = pipeline | beam.io.ReadFromPubSub(
        subscription="projects/p-roject/subscriptions/abc", id_label="id"
    )
    messages | beam.io.WriteToPubSub(TOPIC)
    names = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def enter_composite_transform(
            self, transform_node: beam.pipeline.AppliedPTransform
        ) -> None:
            for override in OVERRIDES:
                if override.matches(transform_node):
                    made = override.get_replacement_transform_for_applied_ptransform(transform_node)
                    names.append(type(made).__name__)

    pipeline.visit(Visitor())
    assert names == ["ReadMessages", "WriteMessages"]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[types.PublishRequest]]:
    """Serve a topic that takes everything; return the requests."""
    requests: list[types.PublishRequest] = []

    def publish(payload: bytes, context: object) -> bytes:
        requests.append(types.PublishRequest.deserialize(payload))
        return b""

    with serve({"Publish": publish}) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        yield requests


def test_a_bundle_is_few_requests(published: list[types.PublishRequest]) -> None:
    """Elements are gathered: a request holds up to a thousand."""
    with beam.Pipeline(FnApiRunner()) as pipeline:
        elements = [b"%d" % number for number in range(2_500)]
        pipeline | beam.Create(elements, reshuffle=False) | WriteMessages(TOPIC)
    assert sorted(len(request.messages) for request in published) == [500, 1_000, 1_000]


def test_text_and_messages_are_published(published: list[types.PublishRequest]) -> None:
    """Text is UTF-8; of a message everything that can be published is."""
    whole = PubsubMessage(b"b", {"k": "v"}, ordering_key="o")
    with beam.Pipeline(FnApiRunner()) as pipeline:
        pipeline | "text" >> beam.Create(["\u00e4"]) | "a" >> WriteMessages(TOPIC)
        written = WriteMessages(TOPIC, with_attributes=True)
        pipeline | "whole" >> beam.Create([whole]) | "b" >> written
    messages = [message for request in published for message in request.messages]
    assert sorted((m.data, dict(m.attributes), m.ordering_key) for m in messages) == [
        (b"b", {"k": "v"}, "o"), ("\u00e4".encode(), {}, ""),
    ]  # fmt: skip


def test_what_the_service_refuses_fails_the_bundle(published: list[types.PublishRequest]) -> None:
    """There is no output for it, so that nothing is silently lost."""
    publish = PublishMessages(TOPIC, None, None)
    publish.setup()
    publish.start_bundle()
    list(publish.process(b""))
    with pytest.raises(PermanentError, match="needs data or at least one attribute"):
        publish.finish_bundle()
    publish.teardown()


def test_a_wrong_topic_is_refused() -> None:
    """When the transform is made, not when it runs."""
    with pytest.raises(ConfigError, match="projects/PROJECT/topics/ID"):
        WriteMessages("abc")
