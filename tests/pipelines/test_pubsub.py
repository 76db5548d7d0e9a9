"""Read and Write as parts of a pipeline: refusals, outputs, and what a batch is published as."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.pubsub_v1 import types

from connectors import memory, pubsub
from connectors.run import Run
from tests.conftest import message_batch
from tests.fake_grpc import serve
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import column
from transforms.message import MESSAGE_SCHEMA

TOPIC = "projects/p/topics/abc"
SUBSCRIPTION = "projects/p/subscriptions/abc"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[types.PubsubMessage]]:
    """Serve a topic that takes everything; return what it took."""
    messages: list[types.PubsubMessage] = []

    def publish(payload: bytes, context: object) -> bytes:
        messages.extend(types.PublishRequest.deserialize(payload).messages)
        return b""

    with serve({"Publish": publish}) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        yield messages


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({}, "exactly one of subscription and topic"),
        ({"subscription": SUBSCRIPTION, "topic": TOPIC}, "exactly one of subscription and topic"),
        ({"subscription": "abc"}, "subscription='abc': must be projects/PROJECT/subscriptions/ID"),
        ({"topic": SUBSCRIPTION}, f"topic='{SUBSCRIPTION}': must be projects/PROJECT/topics/ID"),
    ],
)
def test_read_wants_one_good_name(source: dict[str, str], text: str) -> None:
    """Wrong arguments are refused when the transform is made."""
    with pytest.raises(ConfigError, match=text):
        pubsub.Read(**source)


def test_read_outside_a_run_is_refused() -> None:
    """On a runner for bounded work a read needs a run, and the error says so."""
    pipeline = beam.Pipeline(FnApiRunner())
    with pytest.raises(ConfigError, match=r"runner='FnApiRunner'.*--runner=local"):
        pipeline | pubsub.Read(subscription=SUBSCRIPTION)


def test_a_topic_needs_a_limit() -> None:
    """A topic has no backlog, so that a bounded read of it would end at once or never."""
    with Run() as run:
        pipeline = beam.Pipeline(FnApiRunner(), PipelineOptions(run.options()))
        with pytest.raises(ConfigError, match="max_seconds= or max_messages="):
            pipeline | pubsub.Read(topic=TOPIC)


def test_write_refuses_a_wrong_topic() -> None:
    """A wrong topic is refused when the transform is made."""
    with pytest.raises(ConfigError, match="projects/PROJECT/topics/ID"):
        pubsub.Write("abc")


def test_messages_are_published_as_they_are(published: list[types.PubsubMessage]) -> None:
    """By default a batch of messages is sent on: data, attributes and ordering key."""
    batch = message_batch([b"a", b"b"]).with_column("ordering_key", pa.array(["k", "k"]))
    with beam.Pipeline(FnApiRunner()) as pipeline:
        written = pipeline | memory.Read([batch]) | pubsub.Write(TOPIC)
        written.ok | "ok" >> memory.Write("ok")
        written.dead | "dead" >> memory.Write("dead")
    assert memory.written("ok") == [batch]
    assert memory.written("dead") == []
    assert [(m.data, dict(m.attributes), m.ordering_key) for m in published] == [
        (b"a", {"key": "k1"}, "k"), (b"b", {"key": "k2"}, "k"),
    ]  # fmt: skip


def greet(batch: Batch) -> pa.Array:
    """Serialize rows by a function of the whole batch."""
    return pc.binary_join_element_wise("hello", batch.column("name"), " ")


def label(batch: Batch) -> pa.Array:
    """Make attributes by a function of the whole batch."""
    names = batch.column("name").to_pylist()
    return pa.array([[("name", name)] for name in names], MESSAGE_SCHEMA.field("attributes").type)


def test_rows_are_published_by_columns_and_functions(published: list[types.PubsubMessage]) -> None:
    """Data, attributes and key each come from a column or from a function of the batch."""
    rows = Batch(pa.RecordBatch.from_pydict({"name": ["ann", "bob"], "team": ["x", "y"]}))
    with beam.Pipeline(FnApiRunner()) as pipeline:
        (
            pipeline
            | memory.Read([rows])
            | pubsub.Write(TOPIC, data=greet, attributes=label, ordering_key=column("team"))
        )
    assert sorted((m.data, dict(m.attributes), m.ordering_key) for m in published) == [
        (b"hello ann", {"name": "ann"}, "x"), (b"hello bob", {"name": "bob"}, "y"),
    ]  # fmt: skip


def test_rejected_rows_are_dead_letters(published: list[types.PubsubMessage]) -> None:
    """A row that breaks a limit goes to ``dead`` with the reason, its neighbours go out."""
    rows = Batch(pa.RecordBatch.from_pydict({"name": ["ann", "", "bob"]}))
    with beam.Pipeline(FnApiRunner()) as pipeline:
        written = (
            pipeline
            | memory.Read([rows])
            | pubsub.Write(TOPIC, data=column("name"), attributes=None, ordering_key=None)
        )
        written.ok | "ok" >> memory.Write("ok")
        written.dead | "dead" >> memory.Write("dead")
    (ok,), (dead,) = memory.written("ok"), memory.written("dead")
    assert ok.column("name").to_pylist() == ["ann", "bob"]
    assert dead.column("error_kind").to_pylist() == ["empty_message"]
    assert sorted(message.data for message in published) == [b"ann", b"bob"]


def test_rows_are_routed_by_an_attribute(published: list[types.PubsubMessage]) -> None:
    """A rule instead of a topic: a row that it gives no topic is dead, with the reason."""
    batch = message_batch([b"a", b"b"])
    route = pubsub.Route("projects/p/topics/{attribute:no}")
    with beam.Pipeline(FnApiRunner()) as pipeline:
        written = pipeline | memory.Read([batch]) | pubsub.Write(route, step="Route")
        written.dead | "dead" >> memory.Write("dead")
    (dead,) = memory.written("dead")
    assert dead.column("error_kind").to_pylist() == ["no_topic"] * 2
    assert dead.column("step").to_pylist() == ["Route"] * 2
    assert published == []
