"""Requests and responses of Pub/Sub to Arrow and back, in Rust.

A response stays bytes until it is columns, and columns become bytes without a Python object per
message: about 0.2 microseconds a message either way, against 5 by protocol buffer classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.pubsub_v1 import types
from ptars import HandlerPool, PtarsConfig

from transforms.batch import Batch
from transforms.message import ATTRIBUTES, DATA, MESSAGE_SCHEMA, ORDERING_KEY

__all__ = [
    "OUTGOING",
    "Received",
    "acknowledge_requests",
    "decode_messages",
    "decode_pull",
    "extend_requests",
    "publish_request",
    "pull_request",
    "spans",
]

ACK_REQUEST_BYTES_MAX = 524_288
"""Of Acknowledge and ModifyAckDeadline: https://cloud.google.com/pubsub/quotas#resource_limits."""

_ACK_REQUEST_BYTES_RESERVED = 1_024  # subscription, deadline and their tags
_ACK_ID_BYTES_OVERHEAD = 4  # tag and length of one id

OUTGOING = (DATA, ATTRIBUTES, ORDERING_KEY)
"""The columns that a publisher may set."""


class Received(NamedTuple):
    """One response of Pull: the messages, and row for row the ids that acknowledge them."""

    messages: Batch
    ack_ids: pa.Array


@cache
def _pool() -> HandlerPool:
    # Microseconds are what MESSAGE_SCHEMA holds; the service gives milliseconds.
    return HandlerPool([types.PullResponse.pb().DESCRIPTOR.file], PtarsConfig(timestamp_unit="us"))


@cache
def _handler(message: Any) -> Any:
    return _pool().get_for_message(message.pb().DESCRIPTOR)


def decode_pull(response: bytes) -> Received:
    """Return the messages of a serialized PullResponse."""
    received = _handler(types.PullResponse).list_to_record_batch([response]).column(0).flatten()
    ack_ids, message, attempts = received.flatten()
    # 0 says that the subscription has no dead-letter policy and nobody counts.
    attempts = pc.if_else(pc.equal(attempts, 0), pa.scalar(None, pa.int32()), attempts)
    rows = pa.RecordBatch.from_arrays([*message.flatten(), attempts], schema=MESSAGE_SCHEMA)
    return Received(Batch(rows), ack_ids)


def decode_messages(messages: list[bytes]) -> Batch:
    """Return serialized PubsubMessages as a batch; nobody counts their delivery attempts."""
    decoded = _handler(types.PubsubMessage).list_to_record_batch(messages)
    columns = [*decoded.columns, pa.nulls(len(messages), pa.int32())]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA))


def pull_request(subscription: str, messages_max: int) -> bytes:
    """Return a serialized PullRequest."""
    request = types.PullRequest(subscription=subscription, max_messages=messages_max)
    return types.PullRequest.serialize(request)


def acknowledge_requests(subscription: str, ack_ids: pa.Array) -> Iterator[bytes]:
    """Yield serialized AcknowledgeRequests, each below the limit of the service."""
    yield from _ack_requests(types.AcknowledgeRequest, ack_ids, {"subscription": subscription})


def extend_requests(subscription: str, ack_ids: pa.Array, deadline_s: int) -> Iterator[bytes]:
    """Yield serialized ModifyAckDeadlineRequests, each below the limit; 0 s gives back."""
    deadline = pa.scalar(deadline_s, pa.int32())
    fields = {"subscription": subscription, "ack_deadline_seconds": deadline}
    yield from _ack_requests(types.ModifyAckDeadlineRequest, ack_ids, fields)


def publish_request(topic: str, messages: Batch) -> bytes:
    """Return a serialized PublishRequest of a batch with the columns ``OUTGOING``."""
    struct = messages.rows.to_struct_array()
    return _encode(types.PublishRequest, {"topic": topic}, "messages", struct)


def spans(sizes: np.ndarray, bytes_max: int, rows_max: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the longest consecutive runs of rows within both limits.

    A row that is larger than ``bytes_max`` is a run of its own.
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        fits = int(np.searchsorted(ends, before + bytes_max, side="right"))
        stop = max(start + 1, min(fits, start + rows_max))
        yield start, stop
        start = stop


def _ack_requests(message: Any, ack_ids: pa.Array, fields: dict[str, Any]) -> Iterator[bytes]:
    sizes = pc.binary_length(ack_ids).to_numpy(zero_copy_only=False) + _ACK_ID_BYTES_OVERHEAD
    bytes_max = ACK_REQUEST_BYTES_MAX - _ACK_REQUEST_BYTES_RESERVED
    for start, stop in spans(sizes, bytes_max, len(ack_ids)):
        yield _encode(message, fields, "ack_ids", ack_ids.slice(start, stop - start))


def _encode(message: Any, fields: dict[str, Any], repeated: str, values: pa.Array) -> bytes:
    """Return one serialized message with single fields and one repeated field."""
    many = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    columns = [*(pa.array([value]) for value in fields.values()), many]
    row = pa.RecordBatch.from_arrays(columns, names=[*fields, repeated])
    return _handler(message).record_batch_to_array(row)[0].as_py()
