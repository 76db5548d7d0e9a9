"""The kinds of parameters: what a flag's text may be, and the value that it becomes."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors import dead_letter, lake, retry, storage
from connectors.cloud_storage import SCHEME
from connectors.objects import ObjectStore
from connectors.pubsub import Missing, Route
from connectors.pubsub.names import check_subscription, check_topic
from pipelines.kind import Kind
from transforms.condition import Condition
from transforms.duration import parse_duration
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.measure_text import parse_measures
from transforms.message import ATTRIBUTE_KEY_BYTES_MAX
from transforms.schema import from_json
from transforms.triggers import parse_trigger
from transforms.windows import parse_windows

__all__ = [
    "ATTRIBUTE",
    "CATALOG",
    "CONDITION",
    "COUNT",
    "DEAD_LETTER",
    "DURATION",
    "FAILURES",
    "FIELD",
    "FIELDS",
    "FILE_FORMAT",
    "FOLDER",
    "FOLDER_TEMPLATE",
    "INPUT_FOLDER",
    "MULTIPLE",
    "PARTITIONS",
    "ROUTE",
    "SCHEMA_FILE",
    "SOME_TIME",
    "SUBSCRIPTION",
    "SWITCH",
    "TABLE",
    "TABLE_FORMAT",
    "TEXTS",
    "TIME",
    "TOPIC",
    "TRIGGER",
    "WINDOW",
    "choice",
]


_PATIENCE_S = 20.0
"""For a file that is read before anything starts, while someone waits."""

# Patterns are for those who can't call our code: egrep's, which knows no \d, and weaker than it.
_TIME_SPAN = "[0-9]{1,12}(ms|s|m|h|d)"
_ID = "[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_TOPIC = f"projects/[^/ ]+/topics/{_ID}"
_SUBSCRIPTION = f"projects/[^/ ]+/subscriptions/{_ID}"
_OBJECTS = "gs://[^/ ]+(/.*)?"
_TABLE = "[^/ ]+[.:][^/ ]+[.].+|projects/[^/ ]+/datasets/[^/ ]+/tables/[^/]+"


def choice(noun: str, *choices: str, make: Callable[[str], Any] = str) -> Kind:
    """Return the kind of parameters that are one of some words.

    Args:
        noun: what they choose.
        choices: the words.
        make: makes the value of a word.
    """
    either = f"{', '.join(choices[:-1])} or {choices[-1]}"

    def parse(text: str) -> Any:
        if text not in choices:
            raise ConfigError(noun, text, f"must be {either}", f"Write {either}")
        return make(text)

    return Kind("|".join(choices), parse, choices=choices, pattern=f"^({'|'.join(choices)})$")


def _name(noun: str, check: Callable[[str, str], None], pattern: str) -> Kind:
    def parse(text: str) -> str:
        check(noun, text)
        return text

    name = noun.upper()
    return Kind(name, parse, pattern=f"^{pattern}$", resource=f"PUBSUB_{name}")


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,14}", text):
        raise ConfigError("count", text, "must be a whole number above 0", "Write for example 1000")
    return int(text)


def _folder(text: str) -> str:
    if not text or "://" in text.removeprefix("gs://"):
        raise ConfigError(
            "folder", text, "must be a path on this machine or gs://BUCKET/FOLDER",
            "Write for example ./lake or gs://my-bucket/lake",
        )  # fmt: skip
    return text.rstrip("/") or "/"


def _template(text: str) -> str:
    return storage.TimeFolders(text).template


def _content(path: str) -> str:
    """Return the text of a file or an object: a worker in the cloud has no file of ours."""
    if path.startswith(SCHEME):
        return ObjectStore(retry.Backoff(patience_s=_PATIENCE_S)).read(path).decode("utf-8")
    return Path(path).read_text(encoding="utf-8")


def _schema(text: str) -> pa.Schema:
    try:
        content = _content(text)
    except FileNotFoundError:
        raise ConfigError(
            "file", text, "there is no such file",
            "Give the path of a JSON file with the columns in BigQuery's schema form",
        ) from None  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "file", text, f"can't be read ({error})", "Make it a readable UTF-8 text file"
        ) from None
    try:
        return from_json(content)
    except json.JSONDecodeError as error:
        raise ConfigError(
            "file", text, f"is not JSON: {error}", "Correct the file at that place"
        ) from None


def _fields(text: str) -> tuple[Field, ...]:
    return tuple(Field.parse(part.strip()) for part in text.split(","))


def _route(text: str) -> str | Route:
    if "{" in text or "}" in text:
        return Route(text)
    check_topic("topic", text)
    return text


def _table(text: str) -> object:
    # Not before: importing the connector takes time that other pipelines need not pay.
    from connectors.bigquery.destination import Destination  # noqa: PLC0415

    return Destination(text)


def _attribute(text: str) -> str:
    size = len(text.encode())
    if not 1 <= size <= ATTRIBUTE_KEY_BYTES_MAX or text.startswith("goog"):
        raise ConfigError(
            "attribute", text,
            f"must have 1 to {ATTRIBUTE_KEY_BYTES_MAX} bytes and not start with goog",
            "Write for example source_message_id",
        )  # fmt: skip
    return text


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError("switch", text, "must be true or false", "Give the flag alone for true")
    return text == "true"


def _texts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _time(text: str) -> dt.datetime:
    try:
        # Before Python 3.11 the Z of UTC is not understood.
        time = dt.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        time = None
    if time is None or (time.tzinfo is None and len(text) > len("2026-01-31")):
        raise ConfigError(
            "time", text, "must be a date, or a time with its offset from UTC",
            "Write for example 2026-01-31 or 2026-01-31T09:30:00Z",
        )  # fmt: skip
    return time.replace(tzinfo=time.tzinfo or dt.timezone.utc)


def _multiple(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or float(text) == 0:
        raise ConfigError("number", text, "must be above 0", "Write for example 1, 0.5 or 1000")
    return float(text)


def _folder_kind(resource: str) -> Kind:
    cloud = f"^{_OBJECTS}$"
    return Kind("FOLDER", _folder, pattern="^.+$", cloud_pattern=cloud, resource=resource)


SUBSCRIPTION = _name("subscription", check_subscription, _SUBSCRIPTION)
TOPIC = _name("topic", check_topic, _TOPIC)
COUNT = Kind("N", _count, type="integer", pattern="^[1-9][0-9]{0,14}$")
DEAD_LETTER = Kind(
    "TOPIC|TABLE|FOLDER", dead_letter.target,
    pattern="^.+$", cloud_pattern=f"^({_OBJECTS}|{_TOPIC}|{_TABLE})$",
)  # fmt: skip
PARTITIONS = Kind("LEVELS", lake.Partition.parse, separator=",")
TRIGGER = Kind("TRIGGER", parse_trigger, pattern=f"^(at_watermark|early:{_TIME_SPAN})$")
WINDOW = Kind(
    "WINDOW", parse_windows,
    pattern=f"^((fixed:)?{_TIME_SPAN}|sliding:{_TIME_SPAN}/{_TIME_SPAN}"
    f"|session:{_TIME_SPAN}(/.+)?)$",
)  # fmt: skip
FAILURES = Kind(
    "SUBSCRIPTION|TABLE|FOLDER", dead_letter.source,
    pattern="^.+$", cloud_pattern=f"^({_OBJECTS}|{_SUBSCRIPTION}|{_TABLE})$",
)  # fmt: skip
ATTRIBUTE = Kind("ATTRIBUTE", _attribute, pattern="^.{1,256}$")
CONDITION = Kind("CONDITION", Condition, pattern="^.+$")
MEASURES = Kind("MEASURES", parse_measures, separator=",", pattern="^.+=.+[(].*[)].*$")
MISSING = choice("choice", *(each.value for each in Missing), make=Missing)
# With braces it is a rule and no topic, which a console that lists topics would not let pass.
ROUTE = Kind("TOPIC", _route, pattern="^projects/[^/]+/topics/.+$")
TABLE_FORMAT = choice("format", "parquet", "delta", "iceberg")
CATALOG = Kind("NAME", str)
SWITCH = Kind("[true|false]", _switch, implied="true", type="boolean", pattern="^(true|false)$")
TABLE = Kind("TABLE", _table, pattern=f"^({_TABLE})$")  # with braces too
TEXTS = Kind("NAME[,NAME]", _texts, separator=",")
TIME = Kind(
    "TIME", _time,
    pattern="^[0-9]{4}[-0-9W]+(.[0-9:.,]+([zZ]|[+-][0-9:.]+))?$",
)  # fmt: skip
MULTIPLE = Kind("NUMBER", _multiple, type="number", pattern="^[0-9]{1,9}([.][0-9]{1,9})?$")
DURATION = Kind("DURATION", parse_duration, pattern=f"^{_TIME_SPAN}$")
SOME_TIME = Kind("DURATION", partial(parse_duration, least_ms=1), pattern=f"^{_TIME_SPAN}$")
FIELD = Kind("FIELD", Field.parse, pattern="^.+$")
FIELDS = Kind("FIELD[,FIELD]", _fields, separator=",", pattern="^.+$")
OPTIONAL_FIELDS = Kind(
    "FIELD[,FIELD]", lambda text: _fields(text) if text else (), separator=","
)  # fmt: skip
FILE_FORMAT = Kind(
    "FORMAT[:CODEC]", storage.parse_format, pattern="^(avro|jsonl|parquet)(:[a-z0-9]+)?$"
)
FOLDER = _folder_kind("GCS_WRITE_FOLDER")
INPUT_FOLDER = _folder_kind("GCS_READ_FOLDER")
FOLDER_TEMPLATE = Kind("TEMPLATE", _template)
SCHEMA_FILE = Kind(
    "FILE", _schema,
    pattern="^.+$", cloud_pattern="^gs://[^/ ]+/.+$", resource="GCS_READ_FILE", reads_file=True,
)  # fmt: skip
