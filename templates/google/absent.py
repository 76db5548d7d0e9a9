"""Google's templates around Pub/Sub and files for which there is nothing of ours, and why."""

from __future__ import annotations

from templates.google.declared import Absent

__all__ = ["ABSENT"]

_FROM_TOPIC = "Publish to a topic with pubsub_to_pubsub, and let a client of that system read it"
_INTO_TOPIC = "Go on with Google's template, and read its topic with ours"

ABSENT = (
    Absent(
        ("BigQuery_to_Parquet",), "no pipeline of ours reads a table",
        "Use EXPORT DATA of BigQuery, or connectors.bigquery.Read in a pipeline of your own",
    ),
    Absent(
        ("Cdc_To_BigQuery_Template",), "it merges change logs of Data Catalog's entries",
        "Use pubsub_to_bigquery with --change_type, by which BigQuery merges itself",
    ),
    Absent(("Cloud_PubSub_to_Splunk", "Cloud_PubSub_to_Datadog"), "no sink for logs", _FROM_TOPIC),
    Absent(
        (
            "Cloud_PubSub_to_MongoDB", "Cloud_PubSub_to_MongoDB_Xlang", "Cloud_PubSub_to_Redis",
            "PubSub_to_ClickHouse", "PubSub_to_Elasticsearch_Flex", "PubSub_to_Elasticsearch_Xlang",
            "Pubsub_to_Jdbc", "PubSub_To_BigTable_Yaml", "PubSub_To_Bigtable_Yaml",
            "PubSub_To_Spanner_Yaml", "PubSub_To_AlloyDb_Yaml",
        ),
        "no sink for that database", _FROM_TOPIC,
    ),
    Absent(("PubSub_to_Kafka", "Pubsub_to_Jms"), "no sink for other brokers", _FROM_TOPIC),
    Absent(
        (
            "Jdbc_to_PubSub", "Spanner_Change_Streams_to_PubSub",
            "Spanner_Ordered_Change_Streams_to_PubSub", "Bigtable_Change_Streams_to_PubSub",
            "Azure_Eventhub_to_PubSub", "Jms_to_PubSub", "Kinesis_to_PubSub", "Mqtt_to_PubSub",
        ),
        "messages come from Pub/Sub alone", _INTO_TOPIC,
    ),
    Absent(
        ("Kafka_to_Gcs_Flex", "Kafka_to_BigQuery_Flex"),
        "messages come from Pub/Sub alone",
        "Publish to a topic, for example with Kafka Connect, and read that",
    ),
    Absent(
        (
            "GCS_Text_to_BigQuery_Flex", "Stream_GCS_Text_to_BigQuery_Flex", "GCS_CSV_to_BigQuery",
            "GCS_Text_to_BigQuery", "Stream_GCS_Text_to_BigQuery",
        ),
        "files are not read into tables", "Use LOAD DATA of BigQuery",
    ),
    Absent(
        ("Streaming_Data_Generator",), "it makes test data",
        "Publish lines of a file: python -m templates run NAME --messages FILE",
    ),
    Absent(
        ("Yaml_Template",), "it runs a pipeline of yours in Beam YAML",
        "See whether one of ours does the same: python -m templates list",
    ),
)  # fmt: skip
