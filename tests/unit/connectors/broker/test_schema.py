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


def test_server_starts_without_googles_clients() -> None:
    """They would double the time to start; the broker needs none of them."""
    code = (
        "import sys, connectors.broker.server;"
        "sys.exit(any(m in sys.modules for m in ('google.pubsub_v1', 'google.api_core', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
