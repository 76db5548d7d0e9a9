"""The messages of ``google.pubsub.v1`` that the broker speaks, as protocol buffers.

They are stated here, and checked by a test against the definitions that Google ships, because
importing those takes 0.6 s: they come with clients, authentication and HTTP. Fields that the
broker only has to notice, so that it can refuse them by name, are opaque bytes; on the wire a
message within a message is just that.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import duration_pb2, message_factory, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["ACTIVE", "NAMES", "message"]

ACTIVE = 1
"""The state of every topic and subscription, as the enums of both number it."""

_PACKAGE = "google.pubsub.v1"

_FIELDS: dict[str, str] = {
    "PubsubMessage": "1 data bytes, 2 attributes map, 3 message_id string,"
    " 4 publish_time .google.protobuf.Timestamp, 5 ordering_key string",
    "Topic": "1 name string, 2 labels map, 3 message_storage_policy opaque, 5 kms_key_name string,"
    " 6 schema_settings opaque, 7 satisfies_pzs bool, 8 message_retention_duration opaque,"
    " 9 state int32, 10 ingestion_data_source_settings opaque, 13 message_transforms opaque*,"
    " 14 tags map",
    "Subscription": "1 name string, 2 topic string, 4 push_config opaque,"
    " 5 ack_deadline_seconds int32, 7 retain_acked_messages bool,"
    " 8 message_retention_duration .google.protobuf.Duration, 9 labels map,"
    " 10 enable_message_ordering bool, 11 expiration_policy opaque, 12 filter string,"
    " 13 dead_letter_policy opaque, 14 retry_policy opaque, 15 detached bool,"
    " 16 enable_exactly_once_delivery bool, 17 topic_message_retention_duration opaque,"
    " 18 bigquery_config opaque, 19 state int32, 22 cloud_storage_config opaque,"
    " 23 analytics_hub_subscription_info opaque, 25 message_transforms opaque*, 26 tags map,"
    " 27 bigtable_config opaque",
    "PublishRequest": "1 topic string, 2 messages PubsubMessage*",
    "PublishResponse": "1 message_ids string*",
    "GetTopicRequest": "1 topic string",
    "ListTopicsRequest": "1 project string, 2 page_size int32, 3 page_token string",
    "ListTopicsResponse": "1 topics Topic*, 2 next_page_token string",
    "ListTopicSubscriptionsRequest": "1 topic string, 2 page_size int32, 3 page_token string",
    "ListTopicSubscriptionsResponse": "1 subscriptions string*, 2 next_page_token string",
    "DeleteTopicRequest": "1 topic string",
    "GetSubscriptionRequest": "1 subscription string",
    "ListSubscriptionsRequest": "1 project string, 2 page_size int32, 3 page_token string",
    "ListSubscriptionsResponse": "1 subscriptions Subscription*, 2 next_page_token string",
    "DeleteSubscriptionRequest": "1 subscription string",
    "PullRequest": "1 subscription string, 2 return_immediately bool, 3 max_messages int32",
    "PullResponse": "1 received_messages ReceivedMessage*",
    "ReceivedMessage": "1 ack_id string, 2 message PubsubMessage, 3 delivery_attempt int32",
    "AcknowledgeRequest": "1 subscription string, 2 ack_ids string*",
    "ModifyAckDeadlineRequest": "1 subscription string, 3 ack_deadline_seconds int32,"
    " 4 ack_ids string*",
    "StreamingPullRequest": "1 subscription string, 2 ack_ids string*,"
    " 3 modify_deadline_seconds int32*, 4 modify_deadline_ack_ids string*,"
    " 5 stream_ack_deadline_seconds int32, 6 client_id string, 7 max_outstanding_messages int64,"
    " 8 max_outstanding_bytes int64, 10 protocol_version int64",
    "StreamingPullResponse": "1 received_messages ReceivedMessage*,"
    " 3 modify_ack_deadline_confirmation opaque, 4 subscription_properties opaque,"
    " 5 acknowledge_confirmation opaque",
}
NAMES = tuple(_FIELDS)
"""All messages that are defined here."""

_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "opaque": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
}


def message(name: str) -> Any:
    """Return the class of a message, such as ``PublishRequest``."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="pubsub.proto", package=_PACKAGE, syntax="proto3")
    pool = DescriptorPool()  # not the default one, where Google's definitions may be
    for known in (duration_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        file.dependency.append(known.DESCRIPTOR.name)
    for name, fields in _FIELDS.items():
        definition = file.message_type.add(name=name)
        for text in fields.split(", "):
            _add_field(definition, *text.split())
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(definition: DescriptorProto, number: str, name: str, kind: str) -> None:
    field = definition.field.add(name=name, number=int(number))
    repeated = kind.endswith("*") or kind == "map"
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    kind = kind.rstrip("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{_PACKAGE}.{kind}"
    if kind == "map":
        field.type_name = f".{_PACKAGE}.{definition.name}.{_add_entry(definition, name)}"
    if kind == "opaque" and not repeated:
        # A message that is present and empty says something, which plain bytes would lose.
        field.proto3_optional, field.oneof_index = True, len(definition.oneof_decl)
        definition.oneof_decl.add(name=f"_{name}")


def _add_entry(definition: DescriptorProto, name: str) -> str:
    entry = definition.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    _add_field(entry, "1", "key", "string")
    _add_field(entry, "2", "value", "string")
    return entry.name


_POOL = _pool()
