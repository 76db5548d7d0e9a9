"""The protocol buffers of ``google.pubsub.v1``, in the form that ``definitions.py`` explains."""

from __future__ import annotations

__all__ = ["PUBSUB", "SCHEMA"]

PUBSUB = """
AIInference: 1 endpoint string, 2 unstructured_inference .UnstructuredInference @inference_mode,
  3 service_account_email string
AIInference.UnstructuredInference: 1 parameters Struct
AcknowledgeRequest: 1 subscription string, 2 ack_ids string*
BigQueryConfig: 1 table string, 2 use_topic_schema bool, 3 write_metadata bool,
  4 drop_unknown_fields bool, 5 state .State, 6 use_table_schema bool,
  7 service_account_email string
BigtableConfig: 1 table string, 2 app_profile_id string, 3 service_account_email string,
  5 write_metadata bool, 6 column_family_mapping .ColumnFamilyMapping @message_mapping,
  4 state .State
BigtableConfig.ColumnFamilyMapping: 1 row_key_schema .RowKeySchema @key_definition,
  2 delimited_key .DelimitedKey @key_definition
BigtableConfig.ColumnFamilyMapping.RowKeySchema:
BigtableConfig.ColumnFamilyMapping.DelimitedKey: 1 key_fields string*, 2 delimiter bytes
CloudStorageConfig: 1 bucket string, 2 filename_prefix string, 3 filename_suffix string,
  10 filename_datetime_format string, 4 text_config .TextConfig @output_format,
  5 avro_config .AvroConfig @output_format, 6 max_duration Duration, 7 max_bytes int64,
  8 max_messages int64, 9 state .State, 11 service_account_email string
CloudStorageConfig.TextConfig:
CloudStorageConfig.AvroConfig: 1 write_metadata bool, 2 use_topic_schema bool
Compression: 1 compression_algorithm .CompressionAlgorithm, 2 compression_mode .CompressionMode
CreateSnapshotRequest: 1 name string, 2 subscription string, 3 labels map, 4 tags map
DeadLetterPolicy: 1 dead_letter_topic string, 2 max_delivery_attempts int32
DeleteSnapshotRequest: 1 snapshot string
DeleteSubscriptionRequest: 1 subscription string
DeleteTopicRequest: 1 topic string
DetachSubscriptionRequest: 1 subscription string
DetachSubscriptionResponse:
ExpirationPolicy: 1 ttl Duration
GetSnapshotRequest: 1 snapshot string
GetSubscriptionRequest: 1 subscription string
GetTopicRequest: 1 topic string
IngestionDataSourceSettings: 1 aws_kinesis .AwsKinesis @source,
  2 cloud_storage .CloudStorage @source, 3 azure_event_hubs .AzureEventHubs @source,
  5 aws_msk .AwsMsk @source, 6 confluent_cloud .ConfluentCloud @source,
  4 platform_logs_settings PlatformLogsSettings
IngestionDataSourceSettings.AwsKinesis: 1 state .State, 2 stream_arn string,
  3 consumer_arn string, 4 aws_role_arn string, 5 gcp_service_account string
IngestionDataSourceSettings.CloudStorage: 1 state .State, 2 bucket string,
  3 text_format .TextFormat @input_format, 4 avro_format .AvroFormat @input_format,
  5 pubsub_avro_format .PubSubAvroFormat @input_format, 6 minimum_object_create_time Timestamp,
  9 match_glob string
IngestionDataSourceSettings.CloudStorage.TextFormat: 1 delimiter string ?
IngestionDataSourceSettings.CloudStorage.AvroFormat:
IngestionDataSourceSettings.CloudStorage.PubSubAvroFormat:
IngestionDataSourceSettings.AzureEventHubs: 1 state .State, 2 resource_group string,
  3 namespace string, 4 event_hub string, 5 client_id string, 6 tenant_id string,
  7 subscription_id string, 8 gcp_service_account string
IngestionDataSourceSettings.AwsMsk: 1 state .State, 2 cluster_arn string, 3 topic string,
  4 aws_role_arn string, 5 gcp_service_account string
IngestionDataSourceSettings.ConfluentCloud: 1 state .State, 2 bootstrap_server string,
  3 cluster_id string, 4 topic string, 5 identity_pool_id string, 6 gcp_service_account string
IngestionFailureEvent: 1 topic string, 2 error_message string,
  3 cloud_storage_failure .CloudStorageFailure @failure,
  4 aws_msk_failure .AwsMskFailureReason @failure,
  5 azure_event_hubs_failure .AzureEventHubsFailureReason @failure,
  6 confluent_cloud_failure .ConfluentCloudFailureReason @failure,
  7 aws_kinesis_failure .AwsKinesisFailureReason @failure
IngestionFailureEvent.ApiViolationReason:
IngestionFailureEvent.AvroFailureReason:
IngestionFailureEvent.SchemaViolationReason:
IngestionFailureEvent.MessageTransformationFailureReason:
IngestionFailureEvent.CloudStorageFailure: 1 bucket string, 2 object_name string,
  3 object_generation int64,
  5 avro_failure_reason IngestionFailureEvent.AvroFailureReason @reason,
  6 api_violation_reason IngestionFailureEvent.ApiViolationReason @reason,
  7 schema_violation_reason IngestionFailureEvent.SchemaViolationReason @reason,
  8 message_transformation_failure_reason
    IngestionFailureEvent.MessageTransformationFailureReason @reason
IngestionFailureEvent.AwsMskFailureReason: 1 cluster_arn string, 2 kafka_topic string,
  3 partition_id int64, 4 offset int64,
  5 api_violation_reason IngestionFailureEvent.ApiViolationReason @reason,
  6 schema_violation_reason IngestionFailureEvent.SchemaViolationReason @reason,
  7 message_transformation_failure_reason
    IngestionFailureEvent.MessageTransformationFailureReason @reason
IngestionFailureEvent.AzureEventHubsFailureReason: 1 namespace string, 2 event_hub string,
  3 partition_id int64, 4 offset int64,
  5 api_violation_reason IngestionFailureEvent.ApiViolationReason @reason,
  6 schema_violation_reason IngestionFailureEvent.SchemaViolationReason @reason,
  7 message_transformation_failure_reason
    IngestionFailureEvent.MessageTransformationFailureReason @reason
IngestionFailureEvent.ConfluentCloudFailureReason: 1 cluster_id string, 2 kafka_topic string,
  3 partition_id int64, 4 offset int64,
  5 api_violation_reason IngestionFailureEvent.ApiViolationReason @reason,
  6 schema_violation_reason IngestionFailureEvent.SchemaViolationReason @reason,
  7 message_transformation_failure_reason
    IngestionFailureEvent.MessageTransformationFailureReason @reason
IngestionFailureEvent.AwsKinesisFailureReason: 1 stream_arn string, 2 partition_key string,
  3 sequence_number string,
  4 schema_violation_reason IngestionFailureEvent.SchemaViolationReason @reason,
  5 message_transformation_failure_reason
    IngestionFailureEvent.MessageTransformationFailureReason @reason,
  6 api_violation_reason IngestionFailureEvent.ApiViolationReason @reason
JavaScriptUDF: 1 function_name string, 2 code string
ListSnapshotsRequest: 1 project string, 2 page_size int32, 3 page_token string
ListSnapshotsResponse: 1 snapshots Snapshot*, 2 next_page_token string
ListSubscriptionsRequest: 1 project string, 2 page_size int32, 3 page_token string
ListSubscriptionsResponse: 1 subscriptions Subscription*, 2 next_page_token string
ListTopicSnapshotsRequest: 1 topic string, 2 page_size int32, 3 page_token string
ListTopicSnapshotsResponse: 1 snapshots string*, 2 next_page_token string
ListTopicSubscriptionsRequest: 1 topic string, 2 page_size int32, 3 page_token string
ListTopicSubscriptionsResponse: 1 subscriptions string*, 2 next_page_token string
ListTopicsRequest: 1 project string, 2 page_size int32, 3 page_token string
ListTopicsResponse: 1 topics Topic*, 2 next_page_token string
MessageStoragePolicy: 1 allowed_persistence_regions string*, 2 enforce_in_transit bool
MessageTransform: 2 javascript_udf JavaScriptUDF @transform, 7 compression Compression @transform,
  6 ai_inference AIInference @transform, 3 enabled bool, 4 disabled bool
ModifyAckDeadlineRequest: 1 subscription string, 4 ack_ids string*, 3 ack_deadline_seconds int32
ModifyPushConfigRequest: 1 subscription string, 2 push_config PushConfig
PlatformLogsSettings: 1 severity .Severity
PublishRequest: 1 topic string, 2 messages PubsubMessage*
PublishResponse: 1 message_ids string*
PubsubClientTelemetry: 1 publish_operation .PublishOperation @operation
PubsubClientTelemetry.PublishOperation: 1 hedged_attempt_count int32,
  2 publish_start_time Timestamp
PubsubMessage: 1 data bytes, 2 attributes map, 3 message_id string, 4 publish_time Timestamp,
  5 ordering_key string
PullRequest: 1 subscription string, 2 return_immediately bool, 3 max_messages int32
PullResponse: 1 received_messages ReceivedMessage*
PushConfig: 1 push_endpoint string, 2 attributes map,
  3 oidc_token .OidcToken @authentication_method, 4 pubsub_wrapper .PubsubWrapper @wrapper,
  5 no_wrapper .NoWrapper @wrapper
PushConfig.OidcToken: 1 service_account_email string, 2 audience string
PushConfig.PubsubWrapper:
PushConfig.NoWrapper: 1 write_metadata bool
ReceivedMessage: 1 ack_id string, 2 message PubsubMessage, 3 delivery_attempt int32
RetryPolicy: 1 minimum_backoff Duration, 2 maximum_backoff Duration
SchemaSettings: 1 schema string, 2 encoding Encoding, 3 first_revision_id string,
  4 last_revision_id string
SeekRequest: 1 subscription string, 2 time Timestamp @target, 3 snapshot string @target
SeekResponse:
Snapshot: 1 name string, 2 topic string, 3 expire_time Timestamp, 4 labels map
StreamingPullRequest: 1 subscription string, 2 ack_ids string*, 3 modify_deadline_seconds int32*,
  4 modify_deadline_ack_ids string*, 5 stream_ack_deadline_seconds int32, 6 client_id string,
  7 max_outstanding_messages int64, 8 max_outstanding_bytes int64, 10 protocol_version int64
StreamingPullResponse: 1 received_messages ReceivedMessage*,
  5 acknowledge_confirmation .AcknowledgeConfirmation,
  3 modify_ack_deadline_confirmation .ModifyAckDeadlineConfirmation,
  4 subscription_properties .SubscriptionProperties
StreamingPullResponse.AcknowledgeConfirmation: 1 ack_ids string*, 2 invalid_ack_ids string*,
  3 unordered_ack_ids string*, 4 temporary_failed_ack_ids string*
StreamingPullResponse.ModifyAckDeadlineConfirmation: 1 ack_ids string*, 2 invalid_ack_ids string*,
  3 temporary_failed_ack_ids string*
StreamingPullResponse.SubscriptionProperties: 1 exactly_once_delivery_enabled bool,
  2 message_ordering_enabled bool
Subscription: 1 name string, 2 topic string, 4 push_config PushConfig,
  18 bigquery_config BigQueryConfig, 22 cloud_storage_config CloudStorageConfig,
  27 bigtable_config BigtableConfig, 5 ack_deadline_seconds int32, 7 retain_acked_messages bool,
  8 message_retention_duration Duration, 9 labels map, 10 enable_message_ordering bool,
  11 expiration_policy ExpirationPolicy, 12 filter string, 13 dead_letter_policy DeadLetterPolicy,
  14 retry_policy RetryPolicy, 15 detached bool, 16 enable_exactly_once_delivery bool,
  17 topic_message_retention_duration Duration, 19 state .State,
  23 analytics_hub_subscription_info .AnalyticsHubSubscriptionInfo,
  25 message_transforms MessageTransform*, 26 tags map
Subscription.AnalyticsHubSubscriptionInfo: 1 listing string, 2 subscription string
Topic: 1 name string, 2 labels map, 3 message_storage_policy MessageStoragePolicy,
  5 kms_key_name string, 6 schema_settings SchemaSettings, 7 satisfies_pzs bool,
  8 message_retention_duration Duration, 9 state .State,
  10 ingestion_data_source_settings IngestionDataSourceSettings,
  13 message_transforms MessageTransform*, 14 tags map
UpdateSnapshotRequest: 1 snapshot Snapshot, 2 update_mask FieldMask
UpdateSubscriptionRequest: 1 subscription Subscription, 2 update_mask FieldMask
UpdateTopicRequest: 1 topic Topic, 2 update_mask FieldMask
enum BigQueryConfig.State: STATE_UNSPECIFIED ACTIVE PERMISSION_DENIED NOT_FOUND
  SCHEMA_MISMATCH IN_TRANSIT_LOCATION_RESTRICTION VERTEX_AI_LOCATION_RESTRICTION
enum BigtableConfig.State: STATE_UNSPECIFIED ACTIVE NOT_FOUND APP_PROFILE_MISCONFIGURED
  PERMISSION_DENIED SCHEMA_MISMATCH IN_TRANSIT_LOCATION_RESTRICTION
  VERTEX_AI_LOCATION_RESTRICTION
enum CloudStorageConfig.State: STATE_UNSPECIFIED ACTIVE PERMISSION_DENIED NOT_FOUND
  IN_TRANSIT_LOCATION_RESTRICTION SCHEMA_MISMATCH VERTEX_AI_LOCATION_RESTRICTION
enum Compression.CompressionAlgorithm: COMPRESSION_ALGORITHM_UNSPECIFIED ZLIB ZSTD=3
enum Compression.CompressionMode: COMPRESSION_MODE_UNSPECIFIED COMPRESS DECOMPRESS
enum IngestionDataSourceSettings.AwsKinesis.State: STATE_UNSPECIFIED ACTIVE
  KINESIS_PERMISSION_DENIED PUBLISH_PERMISSION_DENIED STREAM_NOT_FOUND CONSUMER_NOT_FOUND
  CONFLICTING_REGION_CONSTRAINTS
enum IngestionDataSourceSettings.CloudStorage.State: STATE_UNSPECIFIED ACTIVE
  CLOUD_STORAGE_PERMISSION_DENIED PUBLISH_PERMISSION_DENIED BUCKET_NOT_FOUND TOO_MANY_OBJECTS
  CONFLICTING_REGION_CONSTRAINTS=8
enum IngestionDataSourceSettings.AzureEventHubs.State: STATE_UNSPECIFIED ACTIVE
  EVENT_HUBS_PERMISSION_DENIED PUBLISH_PERMISSION_DENIED NAMESPACE_NOT_FOUND
  EVENT_HUB_NOT_FOUND SUBSCRIPTION_NOT_FOUND RESOURCE_GROUP_NOT_FOUND
  CONFLICTING_REGION_CONSTRAINTS
enum IngestionDataSourceSettings.AwsMsk.State: STATE_UNSPECIFIED ACTIVE MSK_PERMISSION_DENIED
  PUBLISH_PERMISSION_DENIED CLUSTER_NOT_FOUND TOPIC_NOT_FOUND CONFLICTING_REGION_CONSTRAINTS
enum IngestionDataSourceSettings.ConfluentCloud.State: STATE_UNSPECIFIED ACTIVE
  CONFLUENT_CLOUD_PERMISSION_DENIED PUBLISH_PERMISSION_DENIED UNREACHABLE_BOOTSTRAP_SERVER
  CLUSTER_NOT_FOUND TOPIC_NOT_FOUND CONFLICTING_REGION_CONSTRAINTS
enum PlatformLogsSettings.Severity: SEVERITY_UNSPECIFIED DISABLED DEBUG INFO WARNING ERROR
enum Subscription.State: STATE_UNSPECIFIED ACTIVE RESOURCE_ERROR
enum Topic.State: STATE_UNSPECIFIED ACTIVE INGESTION_RESOURCE_ERROR
service Publisher: CreateTopic Topic Topic, UpdateTopic UpdateTopicRequest Topic,
  Publish PublishRequest PublishResponse, GetTopic GetTopicRequest Topic,
  ListTopics ListTopicsRequest ListTopicsResponse,
  ListTopicSubscriptions ListTopicSubscriptionsRequest ListTopicSubscriptionsResponse,
  ListTopicSnapshots ListTopicSnapshotsRequest ListTopicSnapshotsResponse,
  DeleteTopic DeleteTopicRequest Empty,
  DetachSubscription DetachSubscriptionRequest DetachSubscriptionResponse
service Subscriber: CreateSubscription Subscription Subscription,
  GetSubscription GetSubscriptionRequest Subscription,
  UpdateSubscription UpdateSubscriptionRequest Subscription,
  ListSubscriptions ListSubscriptionsRequest ListSubscriptionsResponse,
  DeleteSubscription DeleteSubscriptionRequest Empty,
  ModifyAckDeadline ModifyAckDeadlineRequest Empty, Acknowledge AcknowledgeRequest Empty,
  Pull PullRequest PullResponse, StreamingPull StreamingPullRequest* StreamingPullResponse*,
  ModifyPushConfig ModifyPushConfigRequest Empty, GetSnapshot GetSnapshotRequest Snapshot,
  ListSnapshots ListSnapshotsRequest ListSnapshotsResponse,
  CreateSnapshot CreateSnapshotRequest Snapshot, UpdateSnapshot UpdateSnapshotRequest Snapshot,
  DeleteSnapshot DeleteSnapshotRequest Empty, Seek SeekRequest SeekResponse
"""

