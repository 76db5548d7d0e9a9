"""Protocol buffers of whole requests and responses to Arrow and back, in compiled code."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from ptars import HandlerPool, PtarsConfig

from connectors.broker import ackids, rows, schema
from connectors.broker.delivery import Delivery
from connectors.broker.errors import InvalidArgument

__all__ = ["decode", "encode_delivery", "encode_publish"]


@cache
def _handler(name: str) -> Any:
    return _pool().get_for_message(schema.message(name).DESCRIPTOR)


@cache
def _pool() -> HandlerPool:
    file = schema.message("PublishRequest").DESCRIPTOR.file
    return HandlerPool([file], PtarsConfig(timestamp_unit="us"))


def decode(name: str, request: bytes) -> dict[str, Any]:
    """Return the fields of a request: single ones as Python values, repeated ones as Arrow arrays.

    Args:
        name: of the message type, such as ``PublishRequest``.
        request: as it came from the wire.

    Raises:
        InvalidArgument: these are not the bytes of such a message.
    """
    try:
        row = _handler(name).list_to_record_batch([request])
    except ValueError as error:
        raise InvalidArgument("request", f"{len(request)} bytes", f"{error}") from None
    return {
        field.name: column.flatten() if pa.types.is_list(field.type) else column[0].as_py()
        for field, column in zip(row.schema, row.columns, strict=True)
    }


def encode_publish(message_ids: pa.StringArray) -> bytes:
    """Return a ``PublishResponse``."""
    return _encoded("PublishResponse", {"message_ids": message_ids})


def encode_delivery(subscription_uid: int, delivery: Delivery) -> bytes:
    """Return a ``PullResponse``; the same bytes are a ``StreamingPullResponse``."""
    ack_ids = ackids.pack(subscription_uid, delivery.positions, delivery.generation)
    columns = {"ack_id": ack_ids, "message": delivery.rows.to_struct_array()}
    if delivery.attempts is not None:
        columns["delivery_attempt"] = rows.numbers(delivery.attempts, pa.int32())
    received = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return _encoded("PullResponse", {"received_messages": received})


def _encoded(name: str, repeated: dict[str, pa.Array]) -> bytes:
    lists = [
        pa.ListArray.from_arrays(
            rows.numbers(np.array([0, len(items)], np.int32), pa.int32()), items
        )
        for items in repeated.values()
    ]
    row = pa.RecordBatch.from_arrays(lists, names=list(repeated))
    return _handler(name).record_batch_to_array(row)[0].as_py()
