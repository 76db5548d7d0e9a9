"""The rules for published messages, checked on whole columns."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.broker import limits, rows
from connectors.broker.errors import InvalidArgument

__all__ = [
    "check_ack_ids",
    "check_ack_size",
    "check_extension_s",
    "check_lease_s",
    "check_messages",
    "check_positive",
    "check_publish_size",
    "check_range",
]


def check_publish_size(request: bytes) -> None:
    """Refuse a request that is too large, before any work is spent on it.

    Raises:
        InvalidArgument: it is.
    """
    if len(request) > limits.PUBLISH_BYTES_MAX:
        raise InvalidArgument(
            "request", f"{len(request)} bytes", f"at most {limits.PUBLISH_BYTES_MAX} bytes"
        )


def check_messages(messages: pa.StructArray) -> None:
    """Refuse messages that break a rule of the API; none or all are accepted.

    Args:
        messages: structs of a decoded Publish request.

    Raises:
        InvalidArgument: naming the field, the value and the rule.
    """
    if not 1 <= len(messages) <= limits.PUBLISH_MESSAGES_MAX:
        raise InvalidArgument(
            "messages", f"{len(messages)} given", f"1 to {limits.PUBLISH_MESSAGES_MAX} per request"
        )
    data, attributes, message_id, publish_time, ordering_key = messages.flatten()
    counts = rows.lengths(attributes)
    contentless = (rows.lengths(data) == 0) & (counts == 0)
    _refuse(contentless, "data", data, "a message needs data or at least one attribute")
    _refuse_above(limits.ATTRIBUTES_MAX, counts, "attributes", counts, "attributes in a message")
    by_server = "is set by the server; leave it empty"
    _refuse(rows.lengths(message_id) > 0, "message_id", message_id, by_server)
    if publish_time.null_count < len(publish_time):
        raise InvalidArgument("publish_time", "given", by_server)
    _check_attributes(attributes.keys, attributes.items)
    _check_ordering_key(ordering_key)


def check_ack_size(request: bytes) -> None:
    """Refuse a request of Acknowledge or ModifyAckDeadline that is too large.

    Raises:
        InvalidArgument: it is.
    """
    if len(request) > limits.ACK_REQUEST_BYTES_MAX:
        raise InvalidArgument(
            "request", f"{len(request)} bytes", f"at most {limits.ACK_REQUEST_BYTES_MAX} bytes"
        )


def check_ack_ids(ack_ids: pa.StringArray) -> None:
    """Refuse a unary request without ack ids.

    Raises:
        InvalidArgument: there are none.
    """
    if len(ack_ids) == 0:
        raise InvalidArgument("ack_ids", "none given", "at least one is needed")


def check_positive(field: str, value: int) -> None:
    """Refuse a number below 1.

    Raises:
        InvalidArgument: it is.
    """
    if value < 1:
        raise InvalidArgument(field, value, "must be positive")


def check_lease_s(field: str, seconds: float) -> None:
    """Refuse a deadline that a lease may not begin with.

    Raises:
        InvalidArgument: it is out of range.
    """
    check_range(field, seconds, limits.ACK_DEADLINE_S_MIN, limits.ACK_DEADLINE_S_MAX)


def check_extension_s(field: str, seconds: float) -> None:
    """Refuse a deadline that a lease may not be given later; 0 gives the message back.

    Raises:
        InvalidArgument: it is out of range.
    """
    check_range(field, seconds, 0, limits.ACK_DEADLINE_S_MAX)


def check_range(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number that is out of range.

    Raises:
        InvalidArgument: it is.
    """
    if not low <= value <= high:
        raise InvalidArgument(field, value, f"must be {low} to {high}")


def _check_attributes(keys: pa.StringArray, values: pa.StringArray) -> None:
    sizes = rows.lengths(keys)
    _refuse(sizes == 0, "attributes", keys, "a key may not be empty")
    _refuse_above(limits.ATTRIBUTE_KEY_BYTES_MAX, sizes, "attributes", keys, "bytes in a key")
    reserved = rows.truths(pc.starts_with(keys, "goog"))
    _refuse(reserved, "attributes", keys, "a key may not start with goog")
    sizes = rows.lengths(values)
    _refuse_above(limits.ATTRIBUTE_VALUE_BYTES_MAX, sizes, "attributes", values, "bytes in a value")


def _check_ordering_key(keys: pa.StringArray) -> None:
    sizes = rows.lengths(keys)
    _refuse_above(limits.ORDERING_KEY_BYTES_MAX, sizes, "ordering_key", keys, "bytes")
    if sizes.any():
        differs = rows.truths(pc.not_equal(keys, keys[0]))
        _refuse(differs, "ordering_key", keys, "all messages of one request carry the same")


def _refuse_above(
    limit: int, numbers: npt.NDArray[np.int64], field: str, values: Any, what: str
) -> None:
    _refuse(numbers > limit, field, values, f"at most {limit} {what}")


def _refuse(broken: npt.NDArray[np.bool_], field: str, values: Any, rule: str) -> None:
    """Refuse the request for the first value that breaks the rule."""
    if broken.any():
        value = values[int(broken.argmax())]
        shown = reprlib.repr(value.as_py() if isinstance(value, pa.Scalar) else int(value))
        raise InvalidArgument(field, shown, rule)
