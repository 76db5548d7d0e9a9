"""The kinds of parameters: what a flag's text may be, and the value that it becomes."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from connectors import dead_letter, lake, storage
from connectors.pubsub import Missing, Route
from connectors.pubsub.names import check_subscription, check_topic
from pipelines.params import Kind
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
    "MULTIPLE",
    "PARTITIONS",
    "ROUTE",
    "SCHEMA_FILE",
    "SUBSCRIPTION",
    "SWITCH",
    "TABLE",
    "TABLE_FORMAT",
    "TEXTS",
    "TIME",
    "TOPIC",
    "TRIGGER",
    "WINDOW",
]


def _name(noun: str, check: Callable[[str, str], None]) -> Kind:
    def parse(text: str) -> str:
        check(noun, text)
        return text

    return Kind(noun.upper(), parse)


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


def _schema(text: str) -> pa.Schema:
    try:
        content = Path(text).read_text(encoding="utf-8")
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


def _table_format(text: str) -> str:
    if text not in ("parquet", "delta", "iceberg"):
        raise ConfigError(
            "format", text, "must be parquet, delta or iceberg", "Write for example delta"
        )
    return text


def _missing(text: str) -> Missing:
    if text not in ("stop", "dead"):
        raise ConfigError("choice", text, "must be stop or dead", "Write stop or dead")
    return Missing(text)


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


SUBSCRIPTION = _name("subscription", check_subscription)
TOPIC = _name("topic", check_topic)
COUNT = Kind("N", _count)
DEAD_LETTER = Kind("TOPIC|TABLE|FOLDER", dead_letter.target)
PARTITIONS = Kind("LEVELS", lake.Partition.parse)
TRIGGER = Kind("TRIGGER", parse_trigger)
WINDOW = Kind("WINDOW", parse_windows)
FAILURES = Kind("SUBSCRIPTION|TABLE|FOLDER", dead_letter.source)
ATTRIBUTE = Kind("ATTRIBUTE", _attribute)
CONDITION = Kind("CONDITION", Condition)
MEASURES = Kind("MEASURES", parse_measures)
MISSING = Kind("stop|dead", _missing)
ROUTE = Kind("TOPIC", _route)
TABLE_FORMAT = Kind("FORMAT", _table_format)
CATALOG = Kind("NAME", str)
SWITCH = Kind("[true|false]", _switch, implied="true")
TABLE = Kind("TABLE", _table)
TEXTS = Kind("NAME[,NAME]", _texts)
TIME = Kind("TIME", _time)
MULTIPLE = Kind("NUMBER", _multiple)
DURATION = Kind("DURATION", parse_duration)
FIELD = Kind("FIELD", Field.parse)
FIELDS = Kind("FIELD[,FIELD]", _fields)
OPTIONAL_FIELDS = Kind("FIELD[,FIELD]", lambda text: _fields(text) if text else ())
FILE_FORMAT = Kind("FORMAT[:CODEC]", storage.parse_format)
FOLDER = Kind("FOLDER", _folder)
FOLDER_TEMPLATE = Kind("TEMPLATE", _template)
SCHEMA_FILE = Kind("FILE", _schema)
