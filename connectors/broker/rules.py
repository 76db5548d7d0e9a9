"""The rules for published messages, checked on whole columns."""

from __future__ import annotations

import reprlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument

__all__ = [
    "check_ack_ids",
    "check_ack_size",
    "check_extension_s",
    "check_lease_s",
    "check_messages",
    "check_positive",
    "check_publish_size",
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
    counts = pa.array(np.diff(attributes.offsets))
    contentless = pc.and_(pc.equal(pc.binary_length(data), 0), pc.equal(counts, 0))
    _refuse(contentless, "data", data, "a message needs data or at least one attribute")
    _refuse(
        pc.greater(counts, limits.ATTRIBUTES_MAX),
        "attributes", counts, f"a message has at most {limits.ATTRIBUTES_MAX}",
    )  # fmt: skip
    by_server = "is set by the server; leave it empty"
    _refuse(pc.not_equal(message_id, ""), "message_id", message_id, by_server)
    _refuse(pc.is_valid(publish_time), "publish_time", publish_time, by_server)
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
    _check_range(field, seconds, limits.ACK_DEADLINE_S_MIN, limits.ACK_DEADLINE_S_MAX)


def check_extension_s(field: str, seconds: float) -> None:
    """Refuse a deadline that a lease may not be given later; 0 gives the message back.

    Raises:
        InvalidArgument: it is out of range.
    """
    _check_range(field, seconds, 0, limits.ACK_DEADLINE_S_MAX)


def _check_range(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidArgument(field, value, f"must be {low} to {high}")


def _check_attributes(keys: pa.StringArray, values: pa.StringArray) -> None:
    key_bytes = pc.binary_length(keys)
    _refuse(pc.equal(key_bytes, 0), "attributes", keys, "a key may not be empty")
    _refuse(
        pc.greater(key_bytes, limits.ATTRIBUTE_KEY_BYTES_MAX),
        "attributes", keys, f"a key has at most {limits.ATTRIBUTE_KEY_BYTES_MAX} bytes",
    )  # fmt: skip
    _refuse(pc.starts_with(keys, "goog"), "attributes", keys, "a key may not start with goog")
    _refuse(
        pc.greater(pc.binary_length(values), limits.ATTRIBUTE_VALUE_BYTES_MAX),
        "attributes", values, f"a value has at most {limits.ATTRIBUTE_VALUE_BYTES_MAX} bytes",
    )  # fmt: skip


def _check_ordering_key(keys: pa.StringArray) -> None:
    _refuse(
        pc.greater(pc.binary_length(keys), limits.ORDERING_KEY_BYTES_MAX),
        "ordering_key", keys, f"it has at most {limits.ORDERING_KEY_BYTES_MAX} bytes",
    )  # fmt: skip
    _refuse(
        pc.not_equal(keys, keys[0]),
        "ordering_key", keys, "all messages of one request carry the same",
    )  # fmt: skip


def _refuse(broken: pa.BooleanArray, field: str, values: pa.Array, rule: str) -> None:
    index = pc.index(broken, True).as_py()
    if index >= 0:
        shown = reprlib.repr(values[index].as_py())
        raise InvalidArgument(field, shown, rule)
