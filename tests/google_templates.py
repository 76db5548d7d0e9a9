"""Parameters of Google's templates as its pages list them, and a value for each.

Read in the pages of github.com/GoogleCloudPlatform/DataflowTemplates, of 2024 to 2026:
``v1/README_NAME.md``, ``v2/*/README_NAME.md`` and ``yaml/README_NAME.md``.
"""

from __future__ import annotations

__all__ = ["DEFAULTS", "PUBLISHED", "SAMPLES"]

_JS = (
    "javascriptTextTransformGcsPath javascriptTextTransformFunctionName"
    " javascriptTextTransformReloadIntervalMinutes"
)
_PY = "pythonExternalTextTransformGcsPath pythonExternalTextTransformFunctionName"
_WRITE = (
    "useStorageWriteApi useStorageWriteApiAtLeastOnce numStorageWriteApiStreams"
    " storageWriteApiTriggeringFrequencySec"
)
_FILES = "outputFilenamePrefix outputFilenameSuffix outputShardTemplate"
_DATES = "yearPattern monthPattern dayPattern hourPattern minutePattern"
_YAML_READ = "format schema attributes attributesMap idAttribute timestampAttribute errorHandling"
_YAML_TABLE = "table createDisposition writeDisposition numStreams"
_PROTO = (
    "protoSchemaPath fullMessageName preserveProtoFieldNames bigQueryTableSchemaPath udfOutputTopic"
    " inputSubscription outputTableSpec outputTopic writeDisposition createDisposition"
)

PUBLISHED = {
    "PubSub_to_BigQuery_Flex":
        f"outputTableSpec inputTopic inputSubscription outputDeadletterTable {_WRITE} {_JS}",
    "PubSub_to_BigQuery_Xlang":
        f"outputTableSpec inputTopic inputSubscription outputDeadletterTable {_WRITE} {_PY}",
    "PubSub_to_BigQuery_Auto":
        f"inputSubscription outputTableSpec bigQuerySchemaPath {_JS} outputDeadletterTable"
        f" writeDisposition createDisposition {_WRITE}",
    "PubSub_to_BigQuery": f"outputTableSpec inputTopic outputDeadletterTable {_JS}",
    "PubSub_Subscription_to_BigQuery":
        f"outputTableSpec inputSubscription outputDeadletterTable {_JS}",
    "PubSub_To_BigQuery_Yaml": f"topic subscription {_YAML_READ} {_YAML_TABLE}",
    "PubSub_Topic_To_BigQuery_Yaml": f"topic {_YAML_READ} {_YAML_TABLE}",
    "PubSub_Subscription_To_BigQuery_Yaml": f"subscription {_YAML_READ} {_YAML_TABLE}",
    "PubSub_Avro_to_BigQuery":
        "schemaPath inputSubscription outputTableSpec outputTopic writeDisposition"
        f" createDisposition {_WRITE}",
    "PubSub_Proto_to_BigQuery_Flex": f"{_PROTO} {_WRITE} {_JS}",
    "PubSub_Proto_to_BigQuery_Xlang": f"{_PROTO} {_WRITE} {_PY}",
    "PubSub_CDC_to_BigQuery":
        "inputSubscription autoMapTables schemaFilePath outputDatasetTemplate"
        " outputTableNameTemplate outputTableSpec outputDeadletterTable deadLetterQueueDirectory"
        f" windowDuration threadCount {_JS} pythonTextTransformGcsPath pythonRuntimeVersion"
        f" pythonTextTransformFunctionName runtimeRetries {_WRITE}",
    "Cloud_PubSub_to_GCS_Text_Flex":
        "outputDirectory inputTopic inputSubscription userTempLocation numShards windowDuration"
        f" {_FILES} {_DATES}",
    "Cloud_PubSub_to_GCS_Text": f"outputDirectory inputTopic userTempLocation {_FILES} {_DATES}",
    "Cloud_PubSub_to_Avro_Flex":
        "outputDirectory avroTempDirectory inputTopic inputSubscription numShards windowDuration"
        f" {_FILES} {_DATES}",
    "Cloud_PubSub_to_Avro": f"inputTopic outputDirectory avroTempDirectory {_FILES} {_DATES}",
    "Cloud_PubSub_to_Cloud_PubSub": "inputSubscription outputTopic filterKey filterValue",
    "PubSub_Subscription_to_PubSub_Topic_Yaml":
        "subscription outputTopic format schema attributes attributesMap idAttribute"
        " timestampAttribute outputFormat outputSchema outputAttributes outputAttributesMap"
        " outputIdAttribute outputTimestampAttribute",
    "GCS_Text_to_Cloud_PubSub": "inputFilePattern outputTopic",
    "Stream_GCS_Text_to_Cloud_PubSub": "inputFilePattern outputTopic",
    "PubSub_To_Iceberg_Yaml":
        f"topic subscription {_YAML_READ} table catalogName catalogProperties"
        " triggeringFrequencySeconds configProperties drop filter keep only partitionFields"
        " tableProperties sdfCheckpointAfterDuration sdfCheckpointAfterOutputBytes",
}  # fmt: skip
"""Names of parameters by template."""

