"""The broker's own statement of the wire messages agrees with Google's."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from google.pubsub_v1.types import pubsub

from connectors.broker import limits, rows, schema
from transforms import message

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("name", schema.NAMES)
def test_message_is_defined_as_google_defines_it(name: str) -> None:
    """Each field has the same name, number and place; none is missing."""
    ours = schema.message(name).DESCRIPTOR
    theirs = getattr(pubsub, name).pb().DESCRIPTOR
    assert {f.name: f.number for f in ours.fields} == {f.name: f.number for f in theirs.fields}
    for field in theirs.fields:
        own = ours.fields_by_name[field.name]
        assert own.is_repeated == field.is_repeated
        assert _wire_type(own) == _wire_type(field), field.name


def _wire_type(field: object) -> str:
    varints = {field.TYPE_BOOL, field.TYPE_INT32, field.TYPE_INT64, field.TYPE_ENUM}  # type: ignore[attr-defined]
    return "varint" if field.type in varints else "length-delimited"  # type: ignore[attr-defined]


def test_active_is_the_state_of_both_enums() -> None:
    """The number stands for ACTIVE in topics and in subscriptions."""
    states = (pubsub.Topic.State.ACTIVE, pubsub.Subscription.State.ACTIVE)
    assert [int(state) for state in states] == [schema.ACTIVE] * 2


def test_lease_has_the_columns_of_a_message_batch() -> None:
    """Broker and transforms state the schema apart, for neither may import the other."""
    assert rows.DELIVERED.equals(message.MESSAGE_SCHEMA, check_metadata=True)
    assert isinstance(rows.STORED, pa.Schema)


def test_limits_agree_with_the_writers() -> None:
    """What the pipeline's writer may send, the broker accepts."""
    shared = [name for name in message.__all__ if name.endswith("_MAX") and hasattr(limits, name)]
    assert "PUBLISH_BYTES_MAX" in shared
    assert "ATTRIBUTE_VALUE_BYTES_MAX" in shared
    for name in shared:
        assert getattr(limits, name) == getattr(message, name), name


SERVE_ONE = """
import sys
import numpy as np
import connectors.broker.server
from connectors.broker import filters, rows, rules, schema, wire
from connectors.broker.engine import Delivery

message = {"attributes": {"a": "1"}, "ordering_key": "k"}
request = schema.message("PublishRequest")(messages=[message] * 3).SerializeToString()
messages = wire.decode("PublishRequest", request)["messages"]
rules.check_messages(messages)
batch = rows.stored(messages, 1, 1)
chosen = filters.compile('attributes.a = "1" OR hasPrefix(attributes.a, "1")')
chosen.mask(batch.column("attributes"))
wire.encode_publish(batch.column("message_id"))
batch = batch.take(rows.numbers(np.array([0, 2]), rows.pa.int64()))
wire.encode_delivery(1, Delivery(batch, np.array([0, 2]), 1))
print([each for each in ("google.pubsub_v1", "google.api_core", "pandas") if each in sys.modules])
"""


def test_server_needs_neither_googles_clients_nor_pandas() -> None:
    """They would double the time to start, or make the first request wait as long."""
    command = [sys.executable, "-c", SERVE_ONE]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
