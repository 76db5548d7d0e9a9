"""Failures as messages of a topic, and back: nothing of the record is lost on the way. Pure.

A dead letter on a topic is the rejected message itself, byte for byte and with its attributes, so
that whoever reads the topic finds what was sent. Ten more attributes hold the rest of the record,
such as ``headrace_step``, ``headrace_error_kind`` and ``headrace_error``: a subscription can filter
by them. The ordering key is one of them, for dead letters have no order and share requests.

Where that would break a limit of the service (100 attributes, 1,024 bytes each, 10 MB a message),
hide an attribute of the message or lose a null, the message is the record instead: compressed Arrow
with one row, marked ``headrace_form=record``, with as much of the reason as fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.pubsub.outgoing import as_messages, broken_limits
from transforms.attributes import appended, without
from transforms.batch import Batch
from transforms.failure import FAILURE_SCHEMA, SCHEMA_VERSION, failures
from transforms.field import attribute
from transforms.message import (
    ATTRIBUTE_VALUE_BYTES_MAX,
    ATTRIBUTES,
    DATA,
    DELIVERY_ATTEMPT,
    MESSAGE_ID,
    MESSAGE_SCHEMA,
    ORDERING_KEY,
    PUBLISH_TIME,
)

__all__ = ["NOT_A_FAILURE", "Opened", "from_messages", "to_messages"]

PREFIX = "headrace_"
VERSION = f"{PREFIX}failure"
"""Attribute with the version of the record; its presence makes a message a dead letter of ours."""
FORM = f"{PREFIX}form"
RECORD = "record"

_AS_ATTRIBUTES = (
    "pipeline", "step", "error_kind", "error", "failed_at",
    MESSAGE_ID, PUBLISH_TIME, ORDERING_KEY, DELIVERY_ATTEMPT,
)  # fmt: skip
_RESERVED = (VERSION, FORM, *(PREFIX + name for name in _AS_ATTRIBUTES))
_REASON = ("pipeline", "step", "error_kind", "error")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"  # the fraction of a second comes with %S

_OF_PUBSUB = "CloudPubSubDeadLetterSource"
"""What the service itself puts before its attributes when it gives a message up.

