"""Schemas, their revisions, and what a topic with one accepts."""

import io
import json
from typing import Any

import fastavro
import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import Encoding, Schema

from tests.conformance.conftest import Api

pytestmark = pytest.mark.integration

AVRO = {
    "type": "record",
    "name": "State",
    "fields": [{"name": "name", "type": "string"}, {"name": "code", "type": "string"}],
}
WITH_MORE = AVRO | {"fields": [*AVRO["fields"], {"name": "pop", "type": "long", "default": 0}]}
PROTO = 'syntax = "proto3"; message State { string name = 1; string code = 2; }'
ALASKA = {"name": "Alaska", "code": "AK"}


def schema_of(api: Api, definition: Any = AVRO, type_: str = "AVRO") -> Schema:
    """Create a schema."""
    text = definition if isinstance(definition, str) else json.dumps(definition)
    ident = api.name("schemas").rpartition("/")[2]
    return api.schemas.create_schema(
        parent=api.project,
        schema={"type_": Schema.Type[type_], "definition": text},
        schema_id=ident,
    )


def commit(api: Api, name: str, definition: Any) -> Schema:
    """Commit a revision."""
    schema = {"name": name, "type_": Schema.Type.AVRO, "definition": json.dumps(definition)}
    return api.schemas.commit_schema(name=name, schema=schema)


def topic_of(api: Api, schema: Schema, encoding: Encoding = Encoding.JSON, **fields: str) -> str:
    """Create a topic with a schema."""
    return api.topic(schema_settings={"schema": schema.name, "encoding": encoding, **fields})