SCHEMA = """
CommitSchemaRequest: 1 name string, 2 schema Schema
CompiledProtoSchema: 1 root_message string, 2 compiled_bytes bytes
CreateSchemaRequest: 1 parent string, 2 schema Schema, 3 schema_id string
DeleteSchemaRequest: 1 name string
DeleteSchemaRevisionRequest: 1 name string, 2 revision_id string
GetSchemaRequest: 1 name string, 2 view SchemaView
ListSchemaRevisionsRequest: 1 name string, 2 view SchemaView, 3 page_size int32,
  4 page_token string
ListSchemaRevisionsResponse: 1 schemas Schema*, 2 next_page_token string
ListSchemasRequest: 1 parent string, 2 view SchemaView, 3 page_size int32, 4 page_token string
ListSchemasResponse: 1 schemas Schema*, 2 next_page_token string
RollbackSchemaRequest: 1 name string, 2 revision_id string
Schema: 1 name string, 2 type .Type, 3 definition string,
  8 compiled_proto_schema CompiledProtoSchema @configuration, 4 revision_id string,
  6 revision_create_time Timestamp
ValidateMessageRequest: 1 parent string, 2 name string @schema_spec, 3 schema Schema @schema_spec,
  4 message bytes, 5 encoding Encoding
ValidateMessageResponse:
ValidateSchemaRequest: 1 parent string, 2 schema Schema
ValidateSchemaResponse:
enum Encoding: ENCODING_UNSPECIFIED JSON BINARY
enum Schema.Type: TYPE_UNSPECIFIED PROTOCOL_BUFFER AVRO
enum SchemaView: SCHEMA_VIEW_UNSPECIFIED BASIC FULL
service SchemaService: CreateSchema CreateSchemaRequest Schema, GetSchema GetSchemaRequest Schema,
  ListSchemas ListSchemasRequest ListSchemasResponse,
  ListSchemaRevisions ListSchemaRevisionsRequest ListSchemaRevisionsResponse,
  CommitSchema CommitSchemaRequest Schema, RollbackSchema RollbackSchemaRequest Schema,
  DeleteSchemaRevision DeleteSchemaRevisionRequest Schema, DeleteSchema DeleteSchemaRequest Empty,
  ValidateSchema ValidateSchemaRequest ValidateSchemaResponse,
  ValidateMessage ValidateMessageRequest ValidateMessageResponse
"""