DEFAULTS = {
    "autoMapTables": "true", "createDisposition": "CREATE_IF_NEEDED", "dayPattern": "dd",
    "hourPattern": "HH", "javascriptTextTransformReloadIntervalMinutes": "0",
    "minutePattern": "mm", "monthPattern": "MM", "numShards": "0", "numStorageWriteApiStreams": "0",
    "numStreams": "1", "outputDatasetTemplate": "{_metadata_dataset}",
    "outputFilenamePrefix": "output", "outputFormat": "JSON",
    "outputShardTemplate": "W-P-SS-of-NN", "outputTableNameTemplate": "_metadata_table",
    "preserveProtoFieldNames": "false", "runtimeRetries": "5", "sdfCheckpointAfterDuration": "30s",
    "sdfCheckpointAfterOutputBytes": "536870912", "threadCount": "100",
    "useStorageWriteApi": "false", "useStorageWriteApiAtLeastOnce": "false",
    "writeDisposition": "WRITE_APPEND", "yearPattern": "YYYY",
}  # fmt: skip
"""Defaults of parameters that have the same one everywhere."""

SAMPLES = {
    "attributesMap": "attributes", "autoMapTables": "true",
    "catalogProperties": '{"type": "rest", "uri": "https://host", "warehouse": "gs://b/w"}',
    "createDisposition": "CREATE_IF_NEEDED", "deadLetterQueueDirectory": "./dead",
    "fullMessageName": "package.Message", "filterKey": "kind", "filterValue": "click|view",
    "format": "JSON", "inputFilePattern": "gs://b/*.json",
    "inputSubscription": "projects/my-project/subscriptions/flights",
    "javascriptTextTransformFunctionName": "transform",
    "javascriptTextTransformGcsPath": "function.js",
    "javascriptTextTransformReloadIntervalMinutes": "5", "numShards": "3",
    "numStorageWriteApiStreams": "4", "numStreams": "2",
    "outputDatasetTemplate": "{dataset}", "outputDeadletterTable": "my-project:ds.errors",
    "outputDirectory": "./out/YYYY/MM/dd/HH/mm/", "outputIdAttribute": "id",
    "outputTableNameTemplate": "{name}", "outputTableSpec": "my-project:ds.flights",
    "outputTopic": "projects/my-project/topics/flights-out",
    "partitionFields": '["day(at)", "name"]', "idAttribute": "id", "timestampAttribute": "at",
    "pythonExternalTextTransformFunctionName": "transform",
    "pythonExternalTextTransformGcsPath": "function.py",
    "storageWriteApiTriggeringFrequencySec": "5",
    "subscription": "projects/my-project/subscriptions/flights",
    "table": "my-project:ds.flights", "triggeringFrequencySeconds": "60",
    "useStorageWriteApi": "true", "useStorageWriteApiAtLeastOnce": "false",
    "windowDuration": "10m", "writeDisposition": "WRITE_APPEND",
}  # fmt: skip
"""A value of each parameter that is more than its default, as someone would write it."""
