"""Headrace's transforms on the local runner, in streaming: a source without end replays messages.

Every epoch is committed to disk, windows close as the watermark passes, and the job ends with the
file. Without a state folder nothing outlives the process: the difference is what durability costs.
"""

from __future__ import annotations

import apache_beam as beam

from benchmarks.child import Task
from benchmarks.engines.headrace_memory import to_lake
from benchmarks.local import local_pipeline
from benchmarks.replay import Replay
from transforms.batch import Batch

__all__ = ["run"]


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one file a window."""
    pipeline = local_pipeline(task.scratch / "state" if task.options["durable"] else None)
    messages = (
        pipeline
        | beam.Create([str(task.messages)], reshuffle=False)
        | "Messages" >> beam.ParDo(Replay()).with_output_types(Batch)
    )
    to_lake(messages, task.output)
    pipeline.run().wait_until_finish()