def binary(value: dict[str, Any]) -> bytes:
    """Return a value in Avro's binary encoding."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(AVRO), value)
    return out.getvalue()


def test_schema_is_created_shown_and_listed(api: Api) -> None:
    """GetSchema has the definition, lists have it when asked."""
    first, second = schema_of(api), schema_of(api, PROTO, "PROTOCOL_BUFFER")
    assert len(first.revision_id) == 8
    shown = api.schemas.get_schema(name=first.name)
    assert shown == first
    assert json.loads(shown.definition) == AVRO
    listed = list(api.schemas.list_schemas(parent=api.project))
    assert [each.name for each in listed] == sorted([first.name, second.name])
    assert [each.definition for each in listed] == ["", ""]
    request = {"parent": api.project, "view": "FULL", "page_size": 1}
    full = list(api.schemas.list_schemas(request=request))
    assert {each.definition for each in full} == {first.definition, PROTO}


def test_names_are_taken_once(api: Api) -> None:
    """ALREADY_EXISTS, and NOT_FOUND for one that is not there."""
    ident = schema_of(api).name.rpartition("/")[2]
    with pytest.raises(exceptions.AlreadyExists):
        api.schemas.create_schema(
            parent=api.project,
            schema={"type_": Schema.Type.AVRO, "definition": '"int"'},
            schema_id=ident,
        )
    with pytest.raises(exceptions.NotFound):
        api.schemas.get_schema(name=api.name("schemas"))
    with pytest.raises(exceptions.NotFound):
        api.topic(schema_settings={"schema": api.name("schemas"), "encoding": "JSON"})


@pytest.mark.parametrize(
    ("type_", "definition"),
    [("AVRO", "{"), ("AVRO", ""), ("AVRO", '{"type":"record"}'), ("PROTOCOL_BUFFER", "message {"),
     ("TYPE_UNSPECIFIED", '"int"'), ("AVRO", '"' + "x" * 300_000 + '"')],
)  # fmt: skip
def test_bad_definition_is_refused(api: Api, type_: str, definition: str) -> None:
    """When it is created, and when it is only validated."""
    with pytest.raises(exceptions.InvalidArgument):
        schema_of(api, definition, type_)
    schema = {"type_": Schema.Type[type_], "definition": definition}
    with pytest.raises(exceptions.InvalidArgument):
        api.schemas.validate_schema(parent=api.project, schema=schema)


def test_message_is_validated_without_a_topic(api: Api) -> None:
    """Against a stored schema, or one that comes with the request."""
    name = schema_of(api).name
    given = {"type_": Schema.Type.AVRO, "definition": json.dumps(AVRO)}
    good, bad = json.dumps(ALASKA).encode(), b'{"name":"Alaska"}'
    for spec in ({"name": name}, {"schema": given}):
        request = {"parent": api.project, "encoding": Encoding.JSON, **spec}
        api.schemas.validate_message(request={**request, "message": good})
        with pytest.raises(exceptions.InvalidArgument):
            api.schemas.validate_message(request={**request, "message": bad})


@pytest.mark.parametrize("type_", ["AVRO", "PROTOCOL_BUFFER"])
def test_topic_accepts_what_is_of_its_schema(api: Api, type_: str) -> None:
    """One bad message fails the request; deliveries name the schema."""
    schema = schema_of(api, AVRO if type_ == "AVRO" else PROTO, type_)
    topic = topic_of(api, schema)
    subscription = api.subscription(topic)
    good = {"data": json.dumps(ALASKA).encode(), "attributes": {"mine": "1"}}
    with pytest.raises(exceptions.InvalidArgument) as refusal:
        api.publish(topic, good, {"data": b'{"nam":"x"}'})
    assert refusal.value.reason.startswith("INVALID_JSON_")
    assert refusal.value.domain == "pubsub.googleapis.com"
    api.publish(topic, good)
    [received] = api.subscriber.pull(subscription=subscription, max_messages=5).received_messages
    assert dict(received.message.attributes) == {
        "mine": "1",
        "googclient_schemaname": schema.name,
        "googclient_schemarevisionid": schema.revision_id,
        "googclient_schemaencoding": "JSON",
    }


def test_binary_encoding_is_exact(api: Api) -> None:
    """Nothing may be missing or left over."""
    topic = topic_of(api, schema_of(api), Encoding.BINARY)
    data = binary(ALASKA)
    api.publish(topic, {"data": data})
    for bad in (data + b"x", data[:-1], json.dumps(ALASKA).encode()):
        with pytest.raises(exceptions.InvalidArgument):
            api.publish(topic, {"data": bad})


def test_revisions_are_tried_from_the_newest(api: Api) -> None:
    """Each message says which one it is of; a range bounds them."""
    first = schema_of(api)
    second = commit(api, first.name, WITH_MORE)
    assert api.schemas.get_schema(name=first.name).revision_id == second.revision_id
    everything = topic_of(api, first)
    bounded = topic_of(api, first, last_revision_id=first.revision_id)
    subscription = api.subscription(everything)
    old, new = json.dumps(ALASKA).encode(), json.dumps(ALASKA | {"pop": 7}).encode()
    api.publish(everything, {"data": new}, {"data": old})
    received = api.subscriber.pull(subscription=subscription, max_messages=5).received_messages
    found = [each.message.attributes["googclient_schemarevisionid"] for each in received]
    assert found == [second.revision_id, first.revision_id]
    api.publish(bounded, {"data": old})
    with pytest.raises(exceptions.InvalidArgument):
        api.publish(bounded, {"data": new})


def test_revisions_are_listed_rolled_back_and_deleted(api: Api) -> None:
    """The newest first; a deleted one is gone, the only one stays."""
    first = schema_of(api)
    second = commit(api, first.name, WITH_MORE)
    third = api.schemas.rollback_schema(name=first.name, revision_id=first.revision_id)
    assert (third.definition, third.revision_id) != (first.definition, first.revision_id)
    assert third.definition == first.definition
    listed = [each.revision_id for each in api.schemas.list_schema_revisions(name=first.name)]
    assert listed == [third.revision_id, second.revision_id, first.revision_id]
    by_revision = api.schemas.get_schema(name=f"{first.name}@{second.revision_id}")
    assert json.loads(by_revision.definition) == WITH_MORE
    for each in (first, second):
        api.schemas.delete_schema_revision(name=f"{first.name}@{each.revision_id}")
    with pytest.raises(exceptions.NotFound):
        api.schemas.get_schema(name=f"{first.name}@{second.revision_id}")
    with pytest.raises((exceptions.FailedPrecondition, exceptions.InvalidArgument)):
        api.schemas.delete_schema_revision(name=f"{first.name}@{third.revision_id}")


def test_incompatible_revision_is_refused(api: Api) -> None:
    """A field without a default can't come to Avro; a type can't change."""
    name = schema_of(api).name
    without_default = AVRO | {"fields": [*AVRO["fields"], {"name": "pop", "type": "long"}]}
    with pytest.raises(exceptions.InvalidArgument):
        commit(api, name, without_default)
    with pytest.raises(exceptions.InvalidArgument):
        api.schemas.commit_schema(
            name=name,
            schema={"name": name, "type_": Schema.Type.PROTOCOL_BUFFER, "definition": PROTO},
        )


def test_topic_of_a_deleted_schema_accepts_nothing(api: Api) -> None:
    """It shows that its schema is gone, until its settings are changed."""
    schema = schema_of(api)
    topic = topic_of(api, schema)
    api.schemas.delete_schema(name=schema.name)
    assert api.publisher.get_topic(topic=topic).schema_settings.schema == "_deleted-schema_"
    with pytest.raises((exceptions.NotFound, exceptions.InvalidArgument)):
        api.publish(topic, {"data": json.dumps(ALASKA).encode()})
    api.publisher.update_topic(
        request={"topic": {"name": topic}, "update_mask": {"paths": ["schema_settings"]}}
    )
    api.publish(topic, {"data": b"anything"})


def test_compiled_definition_needs_no_compiler(api: Api) -> None:
    """A set of file descriptors and the name of the message."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415 - used here alone

    files = FileDescriptorSet()
    message = files.file.add(name="a.proto", syntax="proto3", package="geo").message_type.add()
    message.name = "State"
    message.field.add(name="name", number=1, type=9, label=1, json_name="name")
    compiled = {"root_message": "geo.State", "compiled_bytes": files.SerializeToString()}
    schema = api.schemas.create_schema(
        parent=api.project,
        schema={"type_": Schema.Type.PROTOCOL_BUFFER, "compiled_proto_schema": compiled},
        schema_id="compiled",
    )
    assert schema.compiled_proto_schema.root_message == "geo.State"
    topic = topic_of(api, schema)
    api.publish(topic, {"data": b'{"name":"Alaska"}'})
    with pytest.raises(exceptions.InvalidArgument):
        api.publish(topic, {"data": b'{"code":"AK"}'})
