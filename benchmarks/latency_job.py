"""The job whose latency is measured: messages to rows of a lake, or to another topic.

    python -m benchmarks.latency_job lake SUBSCRIPTION FOLDER STATE_DIR
    python -m benchmarks.latency_job topic SUBSCRIPTION TOPIC STATE_DIR

It runs on the local runner with durable state until it is stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import apache_beam as beam
import pyarrow as pa

from benchmarks.local import local_pipeline
from connectors import lake, pubsub
from transforms.batch import Batch
from transforms.parse import Parse

__all__ = ["SCHEMA", "main"]

SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("sent_us", pa.int64(), nullable=False),
        pa.field("page", pa.string()),
    ]
)
EVERY_S = 0.1
"""How often files are written."""


def main(sink: str, subscription: str, target: str, state_dir: str) -> None:
    """Run the job."""
    pipeline = local_pipeline(Path(state_dir))
    rows = (pipeline | pubsub.Read(subscription) | Parse(SCHEMA)).ok
    SINKS[sink](rows, target)
    pipeline.run().wait_until_finish()


def _to_lake(rows: beam.PCollection[Batch], folder: str) -> None:
    _ = rows | lake.Write(folder, every_s=EVERY_S)


def _to_topic(rows: beam.PCollection[Batch], topic: str) -> None:
    _ = rows | pubsub.Write(topic)


SINKS = {"lake": _to_lake, "topic": _to_topic}


if __name__ == "__main__":
    main(*sys.argv[1:])