https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic
"""
_SUBSCRIPTION = f"{_OF_PUBSUB}Subscription"
_OF_PUBSUB_PARTS = (
    "Subscription", "SubscriptionProject", "TopicPublishTime", "DeliveryCount",
    "DeliveryErrorMessage",
)  # fmt: skip

GIVEN_UP = "delivery_attempts_exceeded"
"""Error kind of a message that Pub/Sub has forwarded to a dead-letter topic."""
NOT_A_FAILURE = "not_a_dead_letter"
"""Error kind of a message that does not say what it failed of."""


class Opened(NamedTuple):
    """What messages of a dead-letter topic are: each is in exactly one of the two."""

    ok: Batch
    """Failures."""
    dead: Batch
    """Failures to read one: messages that are none, or of a later version."""


def to_messages(dead: Batch) -> Batch:
    """Return failures as messages with ``MESSAGE_SCHEMA``, row for row.

    A record of more than 10 MB is too large, whatever its form: what is left to do about it is to
    refuse it, as ``broken_limits`` says.
    """
    plain = _plain(dead)
    recorded = np.array(sorted(broken_limits(plain).keys() | _not_plain(dead)), np.int64)
    if not len(recorded):
        return plain
    rest = np.setdiff1d(np.arange(len(dead)), recorded)
    parts = [plain.take(pa.array(rest)).rows, _records(dead.take(pa.array(recorded))).rows]
    back = np.argsort(np.concatenate([rest, recorded]))
    return Batch(pa.concat_batches(parts).take(pa.array(back)))


def from_messages(messages: Batch, step: str) -> Opened:
    """Return the failures that messages hold, in any order.

    Args:
        messages: a batch with ``MESSAGE_SCHEMA``. Beside ours, what Pub/Sub itself has given up
            is a failure too: of the subscription, at the time when it was forwarded.
        step: named in the failures to read one.
    """
    version, form = attribute(VERSION).of(messages), attribute(FORM).of(messages)
    ours = pc.fill_null(pc.equal(version, str(SCHEMA_VERSION)), False)
    is_record = pc.and_(ours, pc.fill_null(pc.equal(form, RECORD), False))
    given_up = pc.and_(version.is_null(), attribute(_SUBSCRIPTION).of(messages).is_valid())
    parts = [
        _read(messages.filter(pc.and_not(ours, is_record)), _from_plain, step),
        _read(messages.filter(is_record), _from_records, step),
        _read(messages.filter(given_up), _from_pubsub, step),
        _read(messages.filter(pc.invert(pc.or_(ours, given_up))), _from_anything, step),
    ]
    return Opened(*map(_together, zip(*parts, strict=True)))


def _read(messages: Batch, form: Callable[[Batch], Batch], step: str) -> Opened:
    """Read messages of one form; if that fails, find the guilty ones by halves."""
    nothing = failures(messages.slice(0, 0), step, [])
    if not len(messages):
        return Opened(nothing, nothing)
    try:
        return Opened(form(messages), nothing)
    except (pa.ArrowInvalid, OSError, StopIteration) as error:
        if len(messages) == 1:
            reason = (NOT_A_FAILURE, f"the message is no dead letter: {error}")
            return Opened(nothing, failures(messages, step, [reason]))
    half = len(messages) // 2
    parts = [_read(part, form, step) for part in (messages.slice(0, half), messages.slice(half))]
    return Opened(*map(_together, zip(*parts, strict=True)))


def _together(batches: Iterable[Batch]) -> Batch:
    return Batch(pa.concat_batches([batch.rows for batch in batches]))


def _plain(dead: Batch) -> Batch:
    """Return the rejected messages with the rest of the record in attributes."""
    more = {VERSION: dead.column("schema_version").cast(pa.string())}
    more |= {PREFIX + name: _text(dead.column(name)) for name in _AS_ATTRIBUTES}
    # An empty ordering key is none, for the service as for us.
    key = more[PREFIX + ORDERING_KEY]
    more[PREFIX + ORDERING_KEY] = pc.if_else(pc.equal(key, ""), pa.scalar(None, pa.string()), key)
    return as_messages(dead.column(DATA), appended(dead.column(ATTRIBUTES), more))


def _text(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        return pc.binary_join_element_wise(pc.strftime(values, format=_TIME_FORMAT), "Z", "")
    return values.cast(pa.string())


def _not_plain(dead: Batch) -> set[int]:
    """Return the rows that the form in attributes would change."""
    changed = [attribute(name).of(dead).is_valid() for name in _RESERVED]
    changed += [dead.column(name).is_null() for name in (DATA, ATTRIBUTES, ORDERING_KEY)]
    return set(np.flatnonzero(reduce(pc.or_, changed)).tolist())


def _records(dead: Batch) -> Batch:
    """Return each failure as compressed Arrow."""
    data = pa.array([_encoded(dead.slice(row, 1)) for row in range(len(dead))], pa.binary())
    constants = {VERSION: str(SCHEMA_VERSION), FORM: RECORD}
    more = {name: pa.repeat(value, len(dead)) for name, value in constants.items()}
    more |= {PREFIX + name: _shortened(dead.column(name)) for name in _REASON}
    nothing = pa.repeat(pa.scalar([], MESSAGE_SCHEMA.field(ATTRIBUTES).type), len(dead))
    return as_messages(data, appended(nothing, more))


def _shortened(texts: pa.Array) -> pa.Array:
    """Cut texts so that they fit into an attribute, whatever their letters."""
    bytes_per_letter_max = 4
    return pc.utf8_slice_codeunits(texts, 0, ATTRIBUTE_VALUE_BYTES_MAX // bytes_per_letter_max)


def _encoded(failure: Batch) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, failure.schema, options=options) as writer:
        writer.write_batch(failure.rows)
    return sink.getvalue().to_pybytes()


def _from_plain(messages: Batch) -> Batch:
    """Undo ``_plain``."""
    given = {name: attribute(PREFIX + name).of(messages) for name in _AS_ATTRIBUTES}
    given["schema_version"] = attribute(VERSION).of(messages)
    given[ORDERING_KEY] = pc.fill_null(given[ORDERING_KEY], "")
    given[DATA] = messages.column(DATA)
    given[ATTRIBUTES] = without(messages.column(ATTRIBUTES), _RESERVED)
    return _failures(given)


def _from_records(messages: Batch) -> Batch:
    """Undo ``_records``."""
    found = []
    for data in messages.column(DATA):
        with pa.ipc.open_stream(data.as_buffer()) as reader:
            found.append(reader.read_next_batch())
        if found[-1].schema != FAILURE_SCHEMA:
            raise pa.ArrowInvalid(f"the columns of its record are {found[-1].schema.names}")
    return Batch(pa.concat_batches(found))


def _from_pubsub(messages: Batch) -> Batch:
    """Return what Pub/Sub has given up as failures of the subscription."""
    parts = {name: attribute(_OF_PUBSUB + name).of(messages) for name in _OF_PUBSUB_PARTS}
    count = len(messages)
    deliveries = pc.fill_null(parts["DeliveryCount"], "some")
    text = pc.binary_join_element_wise("not acknowledged after", deliveries, "deliveries", " ")
    return _failures(
        {
            "schema_version": pa.repeat(SCHEMA_VERSION, count),
            "pipeline": pa.nulls(count, pa.string()),
            "step": parts["Subscription"],
            "error_kind": pa.repeat(GIVEN_UP, count),
            "error": pc.coalesce(parts["DeliveryErrorMessage"], text),
            "failed_at": messages.column(PUBLISH_TIME),
            DATA: messages.column(DATA),
            ATTRIBUTES: without(
                messages.column(ATTRIBUTES), [_OF_PUBSUB + name for name in _OF_PUBSUB_PARTS]
            ),
            MESSAGE_ID: pa.nulls(count, pa.string()),
            PUBLISH_TIME: parts["TopicPublishTime"],
            ORDERING_KEY: messages.column(ORDERING_KEY),
            DELIVERY_ATTEMPT: parts["DeliveryCount"],
        }
    )


def _from_anything(_: Batch) -> Batch:
    raise pa.ArrowInvalid(f"it has neither {VERSION}={SCHEMA_VERSION} nor {_SUBSCRIPTION}")


def _failures(columns: dict[str, pa.Array]) -> Batch:
    for field in FAILURE_SCHEMA:
        if not field.nullable and columns[field.name].null_count:
            raise pa.ArrowInvalid(f"it does not say its {field.name}")
    arrays = [columns[field.name].cast(field.type) for field in FAILURE_SCHEMA]
    return Batch(pa.RecordBatch.from_arrays(arrays, schema=FAILURE_SCHEMA))
