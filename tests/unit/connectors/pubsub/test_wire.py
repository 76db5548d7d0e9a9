"""Responses to columns and columns to requests, checked against Google's own classes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from google.pubsub_v1 import types

from connectors.pubsub import wire
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

TIME = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.timezone.utc)
SUBSCRIPTION = "projects/p/subscriptions/abc"


def received(ack_id: str, attempt: int = 0, **message: object) -> types.ReceivedMessage:
    """Return a message as the service delivers it."""
    message = {"message_id": "1", "publish_time": TIME} | message
    return types.ReceivedMessage(
        ack_id=ack_id, delivery_attempt=attempt, message=types.PubsubMessage(**message)
    )


def pull_response(*messages: types.ReceivedMessage) -> bytes:
    """Return a response on the wire."""
    return types.PullResponse.serialize(types.PullResponse(received_messages=messages))


def test_pull_response_becomes_a_message_batch() -> None:
    """All parts of a message arrive, with the types of the schema."""
    batch, ack_ids = wire.decode_pull(
        pull_response(
            received("ack-1", 3, data=b"\x00\xff", attributes={"a": "1", "b": "ä"}),
            received("ack-2", data=b"", ordering_key="key", message_id="2"),
        )
    )
    assert batch.schema == MESSAGE_SCHEMA
    assert ack_ids.to_pylist() == ["ack-1", "ack-2"]
    first, second = batch.to_pylist()
    assert sorted(first.pop("attributes")) == [("a", "1"), ("b", "ä")]
    assert first == {
        "data": b"\x00\xff", "message_id": "1", "publish_time": TIME, "ordering_key": "",
        "delivery_attempt": 3,
    }  # fmt: skip
    assert second == {
        "data": b"", "attributes": [], "message_id": "2", "publish_time": TIME,
        "ordering_key": "key", "delivery_attempt": None,
    }  # fmt: skip


def test_empty_pull_response_is_an_empty_batch() -> None:
    """No messages are no rows, still with the schema."""
    batch, ack_ids = wire.decode_pull(b"")
    assert batch.schema == MESSAGE_SCHEMA
    assert len(batch) == len(ack_ids) == 0


def test_responses_join_and_survive_their_bytes() -> None:
    """Batches of several responses have one schema and can be joined."""
    batches = [wire.decode_pull(pull_response(received(str(i)))).messages for i in range(3)]
    assert len(Batch.concat(batches)) == 3


def test_single_messages_become_a_batch() -> None:
    """Serialized messages, as Dataflow hands them over, have no delivery attempt."""
    messages = [types.PubsubMessage(data=b"x", attributes={"k": "v"}, message_id=str(i),
                                    publish_time=TIME) for i in range(3)]  # fmt: skip
    batch = wire.decode_messages([types.PubsubMessage.serialize(m) for m in messages])
    assert batch.schema == MESSAGE_SCHEMA
    assert batch.column("message_id").to_pylist() == ["0", "1", "2"]
    assert batch.column("publish_time").to_pylist() == [TIME] * 3
    assert batch.column("attributes").to_pylist() == [[("k", "v")]] * 3
    assert batch.column("delivery_attempt").null_count == 3


def test_publish_request_of_a_slice_with_nulls() -> None:
    """Only the rows of the slice are sent; null is absent."""
    rows = pa.RecordBatch.from_pydict(
        {
            "data": pa.array([b"no", b"a", None]),
            "attributes": pa.array(
                [[("x", "y")], None, [("k", "v")]], MESSAGE_SCHEMA.field(1).type
            ),
            "ordering_key": pa.array(["no", None, "key"]),
        }
    )
    request = types.PublishRequest.deserialize(
        wire.publish_request("projects/p/topics/abc", Batch(rows.slice(1)))
    )
    assert request.topic == "projects/p/topics/abc"
    assert [m.data for m in request.messages] == [b"a", b""]
    assert [dict(m.attributes) for m in request.messages] == [{}, {"k": "v"}]
    assert [m.ordering_key for m in request.messages] == ["", "key"]


def test_acknowledge_requests_stay_below_the_limit() -> None:
    """Many long ids are spread over requests below 512 KiB; each id is in exactly one."""
    ids = [f"{i:06d}" + "x" * 180 for i in range(10_000)]
    requests = list(wire.acknowledge_requests(SUBSCRIPTION, pa.array(ids)))
    decoded = [types.AcknowledgeRequest.deserialize(request) for request in requests]
    assert [ack_id for request in decoded for ack_id in request.ack_ids] == ids
    assert all(len(request) <= 524_288 for request in requests)
    assert len(requests) == 4
    assert {request.subscription for request in decoded} == {SUBSCRIPTION}


@pytest.mark.parametrize("deadline_s", [0, 600])
def test_extend_requests_carry_the_deadline(deadline_s: int) -> None:
    """Extending and giving back differ by the deadline; no id, no request."""
    (request,) = wire.extend_requests(SUBSCRIPTION, pa.array(["a", "b"]), deadline_s)
    decoded = types.ModifyAckDeadlineRequest.deserialize(request)
    assert decoded.ack_deadline_seconds == deadline_s
    assert list(decoded.ack_ids) == ["a", "b"]
    assert decoded.subscription == SUBSCRIPTION
    assert not list(wire.extend_requests(SUBSCRIPTION, pa.array([], pa.string()), deadline_s))


@pytest.mark.parametrize(
    ("sizes", "bytes_max", "rows_max", "cuts"),
    [
        ([], 10, 3, []),
        ([1, 1, 1, 1], 10, 3, [(0, 3), (3, 4)]),
        ([5, 5, 1], 10, 3, [(0, 2), (2, 3)]),
        ([11, 1, 11], 10, 3, [(0, 1), (1, 2), (2, 3)]),
        ([0, 0, 0], 0, 9, [(0, 3)]),
    ],
)  # fmt: skip
def test_spans(
    sizes: list[int], bytes_max: int, rows_max: int, cuts: list[tuple[int, int]]
) -> None:
    """Runs are as long as both limits allow; what is too large stands alone."""
    assert list(wire.spans(np.array(sizes, np.int64), bytes_max, rows_max)) == cuts
