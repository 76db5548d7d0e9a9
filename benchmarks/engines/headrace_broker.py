"""Headrace's pipeline, as a user starts it, from a broker in a process of its own.

Publishing is preparation; the work is what pipeline and broker do from the first pull to the
last acknowledgement.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from benchmarks.child import Task
from benchmarks.engines.headrace_memory import HORIZON_S, WINDOW_S, read_messages
from connectors import pubsub
from pipelines import launch, pubsub_to_lake
from pipelines.broker_process import broker_process

__all__ = ["SUBSCRIPTION", "prepared", "run"]

TOPIC = "projects/benchmark/topics/events"
SUBSCRIPTION = "projects/benchmark/subscriptions/events"

BIGQUERY_SCHEMA = [
    {"name": "event_id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "event_time", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "user_id", "type": "INT64", "mode": "REQUIRED"},
    {"name": "event_type", "type": "STRING"},
    {"name": "amount", "type": "FLOAT64"},
    {"name": "page", "type": "STRING"},
]


@contextlib.contextmanager
def prepared(task: Task) -> Iterator[None]:
    """Start a broker and publish the messages to it; stop it after the run."""
    (task.scratch / "schema.json").write_text(json.dumps(BIGQUERY_SCHEMA))
    with broker_process(task.scratch / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC, ack_deadline_seconds=60)
        with pubsub.Publisher(TOPIC) as publisher:
            for messages in read_messages(str(task.messages)):
                publisher.publish(messages)
        yield


def run(task: Task) -> None:
    """Drain the subscription into the lake, commit and acknowledge."""
    status = launch.status(
        pubsub_to_lake,
        [
            f"--subscription={SUBSCRIPTION}",
            f"--schema={task.scratch / 'schema.json'}",
            "--event_time=event_time",
            "--dedup_by=event_id",
            f"--dedup_horizon={HORIZON_S}s",
            f"--window={WINDOW_S}s",
            f"--output={task.output}",
            f"--dead_letter={task.scratch / 'dead'}",
        ],
    )
    if status:
        raise SystemExit(status)
