"""A pipeline whose one step decodes messages in Rust for as long as the process lives."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from google.pubsub_v1.types import pubsub
from ptars import HandlerPool

# So many that one always waits for the interpreter's lock.
THREADS = 4


@dataclass(frozen=True)
class Params:
    """None."""


def decode(_: object) -> None:
    """Say that the work begins, and go on without end."""
    message = pubsub.PubsubMessage.pb()
    handler = HandlerPool([message.DESCRIPTOR.file]).get_for_message(message.DESCRIPTOR)
    rows = pa.array([message(data=b"x" * 20).SerializeToString()] * 20_000, pa.binary())

    def work() -> None:
        while True:
            handler.array_to_record_batch(rows)

    for _number in range(THREADS):
        threading.Thread(target=work, daemon=True).start()
    print("decoding", flush=True)
    work()


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the step."""
    pipeline | beam.Create([None]) | beam.Map(decode)
