"""What is published: checked against the limits and cut into requests, column by column.

Pure: nothing here talks to a server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.pubsub.wire import spans
from transforms.batch import Batch
from transforms.message import (
    ATTRIBUTE_KEY_BYTES_MAX,
    ATTRIBUTE_VALUE_BYTES_MAX,
    ATTRIBUTES,
    ATTRIBUTES_MAX,
    DATA,
    DELIVERY_ATTEMPT,
    MESSAGE_BYTES_MAX,
    MESSAGE_ID,
    MESSAGE_SCHEMA,
    ORDERING_KEY,
    ORDERING_KEY_BYTES_MAX,
    PUBLISH_BYTES_MAX,
    PUBLISH_MESSAGES_MAX,
    PUBLISH_TIME,
)

__all__ = ["Chain", "Reason", "as_messages", "broken_limits", "plan_requests"]

Rows = npt.NDArray[np.int64]
Chain = list[Rows]
"""Requests that go one after the other, each as the rows that it holds."""

Reason = tuple[str, str]
"""Error kind and text, as ``failures`` takes them."""

_REQUEST_BYTES_RESERVED = 1_024  # the topic's name
_MESSAGE_BYTES_OVERHEAD = 16  # tags and lengths of the message, its data and ordering key
_ATTRIBUTE_BYTES_OVERHEAD = 12  # tags and lengths of the entry, its key and value


class _Sizes(NamedTuple):
    """What the limits are about, one number per message."""

    data: Rows
    attributes: Rows
    attribute_bytes: Rows
    key_bytes_min: Rows
    key_bytes_max: Rows
    value_bytes_max: Rows
    ordering_key: Rows

    @property
    def message(self) -> Rows:
        """Bytes without what the encoding adds."""
        return self.data + self.attribute_bytes + self.ordering_key

    @property
    def encoded_max(self) -> Rows:
        """Bytes in a request, or a few more."""
        overhead = _MESSAGE_BYTES_OVERHEAD + self.attributes * _ATTRIBUTE_BYTES_OVERHEAD
        return self.message + overhead


_Broken = Callable[[_Sizes], npt.NDArray[np.bool_]]

_LIMITS: tuple[tuple[str, str, _Broken], ...] = (
    (
        "empty_message",
        "a message needs data or at least one attribute",
        lambda sizes: (sizes.data == 0) & (sizes.attributes == 0),
    ),
    (
        "message_too_large",
        f"a message may have {MESSAGE_BYTES_MAX:,} bytes",
        lambda sizes: sizes.message > MESSAGE_BYTES_MAX,
    ),
    (
        "too_many_attributes",
        f"a message may have {ATTRIBUTES_MAX} attributes",
        lambda sizes: sizes.attributes > ATTRIBUTES_MAX,
    ),
    (
        "attribute_key_empty",
        "an attribute needs a key",
        lambda sizes: (sizes.attributes > 0) & (sizes.key_bytes_min == 0),
    ),
    (
        "attribute_key_too_long",
        f"the key of an attribute may have {ATTRIBUTE_KEY_BYTES_MAX} bytes",
        lambda sizes: sizes.key_bytes_max > ATTRIBUTE_KEY_BYTES_MAX,
    ),
    (
        "attribute_value_too_long",
        f"the value of an attribute may have {ATTRIBUTE_VALUE_BYTES_MAX:,} bytes",
        lambda sizes: sizes.value_bytes_max > ATTRIBUTE_VALUE_BYTES_MAX,
    ),
    (
        "ordering_key_too_long",
        f"an ordering key may have {ORDERING_KEY_BYTES_MAX:,} bytes",
        lambda sizes: sizes.ordering_key > ORDERING_KEY_BYTES_MAX,
    ),
)


def as_messages(
    data: pa.Array, attributes: pa.Array | None = None, ordering_key: pa.Array | None = None
) -> Batch:
    """Return columns as a batch with ``MESSAGE_SCHEMA``, ready to be published.

    Args:
        data: binary or string.
        attributes: map of string to string; None for none.
        ordering_key: string; None for none.
    """
    given = {DATA: data, ATTRIBUTES: attributes, ORDERING_KEY: ordering_key}
    given |= dict.fromkeys((MESSAGE_ID, PUBLISH_TIME, DELIVERY_ATTEMPT))
    columns = [
        pa.nulls(len(data), field.type)
        if given[field.name] is None
        else given[field.name].cast(field.type)
        for field in MESSAGE_SCHEMA
    ]
    return Batch(pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA))


def broken_limits(messages: Batch) -> dict[int, Reason]:
    """Return the rows that the service would refuse, with the first limit that each breaks."""
    sizes = _measure(messages)
    found: dict[int, Reason] = {}
    for kind, text, broken in _LIMITS:
        for row in np.flatnonzero(broken(sizes)).tolist():
            found.setdefault(row, (kind, text))
    return found


def plan_requests(messages: Batch, rows: Rows) -> list[Chain]:
    """Cut the rows into requests within the limits; chains may go at the same time.

    A request holds one ordering key, for the service allows no more. The requests of one key are
    a chain, in the order of the rows; without a key each request is a chain of its own.
    """
    encoded = _measure(messages).encoded_max
    codes = _ordering_codes(messages.column(ORDERING_KEY))[rows]
    by_code = np.argsort(codes, kind="stable")
    chains: list[Chain] = []
    for group in np.split(by_code, np.flatnonzero(np.diff(codes[by_code])) + 1):
        cuts = spans(
            encoded[rows[group]], PUBLISH_BYTES_MAX - _REQUEST_BYTES_RESERVED, PUBLISH_MESSAGES_MAX
        )
        chain = [rows[group[start:stop]] for start, stop in cuts]
        ordered = len(group) and codes[group[0]] >= 0
        chains += [chain] if ordered else [[request] for request in chain]
    return chains


def _ordering_codes(keys: pa.Array) -> Rows:
    """Return a number for each ordering key, -1 for none."""
    keys = pc.if_else(pc.equal(keys, ""), pa.scalar(None, pa.string()), keys)
    return pc.fill_null(keys.dictionary_encode().indices, -1).to_numpy().astype(np.int64)


def _measure(messages: Batch) -> _Sizes:
    attributes = messages.column(ATTRIBUTES)
    count, valid = len(messages), attributes.is_valid().to_numpy(zero_copy_only=False)
    offsets = attributes.offsets.to_numpy()
    entries = slice(int(offsets[0]), int(offsets[-1]))
    key_bytes = _lengths(attributes.keys)[entries]
    value_bytes = _lengths(attributes.items)[entries]
    owner = np.repeat(np.arange(count), np.diff(offsets))
    per_message = np.bincount(owner, key_bytes + value_bytes, minlength=count)
    return _Sizes(
        data=_lengths(messages.column(DATA)),
        attributes=np.diff(offsets).astype(np.int64) * valid,
        attribute_bytes=per_message.astype(np.int64) * valid,
        key_bytes_min=_most(-key_bytes, owner, valid, -ATTRIBUTE_KEY_BYTES_MAX) * -1,
        key_bytes_max=_most(key_bytes, owner, valid, 0),
        value_bytes_max=_most(value_bytes, owner, valid, 0),
        ordering_key=_lengths(messages.column(ORDERING_KEY)),
    )


def _most(values: Rows, owner: Rows, valid: npt.NDArray[np.bool_], start: int) -> Rows:
    """Return the largest value of each owner, ``start`` for an owner of none."""
    largest = np.full(len(valid), start, np.int64)
    np.maximum.at(largest, owner, values)
    return np.where(valid, largest, start)


def _lengths(values: pa.Array) -> Rows:
    """Return bytes, 0 for null."""
    lengths = pc.fill_null(pc.binary_length(values), 0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64)
