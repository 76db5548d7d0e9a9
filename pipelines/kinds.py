"""The kinds of parameters: what a flag's text may be, and the value that it becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from connectors import dead_letter, lake
from connectors.pubsub.names import check_subscription, check_topic
from pipelines.params import Kind
from transforms.duration import parse_duration
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.schema import from_json
from transforms.triggers import parse_trigger
from transforms.windows import parse_windows

__all__ = [
    "COUNT",
    "DEAD_LETTER",
    "DURATION",
    "FIELD",
    "FIELDS",
    "FOLDER",
    "PARTITIONS",
    "SCHEMA_FILE",
    "SUBSCRIPTION",
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


SUBSCRIPTION = _name("subscription", check_subscription)
TOPIC = _name("topic", check_topic)
COUNT = Kind("N", _count)
DEAD_LETTER = Kind("TOPIC|TABLE|FOLDER", dead_letter.target)
PARTITIONS = Kind("LEVELS", lake.Partition.parse)
TRIGGER = Kind("TRIGGER", parse_trigger)
WINDOW = Kind("WINDOW", parse_windows)
DURATION = Kind("DURATION", parse_duration)
FIELD = Kind("FIELD", Field.parse)
FIELDS = Kind("FIELD[,FIELD]", _fields)
FOLDER = Kind("FOLDER", _folder)
SCHEMA_FILE = Kind("FILE", _schema)
