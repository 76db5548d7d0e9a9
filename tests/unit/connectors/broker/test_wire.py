"""Requests and rows: decoded, sized, encoded, with what Google's classes say as the judge."""

import numpy as np
import pyarrow as pa
import pytest
from google.pubsub_v1.types import pubsub

from connectors.broker import rows, wire
from connectors.broker.delivery import Delivery
from connectors.broker.errors import InvalidArgument

REQUEST = pubsub.PublishRequest(
    topic="projects/p/topics/t",
    messages=[
        {"data": b"one", "attributes": {"k": "v", "key": "é"}, "ordering_key": "o"},
        {"attributes": {"k": "w"}, "ordering_key": "o"},
        {"data": b"three", "ordering_key": "o"},
    ],
)
RAW = pubsub.PublishRequest.serialize(REQUEST)


def stored() -> pa.RecordBatch:
    """Return the rows of the request."""
    return rows.stored(wire.decode("PublishRequest", RAW)["messages"], 41, 1_700_000_000_123_456)


def test_published_rows_keep_every_field() -> None:
    """Data, attributes and key are the publisher's; id and time are the broker's."""
    batch = stored()
    assert batch.schema == rows.STORED
    assert batch.column("data").to_pylist() == [b"one", b"", b"three"]
    assert sorted(batch.column("attributes")[0].as_py()) == [("k", "v"), ("key", "é")]
    assert batch.column("message_id").to_pylist() == ["41", "42", "43"]
    assert batch.column("ordering_key").to_pylist() == ["o"] * 3
    assert batch.column("publish_time").cast(pa.int64()).to_pylist() == [1_700_000_000_123_456] * 3


def test_sizes_count_data_attributes_and_key() -> None:
    """The sizes that flow control and byte limits go by, of a slice too."""
    batch = stored()
    assert rows.sizes_bytes(batch).tolist() == [3 + 1 + 1 + 3 + 2 + 1, 1 + 1 + 1, 5 + 1]
    assert rows.sizes_bytes(batch.slice(1)).tolist() == [3, 6]
    assert rows.sizes_bytes(batch.take(pa.array([2, 0]))).tolist() == [6, 11]


@pytest.mark.parametrize("picked", [[0, 1, 2], [1], [0, 2]])
def test_delivery_is_a_pull_response_to_google(picked: list[int]) -> None:
    """What is sent reads, with Google's classes, as what was published."""
    positions = np.array(picked)
    batch = stored().take(pa.array(picked))
    raw = wire.encode_delivery(5, Delivery(batch, positions, 1, None))
    response = pubsub.PullResponse.deserialize(raw)
    assert [m.message.data for m in response.received_messages] == [
        REQUEST.messages[n].data for n in picked
    ]
    assert [dict(m.message.attributes) for m in response.received_messages] == [
        dict(REQUEST.messages[n].attributes) for n in picked
    ]
    assert [m.message.message_id for m in response.received_messages] == [
        str(41 + n) for n in picked
    ]
    assert {m.message.publish_time.timestamp() for m in response.received_messages} == {
        1_700_000_000.123456
    }
    assert {m.delivery_attempt for m in response.received_messages} == {0}


def test_slice_of_rows_is_delivered_alone() -> None:
    """Rows read in place are slices, with offsets that the encoder must respect."""
    raw = wire.encode_delivery(5, Delivery(stored().slice(1, 1), np.array([1]), 1, None))
    (only,) = pubsub.PullResponse.deserialize(raw).received_messages
    assert (only.message.data, dict(only.message.attributes)) == (b"", {"k": "w"})


# Named, for the order of a map's entries, and with it the bytes, differ from process to process.
@pytest.mark.parametrize(
    "raw", [b"\xff\xff\xff", RAW[:-3], b"\x0a\x02\xff\xfe"], ids=["no tag", "cut", "no UTF-8"]
)
def test_malformed_request_is_refused(raw: bytes) -> None:
    """Bytes that are no message, cut short or not UTF-8, are an invalid argument."""
    with pytest.raises(InvalidArgument, match="request"):
        wire.decode("PublishRequest", raw)
