"""Google's templates from Pub/Sub to BigQuery, and ours in their place."""

from __future__ import annotations

from templates.google.columns import JSON_SCHEMA, SCHEMA
from templates.google.conversions import (
    INPUT,
    JAVASCRIPT,
    PYTHON,
    STORAGE_WRITE,
    TRIGGERING,
    created,
    dead_letters,
    input_of,
    schema_of,
    write_disposition,
)
from templates.google.declared import (
    Equivalent,
    Need,
    Parameter,
    Refused,
    Rule,
    Taken,
    Unneeded,
    Values,
    named,
    renamed,
)

__all__ = ["EQUIVALENTS"]

_OURS = "pubsub_to_bigquery"
_TABLE = renamed("outputTableSpec", "table")
_ERRORS = renamed(
    "outputDeadletterTable", "dead_letter",
    "if Google's template has made that table, give another: the columns differ",
)  # fmt: skip
_REJECTED = dead_letters(
    "Google's default is TABLE_error_records, whose columns differ",
    lambda found: f"{found['table']}_dead_letters" if "table" in found else None,
    "TABLE_dead_letters",
)
_SCHEMA = schema_of("outputTableSpec")
_DIFFERS = "Repeated messages are dropped, and --message_columns keeps ids and attributes."
_INPUT_SUBSCRIPTION = input_of(subscription="inputSubscription")


def _plain(
    google: str, *rules: Rule, differs: str = _DIFFERS, also: tuple[str, ...] = (),
    is_flex: bool = True,
) -> Equivalent:  # fmt: skip
    return Equivalent(
        google, _OURS, (*rules, _TABLE, _ERRORS), (_SCHEMA, _REJECTED), differs, also, is_flex
    )


_DECODE = "payloads must be JSON"
_IN_A_FUNCTION = (
    "Decode them in a user function: --udf=FILE.py:FUNCTION, whose first parameter is annotated "
    "with bytes, and which returns JSON text"
)
_DECODER = Need("udf", "decodes payloads: f(payload: bytes) -> str of JSON", example="f.py:to_json")
_ERRORS_TOPIC = renamed("outputTopic", "dead_letter", "as a topic; the record is another")


def _binary(google: str, *rules: Rule, also: tuple[str, ...] = ()) -> Equivalent:
    common = (
        _INPUT_SUBSCRIPTION, _TABLE, _ERRORS_TOPIC, created(), write_disposition(), STORAGE_WRITE,
        TRIGGERING,
    )  # fmt: skip
    return Equivalent(
        google, _OURS, (*rules, *common), (_SCHEMA, _DECODER),
        "Payloads are decoded by a function of yours.", also,
    )  # fmt: skip


def _proto(google: str, function: tuple[Parameter, ...], also: tuple[str, ...] = ()) -> Equivalent:
    return _binary(
        google,
        Refused(named("protoSchemaPath", "fullMessageName"), _DECODE, _IN_A_FUNCTION),
        Unneeded(
            named(preserveProtoFieldNames="false"), "names of fields are those that --udf gives"
        ),
        renamed("bigQueryTableSchemaPath", "schema"),
        Refused(
            named("udfOutputTopic"), "what a function rejects goes to the same dead letter",
            "Read it from there: its kind is udf_error",
        ),
        Refused(
            function,
            "the one function that a job takes decodes the payloads",
            "Do its work in that function too",
        ),
        also=also,
    )  # fmt: skip


def _changes_table(values: Values) -> dict[str, str]:
    if values["outputTableSpec"]:
        return {"table": values["outputTableSpec"]}
    dataset, table = values["outputDatasetTemplate"], values["outputTableNameTemplate"]
    return {"table": f"{values.project}.{dataset}.{table}"} if values.project else {}


def _changes_errors(values: Values) -> dict[str, str]:
    place = values["deadLetterQueueDirectory"] or values["outputDeadletterTable"]
    return {"dead_letter": place} if place else {}


def _new_tables(values: Values) -> dict[str, str]:
    return {"if_missing": "create" if values.is_true("autoMapTables") else "refuse"}


