"""Google's templates from Pub/Sub to tables of files, and ours in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pipelines.params import ConfigError
from templates.google.columns import JSON_SCHEMA, SCHEMA
from templates.google.conversions import beside, dead_letters, input_of
from templates.google.declared import (
    Equivalent,
    Need,
    Refused,
    Taken,
    Unneeded,
    Values,
    named,
    renamed,
)

__all__ = ["EQUIVALENTS"]

_LEVEL = re.compile(r"(?:(?P<unit>year|month|day|hour)\((?P<of>\w+)\)|(?P<column>\w+))")
_JAVA = ("catalog-impl", "io-impl")


def _structure(values: Values, name: str, wanted: type, noun: str, example: str) -> Any:
    try:
        found = yaml.safe_load(values[name])
    except yaml.YAMLError:
        found = None
    if not isinstance(found, wanted):
        raise ConfigError(name, values[name], f"must be {noun}", f"Write for example {example}")
    return found


def _catalog(values: Values) -> dict[str, str]:
    if not values["catalogProperties"]:
        return {"catalog": values["catalogName"]} if values["catalogName"] else {}
    example = '{"type": "rest", "uri": "https://host"}'
    properties = _structure(values, "catalogProperties", dict, "a map", example)
    _refuse_java(properties, values["catalogProperties"])
    pairs = {str(key): _property(key, each) for key, each in properties.items()}
    warehouse, table = pairs.get("warehouse", ""), values["table"].replace(".", "/")
    output = f"{warehouse.rstrip('/')}/{table}" if warehouse.startswith("gs://") and table else ""
    return {
        "catalog": ",".join(f"{key}={text}" for key, text in pairs.items()),
        **({"output": output} if output else {}),
    }


def _refuse_java(properties: Mapping[str, Any], text: str) -> None:
    kind = str(properties.get("type", ""))
    java = next((name for name in _JAVA if name in properties), "")
    if kind.lower() != "hadoop" and not java:
        return
    what = f"has {java}, a class of Java" if java else "is a Hadoop catalog, and ours are pyiceberg"
    raise ConfigError(
        "catalogProperties", text, what,
        "Leave the catalog out for one of SQLite beside the files, or use one of type rest, glue, "
        "sql or hive",
    )  # fmt: skip


def _property(key: Any, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "," in text:
        raise ConfigError(
            "catalogProperties", text, f"has a comma in {key}, which is between properties",
            "Put the properties into .pyiceberg.yaml and give the catalog's name",
        )  # fmt: skip
    return text


def _commits(values: Values) -> dict[str, str]:
    seconds = values.count("triggeringFrequencySeconds")
    return {"commit_every": f"{seconds}s", "window": f"fixed:{seconds}s"} if seconds else {}


def _partitions(values: Values) -> dict[str, str]:
    if not values["partitionFields"]:
        return {}
    example = '["day(ts)", "carrier"]'
    levels = _structure(values, "partitionFields", list, "a list", example)
    return {"partition_by": ",".join(_level(str(each).strip()) for each in levels)}


def _level(text: str) -> str:
    match = _LEVEL.fullmatch(text)
    if match is None:
        raise ConfigError(
            "partitionFields", text, "is no column and no year, month, day or hour of one",
            "Leave it out: ours have no buckets and no truncated values",
        )  # fmt: skip
    if match["column"]:
        return text
    return f"{'date' if match['unit'] == 'day' else match['unit']}({match['of']})"


def _attribute(google: str, ours: str) -> Taken:
    def convert(values: Values) -> dict[str, str]:
        return {ours: f"attribute:{values[google]}"} if values[google] else {}

    return Taken(named(google), (ours,), convert, "attribute:NAME")


_IN_SCHEMA = "Leave columns out of --schema: what it lacks is not written"

EQUIVALENTS = (
    Equivalent(
        "PubSub_To_Iceberg_Yaml", "pubsub_to_lake",
        (
            input_of("topic", "subscription"),
            Refused(
                named("format"), "payloads must be JSON",
                "Decode them in a user function: --udf=FILE.py:FUNCTION, f(payload: bytes) -> str",
                ("JSON",),
            ),
            JSON_SCHEMA,
            renamed("table", "iceberg_table"),
            Taken(
                named("catalogName", "catalogProperties"), ("catalog", "output"), _catalog,
                "properties as KEY=VALUE,... or else the name, both of pyiceberg; output is below "
                "the warehouse",
            ),
            Taken(
                named("triggeringFrequencySeconds"), ("commit_every", "window"), _commits,
                "files for as long a time, committed as often",
            ),
            _attribute("idAttribute", "dedup_by"),
            _attribute("timestampAttribute", "event_time"),
            Taken(
                named("partitionFields"), ("partition_by",), _partitions,
                "LEVEL,... where day is date",
            ),
            Refused(
                named("attributes", "attributesMap"), "attributes are no columns",
                "Take them into the row in a function: --udf=FILE.py:FUNCTION",
            ),
            Refused(named("drop", "keep", "only"), "all columns of --schema are kept", _IN_SCHEMA),
            Refused(
                named("tableProperties", "configProperties"), "properties of tables are not set",
                "Set them on the table once it is there",
            ),
            Unneeded(
                named("errorHandling", "filter"), "Google's template declares it and never uses it"
            ),
            Unneeded(
                named(sdfCheckpointAfterDuration="30s", sdfCheckpointAfterOutputBytes="536870912"),
                "they are for Google's steps in Java",
            ),
        ),
        (
            SCHEMA,
            Need("output", "the folder of the table's files", example="gs://my-bucket/lake"),
            Need("table_format", "the same", lambda _: "iceberg"),
            dead_letters(
                "what is rejected goes there; Google's loses it", beside("output"),
                "OUTPUT_dead_letters",
            ),
        ),
        "Repeated messages are dropped, and late ones kept.",
        also=("Pubsub_To_Iceberg_Yaml",),
    ),
)  # fmt: skip
