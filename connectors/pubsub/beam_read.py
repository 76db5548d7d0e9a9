"""``beam.io.ReadFromPubSub`` on runners that have no implementation of it: by ``pubsub.Read``.

A runner replaces Beam's transforms by those of ``OVERRIDES``, so that pipelines that know nothing
of us run as they are. All of their options work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub, WriteToPubSub
from apache_beam.pipeline import AppliedPTransform, PTransformOverride
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from connectors.pubsub.beam_write import WriteMessages
from connectors.pubsub.read import Read
from connectors.pubsub.watermark import EventTime, PublishTime, Watermark
from transforms.batch import Batch
from transforms.dedup import Deduplicate
from transforms.errors import PermanentError
from transforms.event_time import Micros, event_times
from transforms.field import attribute, message
from transforms.message import (
    ATTRIBUTES,
    DATA,
    MESSAGE_ID,
    ORDERING_KEY,
    PUBLISH_TIME,
)

__all__ = ["OVERRIDES", "Messages", "ReadMessages"]

DISORDER_S = 60.0
"""How much earlier than another a message's timestamp may be that is published after it; and how
long nothing may come before the watermark follows the clock. Beam's own source, in Java, waits as
long before it trusts what it has seen."""
ID_HORIZON_S = 600.0
"""Messages with one id are one within ten minutes: what Beam promises of ``id_label``."""


class ReadMessages(beam.PTransform):
    """Read messages one by one, as ``beam.io.ReadFromPubSub`` does.

    Guarantees: those of ``pubsub.Read``. A message that lacks the timestamp attribute has its
    publish time; one that lacks the id attribute is kept.

    Args:
        subscription: full name, or None.
        topic: full name, or None.
        id_label: attribute by which messages are the same.
        with_attributes: give ``PubsubMessage`` and not only the data.
        timestamp_attribute: attribute that holds the time.

    Raises:
        PermanentError: when it runs, an attribute holds no time.
    """

    def __init__(
        self,
        subscription: str | None,
        topic: str | None,
        id_label: str | None = None,
        timestamp_attribute: str | None = None,
        *,
        with_attributes: bool = False,
    ) -> None:
        super().__init__()
        self._timestamp_attribute = timestamp_attribute
        self._id_label = id_label
        self._with_attributes = with_attributes
        self._read = Read(subscription=subscription, topic=topic, watermark=self._watermark())

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Read batches, drop repeated ids, and take the batches apart."""
        batches = begin | "Batches" >> self._read
        if self._id_label is not None:
            once = Deduplicate(attribute(self._id_label), ID_HORIZON_S)
            batches = batches | "Once" >> once
        messages = Messages(self._timestamp_attribute, with_attributes=self._with_attributes)
        kind = PubsubMessage if self._with_attributes else bytes
        return batches | "Messages" >> beam.ParDo(messages).with_output_types(kind)

    def _watermark(self) -> Watermark:
        if self._timestamp_attribute is None:
            return PublishTime()
        return EventTime(attribute(self._timestamp_attribute), DISORDER_S, idle_s=DISORDER_S)


class Messages(beam.DoFn):
    """A batch to its messages, each at its own time.

    Args:
        timestamp_attribute: attribute that holds the time; None takes the publish time.
        with_attributes: give ``PubsubMessage`` and not only the data.
    """

    def __init__(self, timestamp_attribute: str | None, *, with_attributes: bool) -> None:
        super().__init__()
        self._timestamp_attribute = timestamp_attribute
        self._with_attributes = with_attributes

    def process(self, batch: Batch) -> Iterator[TimestampedValue]:
        """Yield the messages."""
        times = self._times(batch).tolist()
        values = _whole(batch) if self._with_attributes else batch.column(DATA).to_pylist()
        for value, time_us in zip(values, times, strict=True):
            yield TimestampedValue(value, Timestamp(micros=time_us))

    def _times(self, batch: Batch) -> Micros:
        published, _ = event_times(message(PUBLISH_TIME), batch)
        if self._timestamp_attribute is None:
            return published
        field = attribute(self._timestamp_attribute)
        times, usable = event_times(field, batch)
        if usable is None:
            return times
        texts = field.of(batch).filter(pa.array(~usable)).drop_null()
        if len(texts):
            raise PermanentError(
                f"the timestamp attribute {self._timestamp_attribute!r} of a message is "
                f"{texts[0].as_py()!r}; it must be RFC 3339 or milliseconds since 1970"
            )
        return np.where(usable, times, published)


def _whole(batch: Batch) -> Iterator[PubsubMessage]:
    columns = (
        batch.column(name).to_pylist()
        for name in (DATA, ATTRIBUTES, MESSAGE_ID, PUBLISH_TIME, ORDERING_KEY)
    )
    for data, attributes, message_id, published, ordering_key in zip(*columns, strict=True):
        # A message without data has attributes, so that one of the two is always there.
        yield PubsubMessage(data or b"", dict(attributes), message_id, published, ordering_key)


class _ReadOverride(PTransformOverride):
    def matches(self, applied_ptransform: AppliedPTransform) -> bool:
        return isinstance(applied_ptransform.transform, ReadFromPubSub)

    def get_replacement_transform_for_applied_ptransform(
        self, applied_ptransform: AppliedPTransform
    ) -> beam.PTransform:
        source = applied_ptransform.transform._source
        return ReadMessages(
            source.full_subscription,
            source.full_topic,
            source.id_label,
            source.timestamp_attribute,
            with_attributes=source.with_attributes,
        )


class _WriteOverride(PTransformOverride):
    def matches(self, applied_ptransform: AppliedPTransform) -> bool:
        return isinstance(applied_ptransform.transform, WriteToPubSub)

    def get_replacement_transform_for_applied_ptransform(
        self, applied_ptransform: AppliedPTransform
    ) -> beam.PTransform:
        write = applied_ptransform.transform
        return WriteMessages(
            write.full_topic,
            write.id_label,
            write.timestamp_attribute,
            with_attributes=write.with_attributes,
        )


OVERRIDES: Sequence[PTransformOverride] = (_ReadOverride(), _WriteOverride())
"""For ``Pipeline.replace_all``."""
