"""The broker's own statement of the wire messages agrees with Google's."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.iam.v1 import iam_policy_pb2, options_pb2, policy_pb2
from google.pubsub_v1.services.publisher import transports as publisher
from google.pubsub_v1.services.schema_service import transports as schema_service
from google.pubsub_v1.services.subscriber import transports as subscriber
from google.pubsub_v1.types import pubsub
from google.pubsub_v1.types import schema as pubsub_schema
from google.type import expr_pb2

from connectors.broker import definitions, limits, rows, schema
from transforms import message

ROOT = Path(__file__).resolve().parents[4]


GOOGLES = {
    each.pb().DESCRIPTOR.full_name: each.pb().DESCRIPTOR
    for module in (pubsub, pubsub_schema)
    for each in (getattr(module, name) for name in module.__protobuf__.manifest)
    if hasattr(each, "pb")
} | {
    each.full_name: each
    for module in (policy_pb2, options_pb2, iam_policy_pb2, expr_pb2)
    for each in module.DESCRIPTOR.message_types_by_name.values()
}


@pytest.mark.parametrize("name", sorted(GOOGLES))
def test_message_is_defined_as_google_defines_it(name: str) -> None:
    """Each field, oneof, enum and nested message is the same; none is missing."""
    assert described(schema.message(name).DESCRIPTOR) == described(GOOGLES[name])


def described(message: Any) -> dict[str, Any]:
    """Return all that the wire and JSON depend on."""
    return {
        "fields": {each.name.rstrip("_"): described_field(each) for each in message.fields},
        "oneofs": {each.name: {field.name for field in each.fields} for each in message.oneofs},
        "enums": {each.name: values(each) for each in message.enum_types},
        "nested": {each.name: described(each) for each in message.nested_types},
    }


def described_field(field: Any) -> tuple[Any, ...]:
    """Return number, type, repetition and presence; a message or an enum by its name."""
    named = field.message_type or field.enum_type
    kind = named.full_name if named else field.type
    return field.number, kind, field.is_repeated, field.has_presence, field.json_name.rstrip("_")


def values(enum: Any) -> dict[str, int]:
    """Return the numbers of an enum by their names."""
    return {value.name: value.number for value in enum.values}


def test_nothing_is_defined_that_google_does_not_define() -> None:
    """A message beside those compared above would be a mistyped name."""
    files = [schema.POOL.FindFileByName(name) for name, package, _ in definitions.FILES
             if package in ("google.iam.v1", "google.pubsub.v1", "google.type")]  # fmt: skip
    ours = {each.full_name for file in files for each in file.message_types_by_name.values()}
    assert ours == set(GOOGLES)


@pytest.mark.parametrize("name", ["Encoding", "SchemaView"])
def test_enum_is_defined_as_google_defines_it(name: str) -> None:
    """These two stand beside the messages."""
    ours = schema.POOL.FindEnumTypeByName(f"google.pubsub.v1.{name}")
    assert values(ours) == {each.name: each.value for each in getattr(pubsub_schema, name)}


def test_policy_service_is_defined_as_google_defines_it() -> None:
    """Its methods take and return the same messages."""
    (theirs,) = iam_policy_pb2.DESCRIPTOR.services_by_name.values()
    assert methods(schema.service(theirs.full_name)) == methods(theirs)


def methods(service: Any) -> dict[str, tuple[str, str, bool, bool]]:
    """Return what each method takes and returns, and whether it streams."""
    return {
        each.name: (each.input_type.full_name, each.output_type.full_name,
                    each.client_streaming, each.server_streaming)
        for each in service.methods
    }  # fmt: skip


class Recorder:
    """In place of a channel: writes down what a client's transport would call."""

    def __init__(self) -> None:
        self.methods: dict[str, tuple[str, str, bool, bool]] = {}

    def __getattr__(self, form: str) -> Any:
        sent, received = form.split("_")

        def record(path: str, request_serializer: Any, response_deserializer: Any) -> None:
            types = (request_serializer.__self__, response_deserializer.__self__)
            names = [(each.pb() if hasattr(each, "pb") else each).DESCRIPTOR.full_name
                     for each in types]  # fmt: skip
            name = path.rpartition("/")[2]
            self.methods[name] = (*names, sent == "stream", received == "stream")

        return record


@pytest.mark.parametrize("transport", [
    publisher.PublisherGrpcTransport, subscriber.SubscriberGrpcTransport,
    schema_service.SchemaServiceGrpcTransport,
])  # fmt: skip
def test_service_is_defined_as_googles_clients_call_it(transport: Any) -> None:
    """Google ships no descriptors of these services, but stubs."""
    stubs = transport(channel=grpc.insecure_channel("127.0.0.1:1"))
    stubs._stubs.clear()  # it has made some with its own channel
    stubs._logged_channel = recorder = Recorder()
    ours = schema.service("google.pubsub.v1." + transport.__name__.removesuffix("GrpcTransport"))
    names = [re.sub("(?<!^)([A-Z])", r"_\1", each.name).lower() for each in ours.methods]
    for name in names:
        getattr(stubs, name)
    assert methods(ours) == recorder.methods
    theirs = {name for name in vars(transport) if isinstance(vars(transport)[name], property)}
    policy = {"get_iam_policy", "set_iam_policy", "test_iam_permissions"}  # of another service
    assert theirs - set(names) == {"grpc_channel", "kind"} | policy


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
from connectors.broker.delivery import Delivery

message = {"attributes": {"a": "1"}, "ordering_key": "k"}
request = schema.message("PublishRequest")(messages=[message] * 3).SerializeToString()
messages = wire.decode("PublishRequest", request)["messages"]
rules.check_messages(messages)
batch = rows.stored(messages, 1, 1)
chosen = filters.compile('attributes.a = "1" OR hasPrefix(attributes.a, "1")')
chosen.mask(batch.column("attributes"))
request = schema.message("StreamingPullRequest")(modify_deadline_seconds=[1, 2])
seconds = wire.decode("StreamingPullRequest", request.SerializeToString())
assert rows.integers(seconds["modify_deadline_seconds"][1:]).tolist() == [2]
wire.encode_publish(batch.column("message_id"))
batch = batch.take(rows.numbers(np.array([0, 2]), rows.pa.int64()))
wire.encode_delivery(1, Delivery(batch, np.array([0, 2]), 1, None))
print([each for each in ("google.pubsub_v1", "google.api_core", "pandas") if each in sys.modules])
"""


def test_server_needs_neither_googles_clients_nor_pandas() -> None:
    """They would double the time to start, or make the first request wait as long."""
    command = [sys.executable, "-c", SERVE_ONE]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
