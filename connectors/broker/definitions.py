"""The protocol buffers that the broker speaks, in a compact form that ``schema.py`` reads.

One entry a message, an enum or a service; indented lines continue the one before.

    Name: NUMBER FIELD TYPE[*] [@ONEOF | ?], ...    * repeated, map of strings, ? explicit presence
    enum Name: ZERO ONE OTHER=7 ...                 numbers count up from 0 where none is given
    service Name: METHOD REQUEST[*] RESPONSE[*], ...  * a stream

A type that begins with a point is nested in the message itself, so is ``Outer.Inner`` in Outer.
"""

from __future__ import annotations

from connectors.broker import pubsub_definitions

__all__ = ["FILES", "KNOWN"]

KNOWN = {
    "Any": "google.protobuf.Any",
    "Duration": "google.protobuf.Duration",
    "Empty": "google.protobuf.Empty",
    "FieldMask": "google.protobuf.FieldMask",
    "Struct": "google.protobuf.Struct",
    "Timestamp": "google.protobuf.Timestamp",
}
"""Short names of types that come with protocol buffers."""

_IAM = """
Policy: 1 version int32, 4 bindings Binding*, 6 audit_configs AuditConfig*, 3 etag bytes
Binding: 1 role string, 2 members string*, 3 condition google.type.Expr
AuditConfig: 1 service string, 3 audit_log_configs AuditLogConfig*
AuditLogConfig: 1 log_type .LogType, 2 exempted_members string*
PolicyDelta: 1 binding_deltas BindingDelta*, 2 audit_config_deltas AuditConfigDelta*
BindingDelta: 1 action .Action, 2 role string, 3 member string, 4 condition google.type.Expr
AuditConfigDelta: 1 action .Action, 2 service string, 3 exempted_member string, 4 log_type string
GetPolicyOptions: 1 requested_policy_version int32
SetIamPolicyRequest: 1 resource string, 2 policy Policy, 3 update_mask FieldMask
GetIamPolicyRequest: 1 resource string, 2 options GetPolicyOptions
TestIamPermissionsRequest: 1 resource string, 2 permissions string*
TestIamPermissionsResponse: 1 permissions string*
enum AuditLogConfig.LogType: LOG_TYPE_UNSPECIFIED ADMIN_READ DATA_WRITE DATA_READ
enum BindingDelta.Action: ACTION_UNSPECIFIED ADD REMOVE
enum AuditConfigDelta.Action: ACTION_UNSPECIFIED ADD REMOVE
service IAMPolicy: SetIamPolicy SetIamPolicyRequest Policy,
  GetIamPolicy GetIamPolicyRequest Policy,
  TestIamPermissions TestIamPermissionsRequest TestIamPermissionsResponse
"""

_EXPR = """
Expr: 1 expression string, 2 title string, 3 description string, 4 location string
"""

_RPC = """
Status: 1 code int32, 2 message string, 3 details Any*
ErrorInfo: 1 reason string, 2 domain string, 3 metadata map
"""

_HEALTH = """
HealthCheckRequest: 1 service string
HealthCheckResponse: 1 status .ServingStatus
enum HealthCheckResponse.ServingStatus: UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN
service Health: Check HealthCheckRequest HealthCheckResponse,
  Watch HealthCheckRequest HealthCheckResponse*
"""

_REFLECTION = """
ServerReflectionRequest: 1 host string, 3 file_by_filename string @message_request,
  4 file_containing_symbol string @message_request,
  5 file_containing_extension ExtensionRequest @message_request,
  6 all_extension_numbers_of_type string @message_request,
  7 list_services string @message_request
ExtensionRequest: 1 containing_type string, 2 extension_number int32
ServerReflectionResponse: 1 valid_host string, 2 original_request ServerReflectionRequest,
  4 file_descriptor_response FileDescriptorResponse @message_response,
  5 all_extension_numbers_response ExtensionNumberResponse @message_response,
  6 list_services_response ListServiceResponse @message_response,
  7 error_response ErrorResponse @message_response
FileDescriptorResponse: 1 file_descriptor_proto bytes*
ExtensionNumberResponse: 1 base_type_name string, 2 extension_number int32*
ListServiceResponse: 1 service ServiceResponse*
ServiceResponse: 1 name string
ErrorResponse: 1 error_code int32, 2 error_message string
service ServerReflection:
  ServerReflectionInfo ServerReflectionRequest* ServerReflectionResponse*
"""

FILES = (
    ("google/type/expr.proto", "google.type", _EXPR),
    ("google/rpc/status.proto", "google.rpc", _RPC),
    ("google/iam/v1/iam_policy.proto", "google.iam.v1", _IAM),
    ("google/pubsub/v1/schema.proto", "google.pubsub.v1", pubsub_definitions.SCHEMA),
    ("google/pubsub/v1/pubsub.proto", "google.pubsub.v1", pubsub_definitions.PUBSUB),
    ("grpc/health/v1/health.proto", "grpc.health.v1", _HEALTH),
    ("grpc/reflection/v1/reflection.proto", "grpc.reflection.v1", _REFLECTION),
    ("grpc/reflection/v1alpha/reflection.proto", "grpc.reflection.v1alpha", _REFLECTION),
)
"""File, package and definitions, each after those that it uses."""
