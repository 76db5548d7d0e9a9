"""Pub/Sub on Dataflow: the service reads, we make batches of what it hands over."""

from __future__ import annotations

import re
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PROJECT_ID_REGEXP
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from connectors.pubsub import wire
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError

__all__ = ["BatchMessages", "native_read"]

BATCH_ROWS_MAX = 4_096
BATCH_BYTES_MAX = 4_000_000


def native_read(
    subscription: str | None, topic: str | None, timestamp_attribute: str | None = None
) -> beam.PTransform:
    """Return Dataflow's own read, of whole messages in serialized form.

    With ``with_attributes`` the service sends whole messages, and Beam would decode each into a
    Python object. Taking the flag back from the transform, but not from its source, leaves only
    that step out: ``BatchMessages`` decodes thousands at once.

    Raises:
        ConfigError: the project is against Beam's rule, which is that of Google's projects.
    """
    for parameter, name in (("subscription", subscription), ("topic", topic)):
        if name is not None:
            _require_project(parameter, name)
    read = beam.io.ReadFromPubSub(
        topic=topic,
        subscription=subscription,
        with_attributes=True,
        timestamp_attribute=timestamp_attribute,
    )
    read.with_attributes = False
    return read


def _require_project(parameter: str, name: str) -> None:
    """Refuse what Beam refuses, but say why: our broker takes projects of any name."""
    project = name.split("/")[1]
    if not re.match(PROJECT_ID_REGEXP, project):
        raise ConfigError(
            parameter, name,
            f"the project {project!r} must, on Dataflow, be an id of Google's: 6 to 30 lower-case "
            "letters, digits or hyphens, with a letter first",
            "Give the id of a project that exists",
        )  # fmt: skip


class BatchMessages(beam.DoFn):
    """Serialized PubsubMessages of one bundle to batches.

    A batch has the earliest timestamp of its messages, so that it is late only if its oldest
    message is.

    Args:
        rows_max: messages in a batch.
        bytes_max: bytes after which a batch is full.
    """

    def __init__(self, rows_max: int = BATCH_ROWS_MAX, bytes_max: int = BATCH_BYTES_MAX) -> None:
        super().__init__()
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._messages: list[bytes] = []
        self._bytes = 0
        self._earliest: Timestamp = MAX_TIMESTAMP

    def start_bundle(self) -> None:
        """Begin with no messages."""
        self._clear()

    def process(
        self, element: bytes, timestamp: Timestamp = beam.DoFn.TimestampParam
    ) -> Iterator[TimestampedValue]:
        """Keep a message; emit when a batch is full."""
        self._messages.append(element)
        self._bytes += len(element)
        self._earliest = min(self._earliest, timestamp)
        if len(self._messages) >= self._rows_max or self._bytes >= self._bytes_max:
            yield TimestampedValue(*self._flush())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Emit what is left: Dataflow acknowledges the bundle's messages after it."""
        if self._messages:
            batch, timestamp = self._flush()
            yield WindowedValue(batch, timestamp, [GlobalWindow()])

    def _flush(self) -> tuple[Batch, Timestamp]:
        batch, timestamp = wire.decode_messages(self._messages), self._earliest
        self._clear()
        metrics.MESSAGES_READ.inc(len(batch))
        return batch, timestamp

    def _clear(self) -> None:
        self._messages = []
        self._bytes = 0
        self._earliest = MAX_TIMESTAMP
