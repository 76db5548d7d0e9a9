"""``pubsub.Write``: batches to a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import apache_beam as beam
import pyarrow as pa

from connectors.pubsub import names
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.publish import Publisher
from transforms.batch import Batch
from transforms.field import Field, message
from transforms.message import ATTRIBUTES, DATA, ORDERING_KEY

__all__ = ["PublishBatches", "Values", "Write", "Written"]

Values: TypeAlias = Field | Callable[[Batch], pa.Array]
"""Where a part of the message comes from: a field of the batch, or a function that makes it."""


_DATA = message(DATA)
_ATTRIBUTES = message(ATTRIBUTES)
_ORDERING_KEY = message(ORDERING_KEY)


class Written(NamedTuple):
    """Every row is in exactly one of the two."""

    ok: beam.PCollection[Batch]
    """The rows that the topic accepted, as they came in."""
    dead: beam.PCollection[Batch]
    """Failures: rows that break a limit of the service or that it refused."""


@dataclass(eq=False)
class Write(beam.PTransform):
    """Publish each row as a message: by default the messages that a batch holds or came from.

        written = rows | pubsub.Write("projects/p/topics/t", data=to_json)

    Guarantees:
        Delivery: at least once; a bundle that is retried publishes again.
        Order: of the messages of one ordering key in one batch. State: none.

    Args:
        topic: ``projects/P/topics/T``.
        data: a binary or string column, or a function of the batch, such as a serializer.
        attributes: a column of maps from string to string, or a function; None for none.
        ordering_key: a string column, or a function; None for none.

    Raises:
        ConfigError: the topic's name is against the rules.
    """

    topic: str
    data: Values = _DATA
    attributes: Values | None = _ATTRIBUTES
    ordering_key: Values | None = _ORDERING_KEY

    def __post_init__(self) -> None:
        super().__init__()
        names.check_topic("topic", self.topic)

    def expand(self, batches: beam.PCollection[Batch]) -> Written:
        """Publish batch by batch."""
        publish = PublishBatches(self.topic, self.data, self.attributes, self.ordering_key)
        outputs = batches | beam.ParDo(publish).with_output_types(Batch, dead=Batch).with_outputs(
            "dead", main="ok"
        )
        return Written(outputs.ok, outputs.dead)


class PublishBatches(beam.DoFn):
    """Publishes a batch; what is refused goes to ``dead``. Takes the arguments of ``Write``."""

    def __init__(
        self, topic: str, data: Values, attributes: Values | None, ordering_key: Values | None
    ) -> None:
        super().__init__()
        self._topic = topic
        self._parts = (data, attributes, ordering_key)

    def setup(self) -> None:
        """Connect."""
        self._publisher = Publisher(self._topic)

    def process(self, batch: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        """Publish a batch."""
        messages = as_messages(*(_values(part, batch) for part in self._parts))
        published = self._publisher.publish_as(batch, messages)
        if len(published.ok):
            yield published.ok
        if len(published.dead):
            yield beam.pvalue.TaggedOutput("dead", published.dead)

    def teardown(self) -> None:
        """Disconnect."""
        self._publisher.close()


def _values(part: Values | None, batch: Batch) -> pa.Array | None:
    if part is None:
        return None
    return part.of(batch) if isinstance(part, Field) else part(batch)
