"""The double of the edges."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from connectors import memory, pubsub
from tests.conftest import PUBLISHED, message_batch
from transforms.batch import Batch, BatchCoder


def test_what_is_read_arrives_at_the_sink() -> None:
    """Batches pass unchanged, as real batches with their own coder."""
    batches = [message_batch([b"a", b"b"]), message_batch([b"c"], 3)]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        read = pipeline | memory.Read(batches)
        assert isinstance(beam.coders.registry.get_coder(read.element_type), BatchCoder)
        read | memory.Write("arrived")
    assert sorted(memory.written("arrived"), key=len) == [batches[1], batches[0]]


def timed(batch: Batch, timestamp: object = beam.DoFn.TimestampParam) -> tuple[int, int]:
    """Return the size of a batch with its timestamp in whole seconds."""
    return len(batch), int(timestamp)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("timestamps", "expected"),
    [
        (None, [(2, int(PUBLISHED.timestamp()) + 1), (1, int(PUBLISHED.timestamp()) + 9)]),
        ([10, 20], [(2, 10), (1, 20)]),
    ],
)
def test_timestamps(timestamps: list[float] | None, expected: list[tuple[int, int]]) -> None:
    """A batch has the timestamp it was given, else that of its earliest message."""
    batches = [message_batch([b"a", b"b"]), message_batch([b"c"], 9)]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        assert_that(
            pipeline | memory.Read(batches, timestamps) | beam.Map(timed), equal_to(expected)
        )


def test_timestamps_must_match() -> None:
    """Too few timestamps are a mistake of the test, said at once."""
    with pytest.raises(ValueError, match="2 batches but 1 timestamps"):
        memory.Read([message_batch([b"a"])] * 2, [1.0])


def test_outputs_have_the_shape_of_a_real_sink() -> None:
    """``ok`` holds every row and ``dead`` none, so that both can be wired in a test."""
    with beam.Pipeline(FnApiRunner()) as pipeline:
        written = pipeline | memory.Read([message_batch([b"a"])]) | memory.Write("first")
        assert written._fields == pubsub.Written._fields
        written.ok | "ok" >> memory.Write("ok")
        written.dead | "dead" >> memory.Write("dead")
    assert memory.written("ok") == memory.written("first") == [message_batch([b"a"])]
    assert memory.written("dead") == []


def test_a_new_sink_starts_empty() -> None:
    """A name that another test has used holds nothing of it; an unknown name is an error."""
    with beam.Pipeline(FnApiRunner()) as pipeline:
        pipeline | memory.Read([message_batch([b"a"])]) | memory.Write("again")
    memory.Write("again")
    assert memory.written("again") == []
    with pytest.raises(KeyError):
        memory.written("never")
