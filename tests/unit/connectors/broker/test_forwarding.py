"""The copy of a dead letter."""

import numpy as np
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.forwarding import forwarded

S = "projects/here/subscriptions/sub"
SOURCE = "CloudPubSubDeadLetterSource"
ADDED = {
    SOURCE + "Subscription": "sub",
    SOURCE + "SubscriptionProject": "here",
    SOURCE + "TopicPublishTime": "2023-11-14T22:13:20.123+00:00",
}


def stored(*attributes: dict[str, str]) -> pa.RecordBatch:
    """Return rows with these attributes."""
    count = len(attributes)
    return pa.RecordBatch.from_pydict(
        {
            "data": [b"%d" % n for n in range(count)],
            "attributes": [list(each.items()) for each in attributes],
            "message_id": ["1"] * count,
            "publish_time": [1_700_000_000_123_456] * count,
            "ordering_key": ["k"] * count,
        },
        schema=rows.STORED,
    )


def test_attributes_are_added() -> None:
    """To those that are there, on every row of a part of a batch; all else stays."""
    batch = stored({"x": "0"}, {}, {"a": "1", "b": "2"}, {"c": "3"}).slice(1, 2)
    copies = forwarded(batch, S, np.array([5, 6], np.int32)).to_pylist()
    counts = [{SOURCE + "DeliveryCount": "5"}, {SOURCE + "DeliveryCount": "6"}]
    assert [dict(each["attributes"]) for each in copies] == [
        {**ADDED, **counts[0]},
        {"a": "1", "b": "2", **ADDED, **counts[1]},
    ]
    assert [each["data"] for each in copies] == [b"1", b"2"]
    assert copies[0]["ordering_key"] == "k"


def test_attributes_of_an_earlier_death_are_replaced() -> None:
    """None is there twice."""
    batch = stored({SOURCE + "Subscription": "other", "a": "1", SOURCE + "DeliveryCount": "9"})
    (copy,) = forwarded(batch, S, np.array([5], np.int32)).to_pylist()
    assert len(copy["attributes"]) == 5
    assert dict(copy["attributes"]) == {"a": "1", **ADDED, SOURCE + "DeliveryCount": "5"}
