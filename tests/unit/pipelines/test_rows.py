"""What pipelines take to make rows of messages."""

import pyarrow as pa
import pytest

from connectors import pubsub
from pipelines.rows import Deduplication, EventTime
from transforms.errors import ConfigError
from transforms.field import Field, column


def test_publish_time_is_followed_as_the_server_tells_it() -> None:
    """The default needs no estimate of disorder."""
    assert EventTime().watermark() == pubsub.PublishTime()


def test_other_times_are_followed_with_their_disorder() -> None:
    """An attribute is a time of its own, which needs no schema."""
    params = EventTime(event_time=Field.parse("attribute:at"), disorder=5.0)
    assert params.watermark() == pubsub.EventTime(Field.parse("attribute:at"), 5.0)


@pytest.mark.parametrize("group", [EventTime, Deduplication])
def test_column_needs_a_schema(group: type) -> None:
    """Messages that are not parsed have no columns: the error says so, and what to do."""
    given = {"event_time": column("at")} if group is EventTime else {"dedup_by": (column("at"),)}
    with pytest.raises(ConfigError, match="without --schema messages have none"):
        group(**given)


def test_keys_are_columns_that_no_schema_takes() -> None:
    """Keys outlive the message that they may come from, beside the columns of the payload."""
    fields = (column("id"), Field.parse("attribute:id"))

    class Params(Deduplication):
        schema = pa.schema([("id", pa.string())])

    assert Params(dedup_by=fields).keys == dict(zip(("_key_0", "_key_1"), fields, strict=True))
