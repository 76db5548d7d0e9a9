"""Headrace's own transforms, fed with batches of messages as the broker hands them over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa

from benchmarks.child import Task
from connectors import lake
from pipelines import launch
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.field import column
from transforms.message import MESSAGE
from transforms.parse import Parse
from transforms.project import Project
from transforms.windows import Fixed, Windowing

__all__ = ["HORIZON_S", "SCHEMA", "WINDOW_S", "read_messages", "run", "to_lake"]

SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("event_type", pa.string()),
        pa.field("amount", pa.float64()),
        pa.field("page", pa.string()),
    ]
)
WINDOW_S = 60
HORIZON_S = 7_200


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one file a window."""

    def build(pipeline: beam.Pipeline) -> None:
        messages = (
            pipeline
            | beam.Create([str(task.messages)])
            | "Messages" >> beam.FlatMap(read_messages).with_output_types(Batch)
        )
        to_lake(messages, task.output)

    launch.run_bounded(build)


def to_lake(messages: beam.PCollection[Batch], folder: Path) -> None:
    """Add the main job's steps: messages in, files of one-minute windows out."""
    rows = (
        (messages | Parse(SCHEMA)).ok
        | Project(drop=[MESSAGE])
        | Deduplicate(column("event_id"), horizon_s=HORIZON_S)
    )
    windowed = (rows | Windowing(Fixed(WINDOW_S), column("event_time"))).ok
    _ = windowed | lake.Write(str(folder))


def read_messages(path: str) -> Iterator[Batch]:
    """Yield the batches of an Arrow IPC file."""
    with pa.memory_map(path) as source, pa.ipc.open_file(source) as reader:
        for index in range(reader.num_record_batches):
            yield Batch(reader.get_batch(index))
