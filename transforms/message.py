"""A batch of Pub/Sub messages: its schema, the reserved column, and the limits of the service.

Sources of the limits: the API definition ``google/pubsub/v1/pubsub.proto`` and
https://cloud.google.com/pubsub/quotas#resource_limits.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from transforms.batch import Batch

__all__ = [
    "ATTRIBUTES",
    "ATTRIBUTES_MAX",
    "ATTRIBUTE_KEY_BYTES_MAX",
    "ATTRIBUTE_VALUE_BYTES_MAX",
    "DATA",
    "DELIVERY_ATTEMPT",
    "MESSAGE",
    "MESSAGE_BYTES_MAX",
    "MESSAGE_ID",
    "MESSAGE_SCHEMA",
    "ORDERING_KEY",
    "ORDERING_KEY_BYTES_MAX",
    "PART",
    "PUBLISH_BYTES_MAX",
    "PUBLISH_MESSAGES_MAX",
    "PUBLISH_TIME",
    "attach_message",
    "earliest_publish_time",
    "message_column",
]

DATA = "data"
ATTRIBUTES = "attributes"
MESSAGE_ID = "message_id"
PUBLISH_TIME = "publish_time"
ORDERING_KEY = "ordering_key"
DELIVERY_ATTEMPT = "delivery_attempt"

MESSAGE_SCHEMA = pa.schema(
    [
        pa.field(DATA, pa.binary()),
        pa.field(ATTRIBUTES, pa.map_(pa.string(), pa.string())),
        pa.field(MESSAGE_ID, pa.string()),
        pa.field(PUBLISH_TIME, pa.timestamp("us", tz="UTC")),
        pa.field(ORDERING_KEY, pa.string()),
        # Null where the service sends 0: the subscription has no dead-letter policy.
        pa.field(DELIVERY_ATTEMPT, pa.int32()),
    ]
)
"""Columns of a batch fresh from Pub/Sub."""

MESSAGE = "_message"
"""Reserved struct column of typed batches: the message that each row came from.

Messages that were changed on the way have it too: the message as it came."""
PART = "_part"
"""Reserved column of rows of which a message may have become several: which of them it is."""

PUBLISH_MESSAGES_MAX = 1_000
"""Messages in one Publish request."""
PUBLISH_BYTES_MAX = 10_000_000
"""Bytes of one Publish request, as serialized."""
MESSAGE_BYTES_MAX = 10_000_000
"""Bytes of one message."""
ATTRIBUTES_MAX = 100
"""Attributes of one message."""
ATTRIBUTE_KEY_BYTES_MAX = 256
"""Bytes of an attribute's key."""
ATTRIBUTE_VALUE_BYTES_MAX = 1_024
"""Bytes of an attribute's value."""
ORDERING_KEY_BYTES_MAX = 1_024
"""Bytes of an ordering key."""


def attach_message(typed: pa.RecordBatch, messages: Batch) -> Batch:
    """Return the typed rows with the messages that they came from under ``MESSAGE``.

    Args:
        typed: rows made from ``messages``, row for row.
        messages: a batch with the columns of ``MESSAGE_SCHEMA``; its buffers are shared. If they
            carry messages themselves, as they came, it is those; and a ``PART`` is kept.
    """
    if MESSAGE in messages.schema.names:
        envelope = messages.column(MESSAGE)
    else:
        envelope = messages.select(MESSAGE_SCHEMA.names).rows.to_struct_array()
    rows = Batch(typed).with_column(MESSAGE, envelope)
    return rows.with_column(PART, messages.column(PART)) if PART in messages.schema.names else rows


def message_column(batch: Batch, name: str) -> pa.Array:
    """Return a column of ``MESSAGE_SCHEMA`` from a message batch or from a typed batch.

    Raises:
        KeyError: the batch holds no messages (any more).
    """
    if MESSAGE in batch.schema.names:
        # flatten() and not field(): a sliced struct's field() ignores the slice's offset.
        struct = batch.column(MESSAGE)
        return struct.flatten()[struct.type.get_field_index(name)]
    return batch.column(name)


def earliest_publish_time(messages: Batch) -> Timestamp:
    """Return the timestamp of a batch of messages: it is late only if its oldest message is."""
    micros = pc.min(message_column(messages, PUBLISH_TIME)).cast(pa.int64()).as_py()
    return MIN_TIMESTAMP if micros is None else Timestamp(micros=micros)
