"""``beam.io.WriteToPubSub`` by our publisher: see ``beam_read``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.utils.timestamp import Timestamp

from connectors.pubsub import names
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.publish import Publisher
from transforms.errors import PermanentError
from transforms.message import ATTRIBUTES, MESSAGE_SCHEMA, PUBLISH_BYTES_MAX, PUBLISH_MESSAGES_MAX

__all__ = ["PublishMessages", "WriteMessages"]

_ATTRIBUTES_TYPE = MESSAGE_SCHEMA.field(ATTRIBUTES).type


class WriteMessages(beam.PTransform):
    """Publish messages one by one, as ``beam.io.WriteToPubSub`` does.

    Guarantees: those of ``pubsub.Write``, but there are no dead letters: a message that the
    service refuses fails its bundle.

    Args:
        topic: ``projects/P/topics/T``.
        id_label: attribute that gets a random id, new if a bundle is tried again.
        timestamp_attribute: attribute that gets the element's time, RFC 3339.
        with_attributes: the elements are ``PubsubMessage``, else bytes or text.

    Raises:
        ConfigError: the topic's name is against the rules.
    """

    def __init__(
        self,
        topic: str,
        id_label: str | None = None,
        timestamp_attribute: str | None = None,
        *,
        with_attributes: bool = False,
    ) -> None:
        super().__init__()
        names.check_topic("topic", topic)
        self._kind = PubsubMessage if with_attributes else bytes | str
        self._publish = PublishMessages(topic, id_label, timestamp_attribute)

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Publish bundle by bundle."""
        publish = beam.ParDo(self._publish).with_output_types(bytes)
        return elements | "Publish" >> publish.with_input_types(self._kind)


class PublishMessages(beam.DoFn):
    """Publishes elements, as many in one request as it may hold. Takes what ``WriteMessages`` does.

    It gives nothing.
    """

    def __init__(self, topic: str, id_label: str | None, timestamp_attribute: str | None) -> None:
        super().__init__()
        self._topic = topic
        self._id_label = id_label
        self._timestamp_attribute = timestamp_attribute

    def setup(self) -> None:
        """Connect."""
        self._publisher = Publisher(self._topic)

    def start_bundle(self) -> None:
        """Begin with no messages."""
        self._messages: list[_Message] = []
        self._bytes = 0

    def process(
        self,
        element: PubsubMessage | bytes | str,
        timestamp: Timestamp = beam.DoFn.TimestampParam,
    ) -> Iterator[bytes]:
        """Keep a message; publish when there are enough for a request."""
        self._messages.append(self._message(element, timestamp))
        self._bytes += len(self._messages[-1].data)
        if len(self._messages) >= PUBLISH_MESSAGES_MAX or self._bytes >= PUBLISH_BYTES_MAX:
            self._flush()
        yield from ()

    def finish_bundle(self) -> None:
        """Publish what is left."""
        self._flush()

    def teardown(self) -> None:
        """Disconnect."""
        self._publisher.close()

    def _message(self, element: PubsubMessage | bytes | str, timestamp: Timestamp) -> _Message:
        if isinstance(element, PubsubMessage):
            attributes = dict(element.attributes or {})
            message = _Message(element.data or b"", attributes, element.ordering_key or "")
        else:
            data = element.encode() if isinstance(element, str) else element
            message = _Message(data, {}, "")
        if self._id_label is not None:
            message.attributes[self._id_label] = uuid.uuid4().hex
        if self._timestamp_attribute is not None:
            message.attributes[self._timestamp_attribute] = timestamp.to_rfc3339()
        return message

    def _flush(self) -> None:
        messages = self._messages
        self.start_bundle()
        if not messages:
            return
        published = self._publisher.publish(
            as_messages(
                pa.array([each.data for each in messages], pa.binary()),
                pa.array([list(each.attributes.items()) for each in messages], _ATTRIBUTES_TYPE),
                pa.array([each.ordering_key for each in messages], pa.string()),
            )
        )
        if len(published.dead):
            reason = published.dead.column("error")[0].as_py()
            raise PermanentError(f"a message for topic {self._topic} can't be published: {reason}")


class _Message(NamedTuple):
    data: bytes
    attributes: dict[str, str]
    ordering_key: str
