"""Headrace's transforms on the local runner, in streaming, from a broker in its own process.

As from memory, but the messages are pulled, and acknowledged after the commit. When all were
read the job is drained, which closes the last windows.
"""

from __future__ import annotations

import pyarrow as pa

from benchmarks.child import Task
from benchmarks.engines.headrace_broker import SUBSCRIPTION, prepared
from benchmarks.engines.headrace_memory import SCHEMA, to_lake
from benchmarks.local import local_pipeline
from benchmarks.workload import DISORDER_S
from connectors import pubsub
from runners.local.result import LocalResult
from transforms.field import column
from transforms.metrics import MESSAGES_READ, NAMESPACE

__all__ = ["prepared", "run"]

LOOK_S = 0.1
"""Pause between two looks at how far the job has come."""


def run(task: Task) -> None:
    """Read all messages into the lake, acknowledge them, drain."""
    with pa.memory_map(str(task.messages)) as source, pa.ipc.open_file(source) as reader:
        messages = sum(reader.get_batch(n).num_rows for n in range(reader.num_record_batches))
    pipeline = local_pipeline(task.scratch / "state")
    event_time = pubsub.EventTime(column("event_time"), disorder_s=DISORDER_S, schema=SCHEMA)
    to_lake(pipeline | pubsub.Read(SUBSCRIPTION, watermark=event_time), task.output)
    result = pipeline.run()
    _await_messages(result, messages)
    result.stop("drain")
    result.wait_until_finish()


def _await_messages(result: LocalResult, messages: int) -> None:
    """Wait until so many messages were read by committed work, or the job has ended."""
    while result.progress().numbers.get((NAMESPACE, MESSAGES_READ.name), 0) < messages:
        if result.job.ended.wait(LOOK_S):
            return