_CDC = Equivalent(
    "PubSub_CDC_to_BigQuery", _OURS,
    (
        _INPUT_SUBSCRIPTION,
        Taken(
            named(
                "outputTableSpec", outputDatasetTemplate="{_metadata_dataset}",
                outputTableNameTemplate="_metadata_table",
            ),
            ("table",), _changes_table,
            "PROJECT.DATASET.TABLE, with the job's project; what is in braces must be a column",
        ),
        Taken(
            named(autoMapTables="true"), ("if_missing",), _new_tables,
            "create or refuse; columns that come later are not added",
        ),
        renamed("schemaFilePath", "schema"),
        Taken(
            named("outputDeadletterTable", "deadLetterQueueDirectory"), ("dead_letter",),
            _changes_errors, "the folder, where both are given; deadletter_replay tries them again",
        ),
        Unneeded(named(windowDuration="5s", threadCount="100"), "rows are written as they come"),
        JAVASCRIPT,
        Refused(
            named("pythonTextTransformGcsPath", "pythonTextTransformFunctionName"),
            "Google calls it with files of JSON lines, and ours with one text",
            "Rewrite it as f(text: str) and give --udf=FILE.py:FUNCTION",
        ),
        Unneeded(
            named("pythonRuntimeVersion", runtimeRetries="5"), "functions run in the worker itself"
        ),
        STORAGE_WRITE, TRIGGERING,
    ),
    (_SCHEMA, dead_letters("what is rejected goes there")),
    "Each message is a row, as with Google's. With --change_type rows are changed by their key.",
)  # fmt: skip


def _attributes(values: Values) -> dict[str, str]:
    return {"message_columns": "attributes"} if values["attributesMap"] else {}


_YAML_FORMAT = Refused(named("format"), _DECODE, _IN_A_FUNCTION, ("JSON",))


def _yaml(google: str, topic: str = "", subscription: str = "") -> Equivalent:
    return Equivalent(
        google, _OURS,
        (
            input_of(topic, subscription), _YAML_FORMAT,
            JSON_SCHEMA,
            renamed("table", "table"),
            Refused(
                named("attributes"), "attributes are no columns of their own",
                "Give --message_columns=attributes, or take them into the row in --udf",
            ),
            Taken(
                named("attributesMap"), ("message_columns",), _attributes,
                "the column is called attributes, whatever its name was",
            ),
            _dedup("idAttribute"),
            Unneeded(named("timestampAttribute"), "rows are written as they come, in no windows"),
            Unneeded(named("errorHandling"), "what is rejected goes to dead_letter"),
            created(), write_disposition(),
            renamed("numStreams", "shards", default="1"),
        ),
        (
            SCHEMA, _REJECTED,
            Need("semantics", "as Beam's YAML writes", lambda _: "exactly_once"),
        ),
        "Names of parameters are nearly the same; the schema is in another form.",
    )  # fmt: skip


def _dedup(google: str) -> Taken:
    def convert(values: Values) -> dict[str, str]:
        return {"dedup_by": f"attribute:{values[google]}"} if values[google] else {}

    return Taken(named(google), ("dedup_by",), convert, "attribute:NAME")


EQUIVALENTS = (
    _plain("PubSub_to_BigQuery_Flex", INPUT, JAVASCRIPT, STORAGE_WRITE, TRIGGERING),
    _plain("PubSub_to_BigQuery_Xlang", INPUT, PYTHON, STORAGE_WRITE, TRIGGERING),
    _plain(
        "PubSub_to_BigQuery_Auto", _INPUT_SUBSCRIPTION, JAVASCRIPT,
        renamed("bigQuerySchemaPath", "schema"), created(), write_disposition(), STORAGE_WRITE,
        TRIGGERING,
    ),
    _plain("PubSub_to_BigQuery", input_of(topic="inputTopic"), JAVASCRIPT, is_flex=False),
    _plain("PubSub_Subscription_to_BigQuery", _INPUT_SUBSCRIPTION, JAVASCRIPT, is_flex=False),
    _yaml("PubSub_To_BigQuery_Yaml", "topic", "subscription"),
    _yaml("PubSub_Topic_To_BigQuery_Yaml", "topic"),
    _yaml("PubSub_Subscription_To_BigQuery_Yaml", "", "subscription"),
    _binary(
        "PubSub_Avro_to_BigQuery", Refused(named("schemaPath"), _DECODE, _IN_A_FUNCTION)
    ),
    _proto(
        "PubSub_Proto_to_BigQuery_Flex", JAVASCRIPT.google, ("PubSub_Proto_to_BigQuery",)
    ),
    _proto("PubSub_Proto_to_BigQuery_Xlang", PYTHON.google),
    _CDC,
)  # fmt: skip
