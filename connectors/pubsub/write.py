"""``pubsub.Write``: batches to a topic, or each row to its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors.pubsub import admin, names
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.outlet import Missing
from connectors.pubsub.publish import Publishers
from connectors.pubsub.routes import Topics
from transforms.attributes import appended, without
from transforms.batch import Batch
from transforms.field import Field, message
from transforms.message import ATTRIBUTES, DATA, MESSAGE_ID, ORDERING_KEY, message_column
from transforms.metrics import DEAD_LETTERS, MESSAGES_PUBLISHED, Counter

__all__ = ["Attributes", "Outgoing", "PublishBatches", "Values", "Write", "Written"]

Values: TypeAlias = Field | Callable[[Batch], pa.Array]
"""Where a part of the message comes from: a field of the batch, or a function that makes it."""


_DATA = message(DATA)
_ATTRIBUTES = message(ATTRIBUTES)
_ORDERING_KEY = message(ORDERING_KEY)


class Written(NamedTuple):
    """Every row is in exactly one of the two."""

    ok: beam.PCollection[Batch]
    """The rows that their topic accepted, as they came in."""
    dead: beam.PCollection[Batch]
    """Failures: rows that break a limit of the service, that it refused, or without a topic."""


@dataclass(eq=False)
class Write(beam.PTransform):
    """Publish each row as a message: by default the messages that a batch holds or came from.

        written = rows | pubsub.Write("projects/p/topics/t", data=to_json)
        written = rows | pubsub.Write(pubsub.Route("projects/p/topics/{attribute:kind}"))

    Guarantees:
        Delivery: at least once; a bundle that is retried publishes again.
        Order: of the messages of one ordering key and topic in one batch; one that is refused does
        not hold up those behind it. State: none.
        Rows: each is accepted or dead before its bundle ends. A message that the service refuses
        costs its neighbours nothing. What fails for a minute, or is denied, stops the pipeline.
        Memory: eight requests, of 10 MB at most, are under way at once, and a bundle waits for
        them: it goes no faster than the service takes.

    Args:
        topic: ``projects/P/topics/T``; or a ``Route``, or any function from a batch to the full
            names of its rows' topics. 1,000 topics are kept open at most, on one connection.
        data: a binary or string column, or a function of the batch, such as a serializer.
        attributes: a column of maps from string to string, or a function; None for none.
        ordering_key: a string column, or a function; None for none.
        missing: what becomes of rows whose topic does not exist. By default the pipeline stops
            if there is one topic, and if there are many the rows are dead.
        step: the name of this step in dead letters.
        published: the metric that counts what topics accept.

    Raises:
        ConfigError: the topic's name is against the rules, or (but on Dataflow) the one topic
            does not exist.
    """

    topic: str | Topics
    data: Values = _DATA
    attributes: Values | None = _ATTRIBUTES
    ordering_key: Values | None = _ORDERING_KEY
    missing: Missing | None = None
    step: str = "pubsub.Write"
    published: Counter = MESSAGES_PUBLISHED

    def __post_init__(self) -> None:
        super().__init__()
        if isinstance(self.topic, str):
            names.check_topic("topic", self.topic)
        if self.missing is None:
            self.missing = Missing.STOP if isinstance(self.topic, str) else Missing.DEAD

    def expand(self, batches: beam.PCollection[Batch]) -> Written:
        """Publish batch by batch."""
        self._look_up(batches.pipeline)
        outgoing = Outgoing(self.data, self.attributes, self.ordering_key)
        publish = PublishBatches(
            self.topic, outgoing, self.missing or Missing.STOP, self.step, self.published
        )
        outputs = batches | beam.ParDo(publish).with_output_types(Batch, dead=Batch).with_outputs(
            "dead", main="ok"
        )
        return Written(outputs.ok, outputs.dead)

    def _look_up(self, pipeline: beam.Pipeline) -> None:
        """Refuse to start without the one topic."""
        on_dataflow = isinstance(pipeline.runner, DataflowRunner)
        if isinstance(self.topic, str) and self.missing is Missing.STOP and not on_dataflow:
            admin.refuse_missing(self.topic)


class Outgoing(NamedTuple):
    """Where the parts of a message come from."""

    data: Values
    attributes: Values | None
    ordering_key: Values | None

    def messages(self, batch: Batch) -> Batch:
        """Return the messages of a batch, row for row, with ``MESSAGE_SCHEMA``."""
        return as_messages(*(_values(part, batch) for part in self))


@dataclass(frozen=True)
class Attributes:
    """The attributes of the message that a row holds or came from, and one more, its id.

    Args:
        id_as: key of the attribute that gets the id of the message, in the place of any that it
            has; None for none.
    """

    id_as: str | None = None

    def __call__(self, batch: Batch) -> pa.Array:
        """Return the attributes of each row."""
        own = message_column(batch, ATTRIBUTES)
        if self.id_as is None:
            return own
        return appended(without(own, [self.id_as]), {self.id_as: message_column(batch, MESSAGE_ID)})


class PublishBatches(beam.DoFn):
    """Publishes a batch; what is refused goes to ``dead``. See ``Write`` for its arguments."""

    def __init__(
        self,
        topic: str | Topics,
        outgoing: Outgoing,
        missing: Missing,
        step: str,
        published: Counter = MESSAGES_PUBLISHED,
    ) -> None:
        super().__init__()
        self._topic = topic
        self._outgoing = outgoing
        self._missing = missing
        self._step = step
        self._published = published

    def setup(self) -> None:
        """Connect."""
        self._publishers = Publishers(
            step=self._step, missing=self._missing, published=self._published
        )

    def process(self, batch: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        """Publish a batch."""
        topics = self._topics(batch)
        published = self._publishers.publish_as(batch, self._outgoing.messages(batch), topics)
        if len(published.ok):
            yield published.ok
        if len(published.dead):
            DEAD_LETTERS.inc(len(published.dead))
            yield beam.pvalue.TaggedOutput("dead", published.dead)

    def teardown(self) -> None:
        """Disconnect."""
        self._publishers.close()

    def _topics(self, batch: Batch) -> pa.Array:
        if isinstance(self._topic, str):
            return pa.repeat(self._topic, len(batch))
        return self._topic(batch)


def _values(part: Values | None, batch: Batch) -> pa.Array | None:
    if part is None:
        return None
    return part.of(batch) if isinstance(part, Field) else part(batch)
