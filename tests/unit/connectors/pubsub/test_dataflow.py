"""Messages of a Dataflow bundle to batches."""

from __future__ import annotations

import datetime as dt

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.window import GlobalWindow
from google.pubsub_v1 import types

from connectors import pubsub
from connectors.pubsub.dataflow import BatchMessages, native_read
from transforms.batch import Batch, BatchCoder
from transforms.errors import ConfigError
from transforms.field import attribute, column
from transforms.message import MESSAGE_SCHEMA

# dry_run: Beam would look for the buckets and wait two minutes without a network.
DATAFLOW = [
    "--runner=DataflowRunner", "--project=my-project", "--region=us-central1", "--streaming",
    "--temp_location=gs://my-bucket/t", "--staging_location=gs://my-bucket/s", "--dry_run=True",
]  # fmt: skip


def message(second: int, data: bytes = b"x") -> tuple[bytes, beam.utils.timestamp.Timestamp]:
    """Return a message as Dataflow hands it over, with its timestamp."""
    published = dt.datetime(2024, 1, 1, 0, 0, second, tzinfo=dt.timezone.utc)
    encoded = types.PubsubMessage.serialize(
        types.PubsubMessage(data=data, message_id=str(second), publish_time=published)
    )
    return encoded, beam.utils.timestamp.Timestamp.from_utc_datetime(published)


def run_bundle(batching: BatchMessages, seconds: list[int]) -> tuple[list[tuple], list[tuple]]:
    """Return (message ids, second of the timestamp) emitted in the bundle and at its end."""
    batching.start_bundle()
    during = [out for second in seconds for out in batching.process(*message(second))]
    after = list(batching.finish_bundle())
    assert all(out.windows == [GlobalWindow()] for out in after)
    return [_summary(out) for out in during], [_summary(out) for out in after]


def _summary(out: object) -> tuple[list[str], int]:
    batch: Batch = out.value  # type: ignore[attr-defined]
    assert batch.schema == MESSAGE_SCHEMA
    second = out.timestamp.to_utc_datetime().second  # type: ignore[attr-defined]
    return batch.column("message_id").to_pylist(), second


def test_a_bundle_is_one_batch_at_its_earliest_time() -> None:
    """What fits is emitted at the end of the bundle, with the earliest timestamp."""
    assert run_bundle(BatchMessages(), [5, 3, 9]) == ([], [(["5", "3", "9"], 3)])


def test_full_batches_are_emitted_at_once() -> None:
    """A batch that is full does not wait for the end; each has its own earliest time."""
    during, after = run_bundle(BatchMessages(rows_max=2), [5, 3, 9, 8, 7])
    assert during == [(["5", "3"], 3), (["9", "8"], 8)]
    assert after == [(["7"], 7)]
    during, after = run_bundle(BatchMessages(bytes_max=1), [5, 3])
    assert (during, after) == ([(["5"], 5), (["3"], 3)], [])


def test_bundles_do_not_mix() -> None:
    """The next bundle starts empty, also when the one before has failed half-way."""
    batching = BatchMessages()
    batching.start_bundle()
    list(batching.process(*message(1)))
    assert run_bundle(batching, [2]) == ([], [(["2"], 2)])
    assert run_bundle(batching, []) == ([], [])


@pytest.mark.parametrize(
    "source",
    [
        {"subscription": "projects/my-project/subscriptions/abc"},
        {"topic": "projects/my-project/topics/abc"},
    ],
)
def test_dataflow_gets_its_own_read(source: dict[str, str]) -> None:
    """On Dataflow the graph holds the service's read of whole messages, then our batching."""
    pipeline = beam.Pipeline(options=PipelineOptions(DATAFLOW))
    batches = pipeline | pubsub.Read(**source)
    assert batches.element_type is Batch
    proto = pipeline.to_runner_api(use_fake_coders=True)
    reads = [
        beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload)
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:pubsub_read:v1"
    ]
    assert len(reads) == 1
    assert reads[0].with_attributes
    assert {
        "subscription": reads[0].subscription,
        "topic": reads[0].topic,
    }.items() >= source.items()
    names = {transform.unique_name for transform in proto.components.transforms.values()}
    assert "Read/Batch" in names
    assert not any("from_proto" in name for name in names)


def test_batches_are_encoded_as_arrow() -> None:
    """What leaves the read is not pickled."""
    pipeline = beam.Pipeline(options=PipelineOptions(DATAFLOW))
    batches = pipeline | pubsub.Read(subscription="projects/my-project/subscriptions/abc")
    assert isinstance(beam.coders.registry.get_coder(batches.element_type), BatchCoder)


@pytest.mark.parametrize(
    ("watermark", "told"),
    [
        (pubsub.PublishTime(), ""),
        (pubsub.EventTime(attribute("at"), 5), "at"),
        (pubsub.EventTime(column("at"), 5, schema=pa.schema([("at", pa.string())])), ""),
    ],
)
def test_the_service_follows_an_attribute(watermark: pubsub.Watermark, told: str) -> None:
    """An event time in an attribute is Dataflow's own; one in the payload it can't know."""
    pipeline = beam.Pipeline(options=PipelineOptions(DATAFLOW))
    _ = pipeline | pubsub.Read(
        subscription="projects/my-project/subscriptions/abc", watermark=watermark
    )
    proto = pipeline.to_runner_api(use_fake_coders=True)
    (read,) = (
        beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload)
        for transform in proto.components.transforms.values()
        if transform.spec.urn == "beam:transform:pubsub_read:v1"
    )
    assert read.timestamp_attribute == told


@pytest.mark.parametrize("parameter", ["subscription", "topic"])
def test_project_that_beam_refuses_is_explained(parameter: str) -> None:
    """Our broker takes projects of any name; Dataflow those of Google's alone."""
    name = f"projects/demo/{parameter}s/flights"
    with pytest.raises(ConfigError, match=rf"{parameter}='{name}': the project 'demo' .*6 to 30"):
        native_read(**{"subscription": None, "topic": None, parameter: name})
